/* The device layer: choosing, memory, programs, launches, profile. */
#include "status.h"
#include "device/launch.h"

#include <flowcl/flowcl.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_simulator(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") != NULL;
}

static int open_device(void **state)
{
    fcl_device *device = NULL;
    int status = fcl_device_open(NULL, NULL, &device);
    if (status != FCL_OK)
        print_error("%s\n", fcl_error());
    *state = device;
    return status;
}

static int close_device(void **state)
{
    fcl_device *device = *state;
    fcl_device_close(&device);
    assert_null(device);
    fcl_device_close(&device);
    return 0;
}

static void list_tells_of_every_device(void **state)
{
    const fcl_device_info *opened = fcl_device_describe(*state);
    fcl_device_info *list;
    int count, seen = 0;
    assert_ok(fcl_device_list(&list, &count));
    for (int i = 0; i < count; i++) {
        assert_true(list[i].name[0] && list[i].platform_name[0] && (list[i].driver[0] || list[i].index < 0));
        assert_true(list[i].usable == (list[i].refused[0] == 0));
        if (list[i].platform == opened->platform && list[i].index == opened->index) {
            seen++;
            assert_string_equal(list[i].name, opened->name);
            assert_true(list[i].memory > 0 && list[i].max_allocation > 0 && list[i].compute_units > 0);
        }
    }
    assert_int_equal(seen, 1);
    fcl_free(list);
}

static void opens_same(const char *selector, const fcl_device_info *expected)
{
    fcl_device *device;
    assert_ok(fcl_device_open(selector, NULL, &device));
    assert_string_equal(fcl_device_describe(device)->name, expected->name);
    fcl_device_close(&device);
}

