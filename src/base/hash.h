/* FNV-1a, 64 bits: the same number for the same text, on every machine. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define FCL_HASH_START 0xcbf29ce484222325u

uint64_t fcl_hash(const char *text);
/* Of texts, or bytes, one after the other, the first from FCL_HASH_START. */
uint64_t fcl_hash_on(uint64_t hash, const char *text);
uint64_t fcl_hash_bytes(uint64_t hash, const void *data, size_t size);

#endif
