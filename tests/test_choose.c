/* Which device is taken, of made-up lists of what drivers tell. */
#include "status.h"
#include "device/choose.h"

#include <flowcl/flowcl.h>

enum { MOST = 6 };
#define GIB ((uint64_t)1 << 30)

static const fcl_device_info laptop_gpu = {.type = FCL_DEVICE_GPU, .name = "NVIDIA GeForce RTX 3050 Laptop GPU",
    .vendor = "NVIDIA Corporation", .platform_name = "NVIDIA CUDA", .card = "0:1:0.0", .memory = 4 * GIB,
    .compute_units = 20, .clock_mhz = 1500};
static const fcl_device_info intel_gpu = {.type = FCL_DEVICE_GPU, .name = "Intel(R) Iris(R) Xe Graphics",
    .vendor = "Intel(R) Corporation", .platform_name = "Intel(R) OpenCL Graphics", .card = "0:0:2.0",
    .memory = 12 * GIB, .compute_units = 96, .clock_mhz = 1300, .unified_memory = true};
static const fcl_device_info arc = {.type = FCL_DEVICE_GPU, .name = "Intel(R) Data Center GPU",
    .vendor = "Intel(R) Corporation", .platform_name = "Intel(R) OpenCL Graphics", .card = "0:4:0.0",
    .memory = 6 * GIB, .compute_units = 128, .clock_mhz = 2400};
static const fcl_device_info rocm = {.type = FCL_DEVICE_GPU, .name = "gfx1030",
    .vendor = "Advanced Micro Devices, Inc.", .platform_name = "AMD Accelerated Parallel Processing",
    .card = "0:83:0.0", .memory = 16 * GIB, .compute_units = 36, .clock_mhz = 2500};
/* Counts units in another way than ROCm, which makes it look faster. */
static const fcl_device_info rusticl = {.type = FCL_DEVICE_GPU, .name = "AMD Radeon RX 6800 XT (radeonsi, navi21)",
    .vendor = "AMD", .platform_name = "rusticl", .card = "0:83:0.0", .memory = 16 * GIB, .compute_units = 72,
    .clock_mhz = 2575};
static const fcl_device_info pocl = {.type = FCL_DEVICE_CPU, .name = "cpu-haswell-Intel(R) Core(TM) i7",
    .vendor = "GenuineIntel", .platform_name = "Portable Computing Language", .memory = 60 * GIB,
    .compute_units = 16, .clock_mhz = 5000, .unified_memory = true};
static const fcl_device_info llvmpipe = {.type = FCL_DEVICE_CPU, .name = "llvmpipe (LLVM 15.0.6, 256 bits)",
    .vendor = "Mesa", .platform_name = "rusticl", .memory = 60 * GIB, .compute_units = 64, .clock_mhz = 5000,
    .unified_memory = true};
static const fcl_device_info fpga_emulator = {.type = FCL_DEVICE_ACCELERATOR,
    .name = "Intel(R) FPGA Emulation Device", .vendor = "Intel(R) Corporation",
    .platform_name = "Intel(R) FPGA Emulation Platform for OpenCL(TM)", .memory = 60 * GIB, .compute_units = 64,
    .clock_mhz = 5000};
static const fcl_device_info coprocessor = {.type = FCL_DEVICE_ACCELERATOR, .name = "Many Cores", .vendor = "Acme",
    .platform_name = "Acme", .memory = 16 * GIB, .compute_units = 240, .clock_mhz = 1300};
static const fcl_device_info no_device = {.type = FCL_DEVICE_OTHER, .name = "no device", .index = -1,
    .platform_name = "Clover", .refused = "it offers no device here"};

/* A list in one of its orders, as the loader's is by chance. */
typedef struct shelf {
    fcl_device_info info[MOST];
    int count, at[MOST]; /* at[i]: where the i-th that was put in stands */
} shelf;

/* `order` counts through the factorial number of orders: 0 keeps them as they are. A platform for each device. */
static shelf put(const fcl_device_info *const *devices, int count, int order)
{
    shelf s = {.count = count};
    for (int i = 0; i < count; i++) {
        int place = order % (i + 1);
        order /= i + 1;
        for (int j = 0; j < i; j++)
            s.at[j] += s.at[j] >= i - place;
        s.at[i] = i - place;
    }
    for (int i = 0; i < count; i++) {
        fcl_device_info *info = &s.info[s.at[i]];
        *info = *devices[i];
        info->platform = s.at[i];
        fcl_quirks_apply(info);
        info->usable = info->index >= 0 && !info->refused[0];
    }
    fcl_device_find_twins(s.info, count);
    return s;
}