static void selectors_name_a_device(void **state)
{
    const fcl_device_info *opened = fcl_device_describe(*state);
    char numbers[32], part[8];
    snprintf(numbers, sizeof numbers, "%d:%d", opened->platform, opened->index);
    opens_same(numbers, opened);
    snprintf(part, sizeof part, "%.6s", opened->name);
    for (char *c = part; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c;
    opens_same(part, opened);
    fcl_device *device;
    if (opened->type != FCL_DEVICE_CPU && opened->type != FCL_DEVICE_GPU)
        return;
    assert_ok(fcl_device_open(opened->type == FCL_DEVICE_CPU ? "CPU" : "GPU", NULL, &device));
    assert_int_equal(fcl_device_describe(device)->type, opened->type);
    fcl_device_close(&device);
}

static void unknown_devices_are_refused_in_words(void **state)
{
    const fcl_device_info *opened = fcl_device_describe(*state);
    fcl_device *device = *state;
    assert_status(FCL_ERR_DEVICE, fcl_device_open("no such thing", NULL, &device));
    assert_null(device);
    assert_told("\"no such thing\"");
    assert_told(opened->name);
    assert_status(FCL_ERR_DEVICE, fcl_device_open("99:0", NULL, &device));
    assert_status(FCL_ERR_DEVICE, fcl_device_open("0:0x", NULL, &device));

    char *kept = strdup(getenv("FLOWCL_DEVICE"));
    setenv("FLOWCL_DEVICE", "nonsense", 1);
    assert_status(FCL_ERR_DEVICE, fcl_device_open(NULL, NULL, &device));
    assert_told("FLOWCL_DEVICE=nonsense");
    setenv("FLOWCL_DEVICE", "", 1);
    assert_ok(fcl_device_open(NULL, NULL, &device));
    fcl_device_close(&device);
    setenv("FLOWCL_DEVICE", kept, 1);
    free(kept);
}

static void buffers_start_as_zero(void **state)
{
    fcl_device *device = *state;
    fcl_buffer *buffer;
    unsigned char host[1003];
    assert_ok(fcl_buffer_create(device, sizeof host, &buffer));
    memset(host, 7, sizeof host);
    assert_ok(fcl_buffer_read(buffer, 0, sizeof host, host));
    for (size_t i = 0; i < sizeof host; i++)
        assert_int_equal(host[i], 0);
    fcl_buffer_destroy(&buffer);
    assert_null(buffer);
    fcl_buffer_destroy(&buffer);
}

static void buffers_keep_what_is_written(void **state)
{
    fcl_device *device = *state;
    fcl_buffer *a, *b;
    int in[300], out[300] = {0};
    for (int i = 0; i < 300; i++)
        in[i] = i * i;
    assert_ok(fcl_buffer_create(device, sizeof in, &a));
    assert_ok(fcl_buffer_create(device, sizeof in, &b));
    assert_ok(fcl_buffer_write(a, 0, sizeof in, in));
    assert_ok(fcl_buffer_copy(b, 40, a, 80, 400));
    assert_ok(fcl_buffer_read(b, 0, sizeof out, out));
    for (int i = 0; i < 300; i++)
        assert_int_equal(out[i], i >= 10 && i < 110 ? in[i + 10] : 0);
    assert_ok(fcl_buffer_zero(a));
    assert_ok(fcl_buffer_read(a, 0, sizeof out, out));
    assert_int_equal(out[299], 0);
    fcl_buffer_destroy(&a);
    fcl_buffer_destroy(&b);
}

static void slices_share_and_keep_the_root(void **state)
{
    fcl_device *device = *state;
    uint64_t before = fcl_device_memory(device);
    fcl_buffer *root, *slice, *inner;
    int value = 12345, seen = 0;
    assert_ok(fcl_buffer_create(device, 4096, &root));
    assert_ok(fcl_buffer_slice(root, 1024, 2048, &slice));
    assert_ok(fcl_buffer_slice(slice, 512, 100, &inner));
    assert_int_equal(fcl_buffer_size(inner), 100);
    assert_ok(fcl_buffer_write(inner, 8, sizeof value, &value));
    assert_ok(fcl_buffer_read(root, 1024 + 512 + 8, sizeof seen, &seen));
    assert_int_equal(seen, value);
    fcl_buffer_destroy(&root);
    fcl_buffer_destroy(&slice);
    seen = 0;
    assert_ok(fcl_buffer_read(inner, 8, sizeof seen, &seen));
    assert_int_equal(seen, value);
    assert_int_equal(fcl_device_memory(device), before + 4096);
    fcl_buffer_destroy(&inner);
    assert_int_equal(fcl_device_memory(device), before);
    assert_true(fcl_device_memory_peak(device) >= before + 4096);
}

static void a_buffer_lies_over_its_content(void **state)
{
    fcl_device *device = *state;
    enum { BYTES = 1237 };
    uint8_t content[BYTES + 1], out[BYTES];
    fcl_buffer *over, *copy;
    for (int i = 0; i < BYTES; i++)
        content[1 + i] = (uint8_t)(7 * i); /* at an odd address: who calls does not promise any alignment */
    uint64_t before = fcl_device_memory(device);
    assert_ok(fcl_buffer_create_over(device, BYTES, content + 1, &over));
    assert_int_equal(fcl_device_memory(device), before + BYTES);
    assert_ok(fcl_buffer_create(device, BYTES, &copy));
    assert_ok(fcl_buffer_copy(copy, 0, over, 0, BYTES));
    assert_ok(fcl_buffer_read(copy, 0, BYTES, out));
    assert_memory_equal(out, content + 1, BYTES);
    fcl_buffer_destroy(&copy);
    fcl_buffer_destroy(&over);
    assert_int_equal(fcl_device_memory(device), before);
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_create_over(device, 0, content, &over));
}

/* Who destroys the buffer may release the content at once. */
static void a_buffer_is_done_with_its_content(void **state)
{
    fcl_device *device = *state;
    size_t bytes = is_simulator(device) ? 1 << 12 : 1 << 25;
    uint8_t *content = malloc(bytes), *out = malloc(bytes);
    fcl_buffer *over, *copy;
    memset(content, 42, bytes);
    assert_ok(fcl_buffer_create(device, bytes, &copy));
    assert_ok(fcl_buffer_create_over(device, bytes, content, &over));
    assert_ok(fcl_buffer_copy(copy, 0, over, 0, bytes));
    fcl_buffer_destroy(&over);
    memset(content, 7, bytes);
    assert_ok(fcl_buffer_read(copy, 0, bytes, out));
    for (size_t i = 0; i < bytes; i++)
        if (out[i] != 42)
            fail_msg("byte %zu is %d", i, out[i]);
    fcl_buffer_destroy(&copy);
    free(content);
    free(out);
}

