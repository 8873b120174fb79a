/* Shapes that come from files: sizes that cannot overflow, and their text. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <flowcl/base.h>

/* The bytes of `shape` with elements of `item` bytes; false where that is negative or overflows. Beside a
 * zero the other dimensions are checked all the same, so that strides cannot overflow. */
bool fcl_shape_bytes(fcl_shape shape, size_t item, size_t *bytes);

/* Whether samples of that shape are pictures: (H, W), or (C, H, W) with C 1 or 3. */
bool fcl_shape_is_picture(fcl_shape sample);

/* "(2, 3)", "(5,)" or "()". */
enum { FCL_SHAPE_TEXT = 24 * FCL_MAX_RANK };
const char *fcl_shape_format(fcl_shape shape, char text[FCL_SHAPE_TEXT]);

#endif