/* Whatever the order, the first that was put in is taken, for a reason that has the text. */
static void check_first(const fcl_device_info *const *devices, int count, const char *selector, const char *reason)
{
    int orders = 1, chosen;
    for (int i = 2; i <= count; i++)
        orders *= i;
    for (int order = 0; order < orders; order++) {
        shelf s = put(devices, count, order);
        assert_ok(fcl_device_choose(s.info, count, selector, false, &chosen));
        if (chosen != s.at[0])
            print_error("order %d: %s, not %s\n", order, s.info[chosen].name, devices[0]->name);
        assert_int_equal(chosen, s.at[0]);
        fcl_device_explain(s.info, count, selector, false, chosen, *selector ? "FLOWCL_DEVICE=x" : "");
        if (!strstr(s.info[chosen].why, reason))
            fail_msg("order %d: \"%s\" lacks \"%s\"", order, s.info[chosen].why, reason);
    }
}

#define FIRST(reason, ...) FIRST_OF("", reason, __VA_ARGS__)
#define FIRST_OF(selector, reason, ...)                                                                      \
    check_first((const fcl_device_info *const[]){__VA_ARGS__},                                               \
                sizeof((const fcl_device_info *const[]){__VA_ARGS__}) / sizeof(fcl_device_info *), selector, reason)

static void a_discrete_gpu_is_before_an_integrated_one(void **state)
{
    (void)state;
    fcl_device_info slow = laptop_gpu, huge = intel_gpu;
    FIRST("the only discrete GPU", &laptop_gpu, &intel_gpu, &pocl);
    slow.compute_units = 1, slow.clock_mhz = 100, slow.memory = GIB;
    huge.compute_units = 100000, huge.memory = 1000 * GIB;
    FIRST("the only discrete GPU", &slow, &huge, &pocl, &coprocessor, &no_device);
    FIRST("the only GPU", &intel_gpu, &pocl, &llvmpipe, &fpga_emulator);
}

static void more_compute_is_before_more_memory(void **state)
{
    (void)state;
    fcl_device_info larger = laptop_gpu, faster = laptop_gpu, roomy = laptop_gpu;
    larger.compute_units = 40, larger.card[2] = '5', larger.memory = 2 * GIB;
    FIRST("20 units x 1.50 GHz", &larger, &laptop_gpu, &pocl);
    FIRST("40 units x 1.50 GHz against 20", &larger, &laptop_gpu, &pocl);
    faster.clock_mhz = 1501, faster.card[2] = '6', faster.memory = 2 * GIB;
    FIRST("more compute than ", &faster, &laptop_gpu, &intel_gpu);
    roomy.memory = 8 * GIB, roomy.card[2] = '7';
    FIRST("more memory, 8.0 GiB against 4.0 GiB", &roomy, &laptop_gpu, &intel_gpu);
}

/* 20 multiprocessors of 128 lanes are 2560 lanes; 128 execution units of 8 are 1024, 36 units of 64 are 2304. */
static void units_are_counted_in_lanes(void **state)
{
    (void)state;
    fcl_device_info even = arc, other = rocm;
    even.clock_mhz = other.clock_mhz = 1500;
    FIRST("20 units x 128 lanes x 1.50 GHz against 36 units x 64 lanes x 1.50 GHz", &laptop_gpu, &even, &other);
    FIRST("36 units x 64 lanes x 1.50 GHz against 128 units x 8 lanes x 1.50 GHz", &other, &even, &pocl);
    other.clock_mhz = 2500;
    FIRST("36 units x 64 lanes x 2.50 GHz against 20 units x 128 lanes", &other, &laptop_gpu, &even);
}

static void an_unknown_clock_is_no_standstill(void **state)
{
    (void)state;
    fcl_device_info quiet = laptop_gpu;
    quiet.compute_units = 80, quiet.clock_mhz = 0, quiet.card[2] = '9';
    FIRST("80 units x 1.00 GHz against 20 units x 1.50 GHz", &quiet, &laptop_gpu, &pocl);
}

