/* The order in which a person would take devices. */
#include "device/choose.h"

#include <flowcl/text.h>
#include <string.h>

/* Vendors count different things as a compute unit: NVIDIA a multiprocessor of 128 lanes, AMD a unit of 64,
 * Intel an execution unit of 8. Lanes times units is what can be compared. Some generations have half as many
 * a unit, or twice. */
static const struct {
    const char *text; /* part of the vendor or of the device's name */
    fcl_brand brand;
    int lanes;
} brands[] = {
    {"NVIDIA", FCL_BRAND_NVIDIA, 128},     {"GeForce", FCL_BRAND_NVIDIA, 128},
    {"Advanced Micro", FCL_BRAND_AMD, 64}, {"AMD", FCL_BRAND_AMD, 64},
    {"Radeon", FCL_BRAND_AMD, 64},         {"Intel", FCL_BRAND_INTEL, 8},
    {"Apple", FCL_BRAND_APPLE, 128},
};
enum { BRANDS = sizeof brands / sizeof *brands, LANES_ELSEWHERE = 64 };

/* The vendor's own words first: the name of a card may hold another's, as of a translated driver. */
static int brand_row(const fcl_device_info *info)
{
    for (int i = 0; i < BRANDS; i++)
        if (strcasestr(info->vendor, brands[i].text))
            return i;
    for (int i = 0; i < BRANDS; i++)
        if (strcasestr(info->name, brands[i].text))
            return i;
    return -1;
}

fcl_brand fcl_device_brand(const fcl_device_info *info)
{
    int row = brand_row(info);
    return row < 0 ? FCL_BRAND_OTHER : brands[row].brand;
}

static int lanes(const fcl_device_info *info)
{
    int row = brand_row(info);
    return info->type != FCL_DEVICE_GPU ? 1 : row < 0 ? LANES_ELSEWHERE : brands[row].lanes;
}

/* A driver that does not know the clock says 0. */
static double gigahertz(const fcl_device_info *info)
{
    return info->clock_mhz > 0 ? info->clock_mhz / 1000.0 : 1;
}

/* --- the keys, the weightiest first --- */

static double is_real(const fcl_device_info *info)
{
    return !info->emulated;
}

/* Accelerators come after CPUs: those with a compiler for kernels are rare, slow or emulated. */
static double type_order(const fcl_device_info *info)
{
    static const double order[] = {
        [FCL_DEVICE_GPU] = 3, [FCL_DEVICE_CPU] = 2, [FCL_DEVICE_ACCELERATOR] = 1, [FCL_DEVICE_OTHER] = 0};
    return order[info->type];
}

static double is_sound(const fcl_device_info *info)
{
    return !info->warning[0];
}

/* A GPU that shares the host's memory is a part of the processor, however many units it counts. */
static double is_discrete(const fcl_device_info *info)
{
    return info->type == FCL_DEVICE_GPU && !info->unified_memory;
}

static double compute(const fcl_device_info *info)
{
    return (double)info->compute_units * lanes(info) * gigahertz(info);
}

static double memory(const fcl_device_info *info)
{
    return (double)info->memory;
}

/* --- the same keys in words --- */

static const char *type_word(const fcl_device_info *info)
{
    static const char *const words[] = {[FCL_DEVICE_GPU] = "GPU",
                                        [FCL_DEVICE_CPU] = "CPU",
                                        [FCL_DEVICE_ACCELERATOR] = "accelerator",
                                        [FCL_DEVICE_OTHER] = "device"};
    return words[info->type];
}

/* "20 units x 128 lanes x 1.50 GHz" */
static void compute_text(const fcl_device_info *info, bool with_lanes, char *text, size_t size)
{
    char width[32] = "";
    if (with_lanes)
        fcl_snprintf(width, sizeof width, " x %d lanes", lanes(info));
    fcl_snprintf(text, size, "%d units%s x %.2f GHz", info->compute_units, width, gigahertz(info));
}

static void say_compute(const fcl_device_info *taken, const fcl_device_info *next, char *text, size_t size)
{
    char more[80], less[80];
    bool with_lanes = lanes(taken) != lanes(next);
    compute_text(taken, with_lanes, more, sizeof more);
    compute_text(next, with_lanes, less, sizeof less);
    fcl_snprintf(text, size, "more compute than %d:%d, %s against %s", next->platform, next->index, more,
                 less);
}

static void say_memory(const fcl_device_info *taken, const fcl_device_info *next, char *text, size_t size)
{
    double gibibyte = 1 << 30;
    fcl_snprintf(text, size, "as much compute as %d:%d and more memory, %.1f GiB against %.1f GiB",
                 next->platform, next->index, memory(taken) / gibibyte, memory(next) / gibibyte);
}

/* A reason is "the only", its words around the type's, or what `say` says. */
static const struct {
    double (*value)(const fcl_device_info *info);
    const char *before, *after;
    void (*say)(const fcl_device_info *taken, const fcl_device_info *next, char *text, size_t size);
} keys[] = {
    {is_real, "", " that is not emulated", NULL}, {type_order, "", "", NULL},
    {is_sound, "", " without a warning", NULL},   {is_discrete, "discrete ", "", NULL},
    {compute, NULL, NULL, say_compute},           {memory, NULL, NULL, say_memory},
};
enum { KEYS = sizeof keys / sizeof *keys };

/* The first key in which they differ; KEYS where they are alike. */
static int deciding_key(const fcl_device_info *a, const fcl_device_info *b)
{
    int key = 0;
    while (key < KEYS && keys[key].value(a) == keys[key].value(b))
        key++;
    return key;
}

int fcl_device_rank(const fcl_device_info *a, const fcl_device_info *b)
{
    int key = deciding_key(a, b);
    return key == KEYS ? 0 : keys[key].value(a) > keys[key].value(b) ? 1 : -1;
}

void fcl_device_rank_reason(const fcl_device_info *taken, const fcl_device_info *next, char *text,
                            size_t size)
{
    int key = deciding_key(taken, next);
    if (key == KEYS)
        fcl_snprintf(text, size, "like %d:%d, and listed before it", next->platform, next->index);
    else if (keys[key].say)
        keys[key].say(taken, next, text, size);
    else
        fcl_snprintf(text, size, "the only %s%s%s", keys[key].before, type_word(taken), keys[key].after);
}
