/* A folder of the test's own, for files. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>

/* cmocka group fixtures: make the folder, remove it with all that is in it. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* The path of a file in it; valid until the eighth call after this one. */
const char *scratch_path(const char *name);

/* Writes a file and returns its path. */
const char *scratch_write(const char *name, const void *bytes, size_t size);

/* Removes a folder in it with all that is in that, where it is there. */
void scratch_remove(const char *name);

/* The names in the folder that contain `part`, counted. */
int scratch_count(const char *part);

#endif