static void accelerators_come_after_processors(void **state)
{
    (void)state;
    fcl_device_info old = fpga_emulator;
    strcpy(old.name, "EmulatorDevice : Emulated Device");
    strcpy(old.platform_name, "Intel(R) FPGA SDK for OpenCL(TM)");
    FIRST("the only CPU", &pocl, &coprocessor, &fpga_emulator, &llvmpipe);
    FIRST("the only CPU that is not emulated", &pocl, &llvmpipe, &fpga_emulator);
    FIRST("the only CPU that is not emulated", &pocl, &old, &no_device);
    FIRST("the only accelerator that is not emulated", &coprocessor, &llvmpipe, &old, &fpga_emulator);
    FIRST("the only usable device", &fpga_emulator, &no_device);
    shelf s = put((const fcl_device_info *const[]){&fpga_emulator, &old}, 2, 0);
    assert_non_null(strstr(s.info[0].warning, "FPGA"));
    assert_string_equal(s.info[0].warning, s.info[1].warning);
}

static void a_card_is_taken_by_its_vendors_driver(void **state)
{
    (void)state;
    FIRST("the better driver of the only usable card", &rocm, &rusticl);
    FIRST("the only GPU", &rocm, &rusticl, &pocl);
    FIRST("the only discrete GPU", &rocm, &rusticl, &intel_gpu, &pocl);
    for (int order = 0; order < 2; order++) {
        shelf s = put((const fcl_device_info *const[]){&rocm, &rusticl}, 2, order);
        const fcl_device_info *twin = &s.info[s.at[1]];
        char expected[200];
        assert_false(s.info[s.at[0]].twin);
        assert_string_equal(s.info[s.at[0]].warning, "");
        snprintf(expected, sizeof expected, "the same card as %d:0, which its vendor's own driver offers", s.at[0]);
        assert_true(twin->twin);
        assert_string_equal(twin->warning, expected);
    }
    fcl_device_info cuda = laptop_gpu;
    strcpy(cuda.platform_name, "Portable Computing Language");
    cuda.compute_units = 100;
    FIRST("the only GPU", &laptop_gpu, &cuda, &pocl);
    FIRST_OF("portable", "of the 2 that it names, the only GPU", &cuda, &laptop_gpu, &pocl);
}

/* Two drivers of one kind: the first of the list. A refused entry is nobody's better twin. */
static void twins_of_one_kind(void **state)
{
    (void)state;
    fcl_device_info clvk = rusticl, refused = rocm;
    strcpy(clvk.platform_name, "clvk");
    for (int order = 0; order < 2; order++) {
        shelf s = put((const fcl_device_info *const[]){&clvk, &rusticl}, 2, order);
        assert_false(s.info[0].twin);
        assert_true(s.info[1].twin);
        assert_string_equal(s.info[1].warning, "the same card as 0:0, through another driver");
    }
    strcpy(refused.refused, "its driver has no compiler for kernels");
    FIRST("the only GPU", &rusticl, &refused, &pocl);
    shelf s = put((const fcl_device_info *const[]){&refused, &rusticl}, 2, 0);
    assert_false(s.info[0].twin || s.info[1].twin);
}

static void what_is_no_twin(void **state)
{
    (void)state;
    fcl_device_info second = rocm, silent = rusticl, part = rocm;
    second.card[2] = '9';
    silent.card[0] = 0;
    /* An old translator without an address, beside the vendor's own driver of such a card: perhaps the same. */
    FIRST("the only GPU", &rocm, &silent, &pocl);
    shelf s = put((const fcl_device_info *const[]){&silent, &rocm}, 2, 0);
    assert_string_equal(s.info[0].warning, "perhaps the same card as 1:0, which its vendor's own driver offers");
    /* Neither of another brand, nor beside one of the processor's own, nor without an address of either. */
    const fcl_device_info *const others[] = {&laptop_gpu, &intel_gpu, &pocl, &arc, &second};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const fcl_device_info *other = others[i] == &second ? &pocl : others[i];
        s = put((const fcl_device_info *const[]){&silent, other}, 2, 0);
        assert_false(s.info[0].twin || s.info[1].twin);
        s = put((const fcl_device_info *const[]){&rocm, others[i]}, 2, 0);
        assert_false(s.info[0].twin || s.info[1].twin);
    }
    /* Parts of a card share its address and its platform. */
    fcl_device_info parts[] = {part, part};
    parts[0].usable = parts[1].usable = true;
    parts[1].index = 1;
    fcl_device_find_twins(parts, 2);
    assert_false(parts[0].twin || parts[1].twin);
    int chosen;
    assert_ok(fcl_device_choose(parts, 2, "", false, &chosen));
    assert_int_equal(chosen, 0);
    fcl_device_explain(parts, 2, "", false, chosen, "");
    assert_string_equal(parts[0].why, "like 0:1, and listed before it");
}

