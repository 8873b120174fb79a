/* The last caches of GPUs. Drivers tell the size of the first one (NVIDIA's of all units together, AMD's of one), which
 * says nothing of what stays out of memory. */
#include "device/choose.h"

#include <ctype.h>
#include <string.h>

typedef struct cache_row {
    fcl_brand brand;
    const char *name; /* words of the device's name; with a last *, what its words begin with */
    int least, most;  /* MiB, of all cards that the words mean */
} cache_row;

/* The first row that fits counts. ROCm names a GPU by its architecture, rusticl and others by its board. */
/* clang-format off */
static const cache_row rows[] = {
    {FCL_BRAND_NVIDIA, "B200", 126, 126},
    {FCL_BRAND_NVIDIA, "GB200", 126, 126},
    {FCL_BRAND_NVIDIA, "H100", 50, 50},
    {FCL_BRAND_NVIDIA, "H200", 50, 60},
    {FCL_BRAND_NVIDIA, "GH200", 50, 60},
    {FCL_BRAND_NVIDIA, "A100", 40, 40},
    {FCL_BRAND_NVIDIA, "A800", 40, 40},
    {FCL_BRAND_NVIDIA, "A30", 24, 24},
    {FCL_BRAND_NVIDIA, "A40", 6, 6},
    {FCL_BRAND_NVIDIA, "A10", 6, 6},
    {FCL_BRAND_NVIDIA, "V100", 6, 6},
    {FCL_BRAND_NVIDIA, "P100", 4, 4},
    {FCL_BRAND_NVIDIA, "A10G", 6, 6},
    {FCL_BRAND_NVIDIA, "T4", 4, 4},
    {FCL_BRAND_NVIDIA, "L4", 48, 48},
    {FCL_BRAND_NVIDIA, "L40*", 48, 96},
    {FCL_BRAND_NVIDIA, "RTX PRO 6000", 96, 128},
    {FCL_BRAND_NVIDIA, "RTX 5090 Laptop", 64, 64},
    {FCL_BRAND_NVIDIA, "RTX 5090", 96, 96},
    {FCL_BRAND_NVIDIA, "RTX 50*", 24, 64},
    {FCL_BRAND_NVIDIA, "RTX 4090 Laptop", 64, 64},
    {FCL_BRAND_NVIDIA, "RTX 4090", 72, 72},
    {FCL_BRAND_NVIDIA, "RTX 4080 Laptop", 48, 48},
    {FCL_BRAND_NVIDIA, "RTX 4080", 64, 64},
    {FCL_BRAND_NVIDIA, "RTX 4070 Laptop", 32, 32},
    {FCL_BRAND_NVIDIA, "RTX 4070", 36, 48},
    {FCL_BRAND_NVIDIA, "RTX 4060", 24, 32},
    {FCL_BRAND_NVIDIA, "RTX 40*", 12, 72},
    {FCL_BRAND_NVIDIA, "RTX 6000 Ada", 96, 96},
    {FCL_BRAND_NVIDIA, "Ada", 12, 96},
    {FCL_BRAND_NVIDIA, "RTX 3090", 6, 6},
    {FCL_BRAND_NVIDIA, "RTX 3080", 4, 6},
    {FCL_BRAND_NVIDIA, "RTX 30*", 2, 6},
    {FCL_BRAND_NVIDIA, "RTX A*", 2, 6},
    {FCL_BRAND_NVIDIA, "RTX 20*", 2, 6},
    {FCL_BRAND_NVIDIA, "GTX 16*", 1, 2},

    {FCL_BRAND_AMD, "gfx906", 4, 4},
    {FCL_BRAND_AMD, "gfx908", 8, 8},
    {FCL_BRAND_AMD, "gfx90a", 8, 8},
    {FCL_BRAND_AMD, "gfx942", 256, 256},
    {FCL_BRAND_AMD, "gfx950", 256, 256},
    {FCL_BRAND_AMD, "gfx1010", 4, 4},
    {FCL_BRAND_AMD, "gfx1030", 96, 128},
    {FCL_BRAND_AMD, "gfx1031", 80, 96},
    {FCL_BRAND_AMD, "gfx1032", 32, 32},
    {FCL_BRAND_AMD, "gfx1034", 16, 16},
    {FCL_BRAND_AMD, "gfx1100", 64, 96},
    {FCL_BRAND_AMD, "gfx1101", 48, 64},
    {FCL_BRAND_AMD, "gfx1102", 32, 32},
    {FCL_BRAND_AMD, "gfx1200", 32, 32},
    {FCL_BRAND_AMD, "gfx1201", 48, 64},
    {FCL_BRAND_AMD, "MI300*", 256, 256},
    {FCL_BRAND_AMD, "MI325*", 256, 256},
    {FCL_BRAND_AMD, "MI35*", 256, 256},
    {FCL_BRAND_AMD, "MI2*", 8, 8},
    {FCL_BRAND_AMD, "MI100", 8, 8},
    {FCL_BRAND_AMD, "RX 6800M", 96, 96},
    {FCL_BRAND_AMD, "RX 6800*", 128, 128},
    {FCL_BRAND_AMD, "RX 69*", 128, 128},
    {FCL_BRAND_AMD, "RX 67*", 32, 96},
    {FCL_BRAND_AMD, "RX 66*", 32, 32},
    {FCL_BRAND_AMD, "RX 65*", 16, 16},
    {FCL_BRAND_AMD, "RX 7900*", 64, 96},
    {FCL_BRAND_AMD, "RX 7800*", 64, 64},
    {FCL_BRAND_AMD, "RX 7700*", 32, 48},
    {FCL_BRAND_AMD, "RX 7600*", 32, 32},
    {FCL_BRAND_AMD, "RX 9070*", 48, 64},
    {FCL_BRAND_AMD, "RX 9060*", 32, 32},

    {FCL_BRAND_INTEL, "Data Center GPU Max", 108, 408},
};
/* clang-format on */

/* Whether the words stand in the text, and are not a part of longer ones: A10 is not A100, and L4 not L40. */
static bool has_words(const char *text, const char *words)
{
    size_t length = strcspn(words, "*");
    for (const char *at = text; *at; at++) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        bool ends = words[length] == '*' || !isalnum((unsigned char)at[strnlen(at, length)]);
        if (begins && ends && strncasecmp(at, words, length) == 0)
            return true;
    }
    return false;
}

static const cache_row *row_of(const fcl_device_info *info)
{
    fcl_brand brand = fcl_device_brand(info);
    for (size_t i = 0; info->type == FCL_DEVICE_GPU && i < sizeof rows / sizeof *rows; i++)
        if (rows[i].brand == brand && has_words(info->name, rows[i].name))
            return &rows[i];
    return NULL;
}

void fcl_cache_apply(fcl_device_info *info)
{
    const cache_row *row = row_of(info);
    if (row)
        info->cache = (uint64_t)row->least << 20;
}

uint64_t fcl_cache_most(const fcl_device_info *info)
{
    const uint64_t unknown = (uint64_t)256 << 20;
    const cache_row *row = row_of(info);
    if (row)
        return (uint64_t)row->most << 20;
    return info->type == FCL_DEVICE_GPU && info->cache < unknown ? unknown : info->cache;
}
