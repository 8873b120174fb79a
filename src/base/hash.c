#include "base/hash.h"

#include <string.h>

uint64_t fcl_hash_bytes(uint64_t hash, const void *data, size_t size)
{
    for (const unsigned char *byte = data; size--; byte++)
        hash = (hash ^ *byte) * 0x100000001b3u;
    return hash;
}

uint64_t fcl_hash_on(uint64_t hash, const char *text)
{
    return fcl_hash_bytes(hash, text, strlen(text));
}

uint64_t fcl_hash(const char *text)
{
    return fcl_hash_on(FCL_HASH_START, text);
}