static void names_are_told(void **state)
{
    (void)state;
    FIRST_OF("cpu", "named by FLOWCL_DEVICE=x; of the 2 that it names, the only CPU that is not emulated", &pocl,
             &llvmpipe, &laptop_gpu);
    FIRST_OF("iris", "named by FLOWCL_DEVICE=x", &intel_gpu, &laptop_gpu, &rocm);
    FIRST_OF("gpu", "of the 2 that it names, the only discrete GPU", &laptop_gpu, &intel_gpu, &pocl);
    FIRST_OF("llvmpipe", "named by FLOWCL_DEVICE=x", &llvmpipe, &pocl, &laptop_gpu, &no_device);
}

/* --- what ranks take --- */

/* Whatever the order in the list, rank r of `ranks` takes what was put in as number takes[r]; -1: all are refused, with
 * the text. */
static void check_ranks(const fcl_device_info *const *devices, int count, const char *selector, int ranks,
                        const int *takes, const char *refusal)
{
    int orders = 1, chosen;
    for (int i = 2; i <= count; i++)
        orders *= i;
    for (int order = 0; order < orders; order++) {
        shelf s = put(devices, count, order);
        for (int rank = 0; rank < ranks; rank++) {
            int status = fcl_device_choose_ranked(s.info, count, selector, false, (fcl_local_ranks){rank, ranks}, &chosen);
            if (refusal) {
                assert_int_equal(status, FCL_ERR_DEVICE);
                assert_told(refusal);
                continue;
            }
            assert_ok(status);
            assert_int_equal(chosen, s.at[takes[rank]]);
        }
    }
}

#define RANKS(selector, takes, ...) RANKS_OR(selector, sizeof(takes) / sizeof(int), takes, NULL, __VA_ARGS__)
#define RANKS_OR(selector, ranks, takes, refusal, ...)                                                       \
    check_ranks((const fcl_device_info *const[]){__VA_ARGS__},                                               \
                sizeof((const fcl_device_info *const[]){__VA_ARGS__}) / sizeof(fcl_device_info *), selector, \
                ranks, takes, refusal)

static void ranks_take_a_device_each(void **state)
{
    (void)state;
    fcl_device_info second = laptop_gpu, divides = pocl;
    second.compute_units = 19, second.card[2] = '5';
    static const int in_order[] = {0, 1, 2}, alone[] = {0};
    /* The best first, whatever the list's order; GPUs alone where there is one; a card by one driver. */
    RANKS("", in_order, &laptop_gpu, &second, &intel_gpu, &pocl);
    RANKS("gpu", in_order, &laptop_gpu, &second, &intel_gpu, &pocl);
    RANKS("geforce", ((int[]){0, 1}), &laptop_gpu, &second, &intel_gpu, &pocl);
    RANKS("", alone, &rocm, &rusticl, &pocl);
    RANKS_OR("", 2, NULL, "2 ranks on this machine share 1 device: name it (--device ", &rocm, &rusticl, &pocl);
    RANKS_OR("", 4, NULL, "4 ranks on this machine share 3 devices: start 3, or name a device for each (--device ",
             &laptop_gpu, &second, &intel_gpu, &pocl);
    RANKS_OR("gpu", 3, NULL, "3 ranks on this machine share 2 devices", &laptop_gpu, &second, &pocl);
    /* What a processor is on several platforms is one; what plays another device is not taken beside it. */
    RANKS_OR("", 2, NULL, "share 1 device", &pocl, &llvmpipe, &fpga_emulator, &no_device);
    /* A name of one device is shared. */
    RANKS("iris", ((int[]){0, 0, 0}), &intel_gpu, &laptop_gpu, &second);
    RANKS("cpu", ((int[]){0, 0}), &pocl, &llvmpipe, &laptop_gpu);
    divides.most_parts = 3;
    shelf s = put((const fcl_device_info *const[]){&divides}, 1, 0);
    int chosen;
    assert_status(FCL_ERR_DEVICE, fcl_device_choose_ranked(s.info, 1, "", false, (fcl_local_ranks){1, 3}, &chosen));
    assert_string_equal(fcl_error(), "3 ranks on this machine share 1 device: name it (--device 0:0) where that is "
                                     "meant, or give each a part of it, --device 0:0/3");
    assert_status(FCL_ERR_DEVICE, fcl_device_choose_ranked(s.info, 1, "", false, (fcl_local_ranks){1, 4}, &chosen));
    assert_string_equal(fcl_error(),
                        "4 ranks on this machine share 1 device: name it (--device 0:0) where that is meant");
    assert_ok(fcl_device_choose_ranked(s.info, 1, "0:0", false, (fcl_local_ranks){3, 4}, &chosen));
}

