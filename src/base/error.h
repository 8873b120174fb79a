/* The thread's error message. Functions end with `return fcl_fail(FCL_ERR_FILE, "cannot open %s: %s", ...)`. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <flowcl/base.h>

/* Records the sentence and returns the code, so that a function can fail in one line. */
int fcl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message of a failure that a callee has just recorded; returns status. */
int fcl_fail_within(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Evaluates a call that returns a status and returns it from the enclosing function unless it is FCL_OK. */
#define FCL_TRY(call)                                                                                       \
    do {                                                                                                    \
        int try_status_ = (call);                                                                           \
        if (try_status_ != FCL_OK)                                                                          \
            return try_status_;                                                                             \
    } while (0)

#endif