/* On CPUs these lie in pages of their own, which go when the buffer does: commands may still use it then. */
static void large_buffers_are_as_others(void **state)
{
    fcl_device *device = *state;
    const size_t bytes = (is_simulator(device) ? 1 << 12 : 5 << 20) + 4, tail = 1000;
    uint64_t before = fcl_device_memory(device);
    uint8_t *out = malloc(bytes), *content = malloc(bytes);
    memset(content, 42, bytes);
    for (int i = 0; i < 3; i++) {
        fcl_buffer *large, *end;
        assert_ok(fcl_buffer_create(device, bytes, &large));
        assert_int_equal(fcl_device_memory(device), before + bytes);
        assert_true(fcl_buffer_is_aligned(large));
        assert_ok(fcl_buffer_read(large, 0, bytes, out));
        for (size_t k = 0; k < bytes; k++)
            if (out[k] != 0)
                fail_msg("byte %zu is %d", k, out[k]);
        assert_ok(fcl_buffer_slice(large, 1024, bytes - 1024, &end));
        assert_ok(fcl_buffer_write(end, bytes - 1024 - tail, tail, content));
        assert_ok(fcl_buffer_read(large, bytes - tail - 1, tail + 1, out));
        assert_int_equal(out[0], 0);
        assert_memory_equal(out + 1, content, tail);
        fcl_buffer_destroy(&end);
        assert_ok(fcl_buffer_write(large, 0, bytes, content));
        assert_ok(fcl_buffer_zero(large));
        fcl_buffer_destroy(&large);
        assert_int_equal(fcl_device_memory(device), before);
    }
    free(content);
    free(out);
}

/* In the order of the queue; the host waits at the end alone. */
static void transfers_need_no_waiting(void **state)
{
    fcl_device *device = *state;
    enum { BYTES = 1237, AT = 19 };
    uint8_t content[BYTES], out[BYTES] = {0};
    fcl_buffer *from, *to;
    fcl_transfer *there, *back, *none = (fcl_transfer *)content;
    for (int i = 0; i < BYTES; i++)
        content[i] = (uint8_t)(11 * i);
    assert_ok(fcl_buffer_create(device, AT + BYTES, &from));
    assert_ok(fcl_buffer_create(device, AT + BYTES, &to));
    assert_ok(fcl_buffer_write_begin(from, AT, BYTES, content, &there));
    assert_ok(fcl_buffer_copy(to, 0, from, AT, BYTES));
    assert_ok(fcl_buffer_read_begin(to, 0, BYTES, out, &back));
    assert_ok(fcl_transfer_end(&back));
    assert_memory_equal(out, content, BYTES);
    assert_ok(fcl_transfer_end(&there));
    assert_null(there);
    assert_ok(fcl_transfer_end(&there)); /* NULL is no transfer */
    assert_ok(fcl_buffer_write_begin(from, AT, 0, content, &none));
    assert_null(none);
    assert_ok(fcl_buffer_read_begin(from, AT + BYTES, 0, out, &none));
    assert_null(none);
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_read_begin(from, AT + 1, BYTES, out, &none));
    assert_null(none);
    fcl_buffer_destroy(&from);
    fcl_buffer_destroy(&to);
}

static void buffer_mistakes_are_told(void **state)
{
    fcl_device *device = *state;
    fcl_buffer *buffer, *none;
    char host[8] = {0};
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_create(device, 0, &none));
    assert_status(FCL_ERR_MEMORY, fcl_buffer_create(device, (size_t)1 << 60, &none));
    assert_told("MiB");
    assert_ok(fcl_buffer_create(device, 2048, &buffer));
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_slice(buffer, 100, 4, &none));
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_slice(buffer, 512, 2048, &none));
    assert_null(none);
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_write(buffer, 2044, 8, host));
    assert_status(FCL_ERR_ARGUMENT, fcl_buffer_read(buffer, SIZE_MAX, 8, host));
    fcl_buffer_destroy(&buffer);
}

static const char kernel_text[] = "kernel void scale(global float *x, float factor, uint count)\n"
                                  "{\n"
                                  "    uint i = get_global_id(0);\n"
                                  "    if (i < count)\n"
                                  "        x[i] = (x[i] + i) * factor;\n"
                                  "}\n";

/* x[i] = ((0 + i) * 2 + i) * 2 = 6 i: the range is rounded up to the group, and the kernel guards its edge.
 */
static void scale_twice(fcl_device *device)
{
    fcl_program *program;
    fcl_launch *launch;
    fcl_buffer *x;
    float host[101];
    assert_ok(fcl_program_build(device, "scale", kernel_text, NULL, &program));
    assert_ok(fcl_launch_create(program, "scale", "twice", &launch));
    assert_ok(fcl_buffer_create(device, sizeof host, &x));
    fcl_launch_buffer(launch, 0, x);
    fcl_launch_float(launch, 1, 2);
    fcl_launch_uint(launch, 2, 101);
    fcl_launch_range_1d(launch, 101, 64);
    assert_ok(fcl_launch_enqueue(launch));
    fcl_launch_range_1d(launch, 101, 0);
    assert_ok(fcl_launch_enqueue(launch));
    fcl_launch_range_1d(launch, 0, 64);
    assert_ok(fcl_launch_enqueue(launch));
    assert_ok(fcl_buffer_read(x, 0, sizeof host, host));
    for (int i = 0; i < 101; i++)
        assert_true(host[i] == 6.0f * (float)i);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    fcl_buffer_destroy(&x);
    assert_ok(fcl_device_finish(device));
}