/* What the text says to rank `rank` of `ranks`: a name, a part of how many (0: the whole), for which of how many. */
static void check_selector(const char *text, fcl_local_ranks ranks, const char *name, int parts, int part, fcl_local_ranks sharers)
{
    fcl_selector selector;
    assert_ok(fcl_selector_read(text, ranks, &selector));
    assert_string_equal(selector.name, name);
    assert_int_equal(selector.parts, parts);
    assert_int_equal(selector.part, part);
    assert_int_equal(selector.ranks.rank, sharers.rank);
    assert_int_equal(selector.ranks.count, sharers.count);
    fcl_selector_free(&selector);
}

static void check_refused(const char *text, fcl_local_ranks ranks, const char *told)
{
    fcl_selector selector;
    assert_status(FCL_ERR_DEVICE, fcl_selector_read(text, ranks, &selector));
    assert_told(told);
    fcl_selector_free(&selector);
}

static void texts_name_parts_and_entries(void **state)
{
    (void)state;
    const fcl_local_ranks none = {0}, second = {1, 2};
    check_selector("", none, "", 0, 0, none);
    check_selector("0:0", second, "0:0", 0, 0, second);
    check_selector("0:0/2.1", none, "0:0", 2, 1, none);
    check_selector("Portable Computing Language/12.11", second, "Portable Computing Language", 12, 11, second);
    check_selector("/2", none, "", 2, 0, none);
    check_selector("/2", second, "", 2, 1, second);
    check_selector(" HD/UHD Graphics ", none, "HD/UHD Graphics", 0, 0, none);
    check_selector("HD/UHD Graphics/3.2", none, "HD/UHD Graphics", 3, 2, none);
    check_selector("0:0/x", none, "0:0/x", 0, 0, none);
    check_selector("0:0, 1:0/2.1 ,2:0", second, "1:0", 2, 1, (fcl_local_ranks){0, 1});
    /* An entry that is there several times is for as many ranks. */
    check_selector("0:0/2,1:0,0:0/2", (fcl_local_ranks){2, 3}, "0:0", 2, 1, second);
    check_selector("0:0/2,0:0/2,0:0/2", (fcl_local_ranks){1, 2}, "0:0", 2, 1, second);
    check_refused("0:0/0", none, "\"0:0/0\" names no part");
    check_refused("0:0/1", none, "\"0:0/1\" names no part");
    check_refused("0:0/2.2", none, "the last is \"0:0/2.1\"");
    check_refused("0:0/2.99999999999999999999", none, "the last is \"0:0/2.1\"");
    check_refused("0:0/2", (fcl_local_ranks){0, 3}, "3 ranks on this machine share the 2 parts that \"0:0/2\" names");
    check_refused("0:0/2,0:0/2,0:0/2", (fcl_local_ranks){0, 3}, "3 ranks on this machine share the 2 parts");
    check_refused("0:0,1:0", none, "2 devices are named, 0:0 to 1:0");
    check_refused("0:0,1:0", (fcl_local_ranks){0, 3}, "3 ranks on this machine share a list of 2 devices");
    static const char *const empty[] = {",", "0:0,", ",0:0", "0:0,,1:0", " ", "0:0, "};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        check_refused(empty[i], second, "has an empty entry");
}

static void lists_are_split(void **state)
{
    (void)state;
    char **entries;
    int count;
    assert_ok(fcl_device_split(" 0:0 , Portable Computing Language/2.1,gpu", &entries, &count));
    assert_int_equal(count, 3);
    assert_string_equal(entries[0], "0:0");
    assert_string_equal(entries[1], "Portable Computing Language/2.1");
    assert_string_equal(entries[2], "gpu");
    fcl_free(entries);
    setenv("FLOWCL_DEVICE", "a,b", 1);
    assert_ok(fcl_device_split("", &entries, &count));
    assert_int_equal(count, 2);
    assert_string_equal(entries[1], "b");
    fcl_free(entries);
    unsetenv("FLOWCL_DEVICE");
    assert_ok(fcl_device_split(NULL, &entries, &count));
    assert_true(count == 0 && !entries);
    assert_status(FCL_ERR_DEVICE, fcl_device_split("a,", &entries, &count));
    assert_true(count == 0 && !entries);
}

