/* What numbers are normalised by, for people. */
#include "tool.h"

#include <math.h>

/* From -1 to 1 pictures are drawn unless something else is known. */
static bool has_range(const fcl_normalisation *by)
{
    return by->low < by->high && (fabs(by->low + 1) > 1e-6 || fabs(by->high - 1) > 1e-6);
}

void tool_print_normalisation(FILE *stream, const char *heading, const fcl_normalisation *by)
{
    char *text = fcl_normalisation_text(by);
    if (by->count || has_range(by))
        fputs(heading, stream);
    if (has_range(by))
        fcl_fprintf(stream, "pictures from %g to %g%s", by->low, by->high, by->count ? ", " : "\n");
    if (by->count)
        fprintf(stream, "the model sees %s\n", text);
    fcl_free(text);
}
