/* What is said of a folder of pictures. */
#include "data/folder.h"

#include "base/memory.h"

static void tell(fcl_text *note, const char *format, int64_t count)
{
    if (!count)
        return;
    fcl_text_add(note, note->length ? "; " : "");
    fcl_text_format(note, format, (long long)count);
}

static void tell_sizes(const fcl_folder *r, fcl_text *note)
{
    const fcl_pictures *p = r->pictures;
    int64_t cropped = 0, averaged = 0, enlarged = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const fcl_picture *head = &r->head[i];
        fcl_crop crop = fcl_picture_crop(head->width, head->height, p->width, p->height);
        cropped += crop.width != head->width || crop.height != head->height;
        averaged += crop.width > p->width || crop.height > p->height;
        enlarged += crop.width < p->width || crop.height < p->height;
    }
    if (cropped || averaged || enlarged)
        fcl_text_format(note, "brought to %d x %d, height by width", p->height, p->width);
    tell(note, "%lld cropped around the centre", cropped);
    tell(note, p->mask ? "%lld made smaller by all that a pixel covers" : "%lld averaged over areas", averaged);
    tell(note, p->mask ? "%lld enlarged by the nearest pixel" : "%lld enlarged by Lanczos", enlarged);
}

static void tell_colours(const fcl_folder *r, fcl_text *note)
{
    const fcl_pictures *p = r->pictures;
    int64_t grey = 0, clear = 0;
    for (int64_t i = 0; i < p->count; i++) {
        grey += !fcl_folder_is_coloured(r, &r->head[i]);
        clear += r->head[i].clear;
    }
    tell(note, "%lld of grey as colour", p->channels == 3 ? grey : 0);
    tell(note, "%lld of colour as grey", p->channels == 1 ? p->count - grey : 0);
    tell(note, "%lld that can be seen through over ", clear);
    if (clear)
        fcl_text_add(note, fcl_image_below(r->of->options));
}

static void tell_skipped(const fcl_folder *r, fcl_text *note)
{
    const struct {
        int64_t count;
        const char *what;
    } rows[] = {{r->tree.hidden, "hidden"},
                {r->others, "neither PNG nor JPEG"},
                {r->tree.again, "linked to what is there without them"},
                {r->tree.broken, "linked to nothing"},
                {r->damaged, "damaged"}};
    bool first = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].count)
            continue;
        fcl_text_add(note, !first ? ", " : note->length ? "; skipped: " : "skipped: ");
        fcl_text_format(note, "%lld %s", (long long)rows[i].count, rows[i].what);
        first = false;
    }
    if (r->damaged)
        fcl_text_format(note, " (the first: %s)", r->fault);
}

char *fcl_folder_describe(const fcl_folder *r, const fcl_dataset *dataset)
{
    fcl_text note = {0};
    const fcl_dataset_options *options = r->of->options;
    tell_sizes(r, &note);
    tell_colours(r, &note);
    if (dataset->pictures)
        tell(&note, "%lld pictures stay in the folder, and are decoded when they are needed",
             r->pictures->count);
    tell_skipped(r, &note);
    tell(&note, "rows of the label file that are of no picture here: %lld", r->spare);
    if (!dataset->label && !options->unlabeled && !options->label_column)
        fcl_text_format(&note, "%sno classes, as pictures lie outside of subfolders",
                        note.length ? "; " : "");
    return note.data;
}
