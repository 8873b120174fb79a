/* The classes of a model or of data, for people. */
#include "tool.h"

#include <inttypes.h>

static void print_shares(FILE *stream, int classes, const int64_t *counts)
{
    int64_t least = INT64_MAX, most = 0, all = 0;
    for (int k = 0; k < classes; k++) {
        all += counts[k];
        least = counts[k] > 0 && counts[k] < least ? counts[k] : least;
        most = counts[k] > most ? counts[k] : most;
    }
    fcl_fprintf(stream, ", with %.3g", 100.0 * (double)least / (double)all);
    if (least < most)
        fcl_fprintf(stream, " to %.3g", 100.0 * (double)most / (double)all);
    fputs(" % of the samples each", stream);
}

void tool_print_note(const char *name, const char *note)
{
    if (note)
        fprintf(stderr, "note: %s: %s\n", name, note);
}

char *tool_classes_text(int classes, const char *const *names, const int64_t *counts, double label_drop)
{
    int existing = fcl_class_existing(classes, counts);
    char *there = fcl_class_list(classes, names, counts, false);
    char *empty = fcl_class_list(classes, names, counts, true);
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    if (stream) {
        fprintf(stream, "%d class%s, %s", existing, existing == 1 ? "" : "es", there);
        if (counts && existing > 1)
            print_shares(stream, classes, counts);
        if (existing < classes)
            fprintf(stream, "; without samples, and left out: %s", empty);
        if (label_drop > 0)
            fcl_fprintf(stream, "; not told for %.3g %% of the samples of a step", 100 * label_drop);
        fclose(stream);
    }
    fcl_free(there);
    fcl_free(empty);
    return text;
}
