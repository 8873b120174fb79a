/* What numbers are normalised by, for people. */
#include "tool.h"

#include <math.h>

/* From -1 to 1 pictures are drawn unless something else is known. */
static bool has_range(const fcl_normalisation *by)
{
    return by->low < by->high && (fabs(by->low + 1) > 1e-6 || fabs(by->high - 1) > 1e-6);
}

char *tool_normalisation_text(const fcl_normalisation *by)
{
    char *columns = fcl_normalisation_text(by), *text = NULL;
    size_t length;
    FILE *stream = by->count || has_range(by) ? open_memstream(&text, &length) : NULL;
    if (stream) {
        if (has_range(by))
            fcl_fprintf(stream, "pictures from %g to %g%s", by->low, by->high, by->count ? ", " : "");
        if (by->count)
            fprintf(stream, "the model sees %s", columns);
        fclose(stream);
    }
    fcl_free(columns);
    return text;
}