/* Sizes by the vendors' own papers, in MiB; drivers tell of these 16 KiB to 4 MiB. */
static void last_caches_are_known(void **state)
{
    static const struct {
        const char *vendor, *name;
        uint64_t least, most;
    } cards[] = {
        {"NVIDIA Corporation", "NVIDIA A100-SXM4-80GB", 40, 40},
        {"NVIDIA Corporation", "NVIDIA H100 80GB HBM3", 50, 50},
        {"NVIDIA Corporation", "NVIDIA A10", 6, 6},
        {"NVIDIA Corporation", "NVIDIA L4", 48, 48},
        {"NVIDIA Corporation", "NVIDIA GeForce RTX 4090", 72, 72},
        {"NVIDIA Corporation", "NVIDIA GeForce RTX 4090 Laptop GPU", 64, 64},
        {"NVIDIA Corporation", "NVIDIA GeForce RTX 4070 Ti SUPER", 36, 48},
        {"NVIDIA Corporation", "NVIDIA GeForce RTX 3090 Ti", 6, 6},
        {"NVIDIA Corporation", "NVIDIA RTX A1000 Laptop GPU", 2, 6},
        {"NVIDIA Corporation", "Tesla V100-PCIE-16GB", 6, 6},
        {"Advanced Micro Devices, Inc.", "gfx90a:sramecc+:xnack-", 8, 8},
        {"Advanced Micro Devices, Inc.", "gfx1102", 32, 32},
        {"AMD", "AMD Radeon RX 6900 XT (navi21, LLVM 15.0.6, DRM 3.49)", 128, 128},
        {"AMD", "AMD Radeon RX 7600 (radeonsi, navi33)", 32, 32},
        {"AMD", "AMD Instinct MI300X", 256, 256},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        fcl_device_info info = {.type = FCL_DEVICE_GPU, .cache = 16 << 10};
        snprintf(info.vendor, sizeof info.vendor, "%s", cards[i].vendor);
        snprintf(info.name, sizeof info.name, "%s", cards[i].name);
        fcl_cache_apply(&info);
        if (info.cache != cards[i].least << 20 || fcl_cache_most(&info) != cards[i].most << 20)
            print_error("%s: %llu to %llu bytes\n", info.name, (unsigned long long)info.cache,
                        (unsigned long long)fcl_cache_most(&info));
        assert_true(info.cache == cards[i].least << 20 && fcl_cache_most(&info) == cards[i].most << 20);
    }
    /* What is not known keeps the driver's word, and may be larger than that. */
    static const char *const unknown[] = {"NVIDIA A1001", "NVIDIA GeForce RTX 9990", "NVIDIA XA100"};
    for (size_t i = 0; i < 3; i++) {
        fcl_device_info info = {.type = FCL_DEVICE_GPU, .vendor = "NVIDIA Corporation", .cache = 3 << 20};
        snprintf(info.name, sizeof info.name, "%s", unknown[i]);
        fcl_cache_apply(&info);
        assert_true(info.cache == 3 << 20 && fcl_cache_most(&info) >= (uint64_t)256 << 20);
    }
    fcl_device_info cpu = {.type = FCL_DEVICE_CPU, .vendor = "AMD", .name = "gfx90a", .cache = 32 << 20};
    fcl_cache_apply(&cpu);
    assert_true(cpu.cache == 32 << 20 && fcl_cache_most(&cpu) == 32 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_discrete_gpu_is_before_an_integrated_one),
        cmocka_unit_test(more_compute_is_before_more_memory),
        cmocka_unit_test(units_are_counted_in_lanes),
        cmocka_unit_test(an_unknown_clock_is_no_standstill),
        cmocka_unit_test(accelerators_come_after_processors),
        cmocka_unit_test(a_card_is_taken_by_its_vendors_driver),
        cmocka_unit_test(twins_of_one_kind),
        cmocka_unit_test(what_is_no_twin),
        cmocka_unit_test(names_are_told),
        cmocka_unit_test(ranks_take_a_device_each),
        cmocka_unit_test(texts_name_parts_and_entries),
        cmocka_unit_test(lists_are_split),
        cmocka_unit_test(last_caches_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