static void launches_run(void **state)
{
    scale_twice(*state);
}

static void launch_mistakes_are_kept(void **state)
{
    fcl_device *device = *state;
    fcl_program *program;
    fcl_launch *launch;
    assert_ok(fcl_program_build(device, "scale", kernel_text, NULL, &program));
    assert_status(FCL_ERR_OPENCL, fcl_launch_create(program, "shrink", NULL, &launch));
    assert_told("shrink");
    assert_null(launch);
    assert_ok(fcl_launch_create(program, "scale", NULL, &launch));
    fcl_launch_int(launch, 7, 1);
    fcl_launch_float(launch, 1, 2);
    fcl_launch_range_1d(launch, 64, 0);
    assert_status(FCL_ERR_OPENCL, fcl_launch_enqueue(launch));
    assert_told("argument 7");
    fcl_launch_destroy(&launch);

    assert_ok(fcl_launch_create(program, "scale", NULL, &launch));
    fcl_launch_range_1d(launch, 1 << 20, 1 << 20);
    fcl_launch_buffer(launch, 0, NULL);
    fcl_launch_float(launch, 1, 2);
    fcl_launch_uint(launch, 2, 0);
    assert_status(FCL_ERR_OPENCL, fcl_launch_enqueue(launch));
    assert_told("groups of 1048576");
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
}

static void many_commands_stay_bounded(void **state)
{
    fcl_device *device = *state;
    int rounds = is_simulator(device) ? 600 : 5000;
    fcl_program *program;
    fcl_launch *launch;
    fcl_buffer *x;
    float seen;
    assert_ok(fcl_program_build(device, "count", "kernel void count(global float *x) { x[0] += 1; }", NULL,
                                &program));
    assert_ok(fcl_launch_create(program, "count", NULL, &launch));
    assert_ok(fcl_buffer_create(device, 4, &x));
    fcl_launch_buffer(launch, 0, x);
    fcl_launch_range_1d(launch, 1, 1);
    for (int i = 0; i < rounds; i++)
        assert_ok(fcl_launch_enqueue(launch));
    assert_ok(fcl_buffer_read(x, 0, sizeof seen, &seen));
    assert_true(seen == (float)rounds);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    fcl_buffer_destroy(&x);
}

static void a_kernels_mistake_has_file_and_line(void **state)
{
    fcl_device *device = *state;
    fcl_program *program;
    const char *text = "kernel void good(global int *x)\n{\n    x[0] = 1;\n}\n"
                       "#line 1 \"cl/broken.cl\"\n"
                       "kernel void bad(global int *x)\n{\n    x[0] = no_such_name;\n}\n";
    assert_status(FCL_ERR_BUILD,
                  fcl_program_build(device, "broken program", text, "-cl-mad-enable", &program));
    assert_null(program);
    assert_told("broken program");
    assert_told(fcl_device_describe(device)->name);
    assert_told("-cl-mad-enable");
    /* Oclgrind's compiler runs on preprocessed text and forgets the lines; NVIDIA's counts those of the whole text. */
    if (!is_simulator(device) && !strstr(fcl_device_describe(device)->platform_name, "NVIDIA"))
        assert_told("cl/broken.cl:3");
}

static void kernel_texts_are_embedded(void **state)
{
    fcl_device *device = *state;
    fcl_program *first, *again;
    assert_non_null(fcl_kernel_text("philox.h"));
    assert_null(fcl_kernel_text("nothing.cl"));
    assert_ok(fcl_device_program(device, &first));
    assert_ok(fcl_device_program(device, &again));
    assert_ptr_equal(first, again);
}

static void selftest_passes(void **state)
{
    fcl_selftest_line *lines;
    int count, with_rounding = 0;
    assert_ok(fcl_device_selftest(*state, &lines, &count));
    assert_int_equal(count, 8);
    for (int i = 0; i < count; i++) {
        assert_true(lines[i].passed && lines[i].error <= lines[i].bound && lines[i].detail[0] == 0);
        with_rounding += lines[i].error > 0;
    }
    assert_true(with_rounding >= 6);
    fcl_free(lines);
}

