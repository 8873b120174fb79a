/* Blocks that come to the device beside its work: each arrives whole, in its place and in its turn, the host
 * waits for none, and they come while the device is busy. */
#include "device.h"
#include "device/opencl.h"
#include "device/staging.h"
#include "opencl_calls.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned seed;

enum { BLOCKS = 9, BYTES = 12345, HEAD = 300 };

/* It calls OpenCL's functions itself, and waits in them for what it has computed by then. */
static bool is_simulator(const fcl_device *device)
{
    return strstr(fcl_device_describe(device)->name, "Oclgrind") != NULL;
}

/* Two buffers that the pieces go to, at changing places; after each block they are copied into its part of a
 * record, in the order of the queue, before the next block takes their place. */
static void blocks_arrive_in_turn(void **state)
{
    static uint8_t sent[BLOCKS][BYTES], record[BLOCKS][BYTES];
    fcl_device *device = *state;
    fcl_staging *staging;
    fcl_buffer *head, *tail, *kept;
    assert_ok(fcl_staging_create(device, BYTES, &staging));
    assert_ok(fcl_buffer_create(device, 2 * HEAD, &head));
    assert_ok(fcl_buffer_create(device, BYTES - HEAD, &tail));
    assert_ok(fcl_buffer_create(device, sizeof record, &kept));
    for (int i = 0; i < BLOCKS; i++) {
        size_t place = i % 2 ? HEAD : 0, at = (size_t)i * BYTES;
        const fcl_staged pieces[] = {{0, HEAD, head, place}, {HEAD, BYTES - HEAD, tail, 0}};
        void *memory;
        for (int k = 0; k < BYTES; k++)
            sent[i][k] = (uint8_t)rand_r(&seed);
        assert_ok(fcl_staging_fill(staging, &memory));
        memcpy(memory, sent[i], BYTES);
        calls = (opencl_calls){0};
        assert_ok(fcl_staging_send(staging, 2, pieces));
        assert_ok(fcl_buffer_copy(kept, at, head, place, HEAD));
        assert_ok(fcl_buffer_copy(kept, at + HEAD, tail, 0, BYTES - HEAD));
        assert_int_equal(calls.writes, 1);
        assert_true(calls.waits == 0 || is_simulator(device));
    }
    assert_ok(fcl_buffer_read(kept, 0, sizeof record, record));
    assert_memory_equal(sent, record, sizeof sent);
    fcl_staging_destroy(&staging);
    fcl_buffer_destroy(&head);
    fcl_buffer_destroy(&tail);
    fcl_buffer_destroy(&kept);
}

/* Both tables are filled and left the host while the device's queue stands still; and nothing is in the
 * buffer yet. */
static void blocks_come_while_the_device_works(void **state)
{
    fcl_device *device = *state;
    fcl_staging *staging;
    fcl_buffer *buffer;
    uint8_t found[BYTES];
    cl_int code;
    if (is_simulator(device)) /* runs a queue at a time */
        skip();
    assert_ok(fcl_staging_create(device, BYTES, &staging));
    assert_ok(fcl_buffer_create(device, BYTES, &buffer));
    cl_event gate = clCreateUserEvent(device->context, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clEnqueueBarrierWithWaitList(device->queue, 1, &gate, NULL), CL_SUCCESS);
    for (int i = 1; i <= 2; i++) {
        void *memory;
        assert_ok(fcl_staging_fill(staging, &memory));
        memset(memory, i, BYTES);
        assert_ok(fcl_staging_send(staging, 1, &(fcl_staged){0, BYTES, buffer, 0}));
    }
    for (int i = 3; i <= 4; i++) {
        void *memory;
        assert_ok(fcl_staging_fill(staging, &memory)); /* returns once block i - 2 has left the host */
        memset(memory, i, BYTES);
        if (i == 4)
            assert_int_equal(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
        else
            assert_ok(fcl_staging_send(staging, 1, &(fcl_staged){0, BYTES, buffer, 0}));
    }
    assert_ok(fcl_staging_send(staging, 1, &(fcl_staged){0, BYTES, buffer, 0}));
    assert_ok(fcl_buffer_read(buffer, 0, BYTES, found));
    for (int k = 0; k < BYTES; k++)
        assert_int_equal(found[k], 4);
    clReleaseEvent(gate);
    fcl_staging_destroy(&staging);
    fcl_buffer_destroy(&buffer);
}

static void mistakes_are_told(void **state)
{
    fcl_staging *staging;
    fcl_buffer *buffer;
    void *memory;
    assert_ok(fcl_staging_create(*state, 100, &staging));
    assert_ok(fcl_buffer_create(*state, 64, &buffer));
    assert_ok(fcl_staging_fill(staging, &memory));
    assert_status(FCL_ERR_ARGUMENT, fcl_staging_send(staging, 1, &(fcl_staged){0, 60, buffer, 5}));
    assert_told("cannot copy to 60 bytes at 5 of a buffer of 64 bytes");
    assert_status(FCL_ERR_ARGUMENT, fcl_staging_send(staging, 1, &(fcl_staged){90, 11, buffer, 0}));
    fcl_staging_destroy(&staging);
    fcl_buffer_destroy(&buffer);
}

int main(void)
{
    setenv("FLOWCL_DEVICE", "cpu", 0);
    const char *given = getenv("FCL_TEST_SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    printf("FCL_TEST_SEED=%u\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_arrive_in_turn),
        cmocka_unit_test(blocks_come_while_the_device_works),
        cmocka_unit_test(mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
