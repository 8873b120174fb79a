#include "base/hash.h"

uint64_t fcl_hash_on(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

uint64_t fcl_hash(const char *text)
{
    return fcl_hash_on(FCL_HASH_START, text);
}