static void open_and_close(void)
{
    fcl_device *device;
    assert_ok(fcl_device_open(NULL, NULL, &device));
    fcl_device_close(&device);
}

/* The one file of the folder: its whole name in `path`, its inode returned; 0 where there is none. */
static ino_t verdict_file(const char *folder, char *path, size_t size)
{
    char pattern[300];
    glob_t found;
    struct stat status = {0};
    snprintf(pattern, sizeof pattern, "%s/flowcl/selftest-*", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        assert_int_equal(found.gl_pathc, 1);
        snprintf(path, size, "%s", found.gl_pathv[0]);
        assert_int_equal(stat(path, &status), 0);
    }
    globfree(&found);
    return status.st_ino;
}

/* A kept verdict is a file; it is written anew when it is damaged, and only then. */
static void the_verdict_is_kept(void **state)
{
    (void)state;
    char *kept = strdup(getenv("XDG_CACHE_HOME")), folder[200], path[400];
    snprintf(folder, sizeof folder, "%s-XXXXXX", kept);
    assert_non_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    assert_int_equal(verdict_file(folder, path, sizeof path), 0);
    open_and_close();
    ino_t first = verdict_file(folder, path, sizeof path);
    assert_true(first != 0);
    open_and_close();
    assert_int_equal(verdict_file(folder, path, sizeof path), first);
    assert_int_equal(truncate(path, 3), 0);
    open_and_close();
    assert_true(verdict_file(folder, path, sizeof path) != first);

    /* What somebody else may have written is not believed, and written anew. */
    first = verdict_file(folder, path, sizeof path);
    assert_int_equal(chmod(path, 0666), 0);
    open_and_close();
    assert_true(verdict_file(folder, path, sizeof path) != first);
    first = verdict_file(folder, path, sizeof path);
    if (chown(path, 12345, (gid_t)-1) == 0) { /* as root only */
        open_and_close();
        assert_true(verdict_file(folder, path, sizeof path) != first);
        assert_true(stat(path, &(struct stat){0}) == 0);
    }

    assert_int_equal(remove(path), 0);
    snprintf(path, sizeof path, "%s/flowcl", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    open_and_close();
    setenv("XDG_CACHE_HOME", kept, 1);
    free(kept);
}

static void profile_counts_launches(void **state)
{
    (void)state;
    fcl_device *device;
    fcl_device_options options = {.profile = true};
    fcl_profile_line *lines;
    int count;
    assert_ok(fcl_device_open(NULL, &options, &device));
    fcl_device_profile_reset(device);
    scale_twice(device);
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].name, "twice");
    assert_int_equal(lines[0].launches, 2);
    assert_true(lines[0].seconds >= 0 && lines[0].seconds < 60);
    fcl_free(lines);
    fcl_device_profile_reset(device);
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 0);
    fcl_free(lines);
    fcl_device_close(&device);
}

static void no_profile_unless_asked(void **state)
{
    fcl_device *device = *state;
    fcl_profile_line *lines;
    int count = 1;
    scale_twice(device);
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 0);
    fcl_free(lines);
    fcl_device_profile_reset(device);
}

int main(void)
{
    setenv("FLOWCL_DEVICE", "cpu", 0);
    setenv("XDG_CACHE_HOME", "/tmp", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_tells_of_every_device),
        cmocka_unit_test(selectors_name_a_device),
        cmocka_unit_test(unknown_devices_are_refused_in_words),
        cmocka_unit_test(buffers_start_as_zero),
        cmocka_unit_test(buffers_keep_what_is_written),
        cmocka_unit_test(slices_share_and_keep_the_root),
        cmocka_unit_test(a_buffer_lies_over_its_content),
        cmocka_unit_test(a_buffer_is_done_with_its_content),
        cmocka_unit_test(large_buffers_are_as_others),
        cmocka_unit_test(transfers_need_no_waiting),
        cmocka_unit_test(buffer_mistakes_are_told),
        cmocka_unit_test(launches_run),
        cmocka_unit_test(launch_mistakes_are_kept),
        cmocka_unit_test(many_commands_stay_bounded),
        cmocka_unit_test(a_kernels_mistake_has_file_and_line),
        cmocka_unit_test(kernel_texts_are_embedded),
        cmocka_unit_test(selftest_passes),
        cmocka_unit_test(the_verdict_is_kept),
        cmocka_unit_test(profile_counts_launches),
        cmocka_unit_test(no_profile_unless_asked),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
