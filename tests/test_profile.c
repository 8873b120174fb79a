/* Times that cannot be, as some drivers tell them: this process's own clGetEventProfilingInfo answers for the driver. */
#include "device.h"
#include "device/opencl.h"

#include <flowcl/flowcl.h>

#include <dlfcn.h>
#include <string.h>

enum { LAUNCHES = 6 };

typedef enum driver { TRUE, NONE, ZERO, TURNED, BACKWARDS, LATE, LONG, MARKERS } driver;
static driver now;

static bool is_marker(cl_event event)
{
    cl_command_type type = 0;
    clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL);
    return type == CL_COMMAND_MARKER;
}

cl_int clGetEventProfilingInfo(cl_event event, cl_profiling_info key, size_t room, void *value, size_t *size)
{
    static const cl_ulong second = 1000000000;
    static cl_ulong earlier;
    __typeof__(clGetEventProfilingInfo) *real;
    void *symbol = dlsym(RTLD_NEXT, "clGetEventProfilingInfo");
    memcpy(&real, &symbol, sizeof real);
    cl_int code = real(event, key, room, value, size);
    cl_ulong time;
    if (code != CL_SUCCESS || !value)
        return code;
    memcpy(&time, value, sizeof time);
    const bool start = key == CL_PROFILING_COMMAND_START;
    earlier += start ? second : 0;
    switch (now) {
    case TRUE: break;
    case NONE: return CL_PROFILING_INFO_NOT_AVAILABLE;
    case ZERO: time = 0; break;
    case TURNED: time = start ? time : time - second; break;
    case BACKWARDS: time -= earlier; break; /* each command before the last one */
    case LATE: time = start ? 0 : time; break;
    case LONG: time = start ? time : time + 100 * second; break;
    case MARKERS: time = is_marker(event) ? 0 : time; break;
    }
    memcpy(value, &time, sizeof time);
    return code;
}

static int open_profiling(void **state)
{
    fcl_device_options options = {.profile = true};
    int status = fcl_device_open(NULL, &options, (fcl_device **)state);
    if (status != FCL_OK)
        print_error("%s\n", fcl_error());
    return status;
}

static const char spin_text[] = "kernel void spin(global float *x)\n"
                                "{\n"
                                "    float y = x[0];\n"
                                "    for (int i = 0; i < 100000; i++)\n"
                                "        y = y * 0.5f + 1.0f;\n"
                                "    x[0] = y;\n"
                                "}\n";

/* The line of a kernel that has run LAUNCHES times. */
static fcl_profile_line spin(fcl_device *device, driver told)
{
    fcl_program *program;
    fcl_launch *launch;
    fcl_buffer *x;
    fcl_profile_line *lines, line;
    int count;
    assert_ok(fcl_program_build(device, "spin", spin_text, NULL, &program));
    assert_ok(fcl_launch_create(program, "spin", "spin", &launch));
    assert_ok(fcl_buffer_create(device, 4, &x));
    fcl_launch_buffer(launch, 0, x);
    fcl_launch_range_1d(launch, 1, 1);
    now = TRUE;
    assert_ok(fcl_launch_enqueue(launch)); /* compiles */
    assert_ok(fcl_device_finish(device));
    fcl_device_profile_reset(device);
    now = told;
    for (int i = 0; i < LAUNCHES; i++)
        assert_ok(fcl_launch_enqueue(launch));
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 1);
    line = lines[0];
    fcl_free(lines);
    fcl_launch_destroy(&launch);
    fcl_program_destroy(&program);
    fcl_buffer_destroy(&x);
    assert_string_equal(line.name, "spin");
    assert_int_equal(line.launches, LAUNCHES);
    return line;
}

static void true_times_are_added(void **state)
{
    fcl_profile_line line = spin(*state, TRUE);
    assert_int_equal(line.untimed, 0);
    assert_true(line.seconds > 0);
}

static void times_that_cannot_be_are_left_out(void **state)
{
    static const driver drivers[] = {NONE, ZERO, TURNED, LATE, LONG};
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        fcl_profile_line line = spin(*state, drivers[i]);
        if (line.untimed != LAUNCHES || line.seconds != 0)
            print_error("driver %d: %d left out, %g s\n", (int)drivers[i], (int)line.untimed, line.seconds);
        assert_int_equal(line.untimed, LAUNCHES);
        assert_true(line.seconds == 0);
    }
}

/* Of commands that end before the one before them began, at most the first has a time. */
static void commands_do_not_run_backwards(void **state)
{
    fcl_profile_line line = spin(*state, BACKWARDS);
    assert_true(line.untimed >= LAUNCHES - 1);
    assert_true(line.seconds < 1);
}

/* A driver whose markers have no times tells nevertheless how long a product takes: not since its clock began. */
static void clblast_needs_no_marker(void **state)
{
    fcl_device *device = *state;
    fcl_gemm_problem p = {.m = 64, .n = 64, .k = 64, .batch = 1};
    fcl_gemm_choice choice = {.provider = FCL_GEMM_CLBLAST};
    fcl_buffer *buffers[3];
    fcl_gemm *gemm;
    fcl_profile_line *lines;
    int count;
    for (int i = 0; i < 3; i++)
        assert_ok(fcl_buffer_create(device, 64 * 64 * sizeof(float), &buffers[i]));
    assert_ok(fcl_gemm_create(device, &p, &choice, 0, buffers[0], buffers[1], buffers[2], "product", &gemm));
    now = TRUE;
    assert_ok(fcl_gemm_enqueue(gemm)); /* compiles */
    assert_ok(fcl_device_finish(device));
    fcl_device_profile_reset(device);
    now = MARKERS;
    for (int i = 0; i < LAUNCHES; i++)
        assert_ok(fcl_gemm_enqueue(gemm));
    assert_ok(fcl_device_profile(device, &lines, &count));
    assert_int_equal(count, 1);
    assert_string_equal(lines[0].name, "product");
    assert_int_equal(lines[0].launches, LAUNCHES);
    assert_int_equal(lines[0].untimed, 0);
    assert_true(lines[0].seconds > 0 && lines[0].seconds < 1000);
    fcl_free(lines);
    fcl_gemm_destroy(&gemm);
    for (int i = 0; i < 3; i++)
        fcl_buffer_destroy(&buffers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(true_times_are_added),
        cmocka_unit_test(times_that_cannot_be_are_left_out),
        cmocka_unit_test(commands_do_not_run_backwards),
        cmocka_unit_test(clblast_needs_no_marker),
    };
    return cmocka_run_group_tests(tests, open_profiling, close_device);
}
