/* Assertions on a status, which print the sentence that came with it; and $FCL_TEST_CASE, a pattern of the tests to run. */
#ifndef STATUS_H
#define STATUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <flowcl/base.h>

#define assert_ok(call)               check_status(FCL_OK, call, __FILE__, __LINE__)
#define assert_status(expected, call) check_status(expected, call, __FILE__, __LINE__)
/* The last sentence holds `part`. */
#define assert_told(part) check_told(part, __FILE__, __LINE__)

__attribute__((constructor)) static inline void choose_cases(void)
{
    if (getenv("FCL_TEST_CASE"))
        cmocka_set_test_filter(getenv("FCL_TEST_CASE"));
}

static inline void check_status(int expected, int status, const char *file, int line)
{
    if (status != expected)
        print_error("%s:%d: %s: %s\n", file, line, fcl_status_name(status), fcl_error());
    _assert_int_equal((uintmax_t)expected, (uintmax_t)status, file, line);
}

static inline void check_told(const char *part, const char *file, int line)
{
    if (!strstr(fcl_error(), part)) {
        print_error("%s:%d: \"%s\" does not say \"%s\"\n", file, line, fcl_error(), part);
        _fail(file, line);
    }
}

#endif
