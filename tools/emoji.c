/* Draws emoji as pictures of colour, for tools/emoji.sh: one PNG each, with what is around it left clear.
 *
 *     emoji LIST DIR SIZE all|plain
 *
 * LIST is Unicode's emoji-test.txt. Those of each of its groups go into a subfolder of DIR; `plain` leaves
 * those with tones of skin away, which differ in little else. Drawn by Pango in the font "Noto Color Emoji",
 * large, and averaged down. */
#include <cairo.h>
#include <ctype.h>
#include <errno.h>
#include <pango/pangocairo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OVER = 8, MOST_BYTES = 64 }; /* drawn that many times as large; of an emoji in UTF-8 */

typedef struct drawing {
    const char *folder;
    int size;
    bool all;
    char group[80];
    int drawn, lacking; /* emoji that the font does not have are left away */
} drawing;

static void fail(const char *what, const char *where, const char *why)
{
    fprintf(stderr, "emoji: %s %s: %s\n", what, where, why);
    exit(1);
}

/* "Smileys & Emotion" to "smileys-emotion". */
static void simplify(const char *text, char *to, size_t room)
{
    size_t used = 0;
    for (; *text && *text != '\n' && used + 2 < room; text++) {
        if (isalnum((unsigned char)*text))
            to[used++] = (char)tolower((unsigned char)*text);
        else if (used && to[used - 1] != '-')
            to[used++] = '-';
    }
    to[used - (used && to[used - 1] == '-')] = 0;
}

/* --- the picture --- */

/* What the font lacks is drawn in pieces, or as a box. */
static bool is_one_glyph(PangoLayout *layout)
{
    PangoLayoutIter *iterator = pango_layout_get_iter(layout);
    const PangoLayoutRun *run = pango_layout_iter_get_run_readonly(iterator);
    bool one = pango_layout_get_unknown_glyphs_count(layout) == 0 && run && run->glyphs->num_glyphs == 1;
    if (pango_layout_iter_next_run(iterator)) /* a line ends with none */
        one = one && !pango_layout_iter_get_run_readonly(iterator);
    pango_layout_iter_free(iterator);
    return one;
}

/* The layout's ink fills a square of `side` pixels, centred. NULL: the font lacks it, or has it in pieces
 * only. */
static cairo_surface_t *draw_large(const char *text, int side)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, side, side);
    cairo_t *cairo = cairo_create(surface);
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    PangoFontDescription *font = pango_font_description_from_string("Noto Color Emoji");
    PangoRectangle ink;
    pango_font_description_set_absolute_size(font, 0.75 * side * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    pango_layout_set_text(layout, text, -1);
    pango_layout_get_pixel_extents(layout, &ink, NULL);
    bool whole = is_one_glyph(layout) && ink.width > 0 && ink.height > 0;
    double scale = (double)side / (ink.width > ink.height ? ink.width : ink.height);
    cairo_translate(cairo, (side - ink.width * scale) / 2, (side - ink.height * scale) / 2);
    cairo_scale(cairo, scale, scale);
    cairo_move_to(cairo, -ink.x, -ink.y);
    pango_cairo_show_layout(cairo, layout);
    pango_font_description_free(font);
    g_object_unref(layout);
    cairo_destroy(cairo);
    cairo_surface_flush(surface);
    if (whole)
        return surface;
    cairo_surface_destroy(surface);
    return NULL;
}

/* The mean of OVER x OVER premultiplied pixels. */
static uint32_t mean_at(const uint8_t *pixels, int stride, int y, int x)
{
    unsigned sum[4] = {0};
    uint8_t mean[4];
    uint32_t pixel;
    for (int i = 0; i < OVER * OVER; i++)
        for (int c = 0; c < 4; c++)
            sum[c] += pixels[(size_t)(y * OVER + i / OVER) * (size_t)stride +
                             (size_t)(4 * (x * OVER + i % OVER) + c)];
    for (int c = 0; c < 4; c++)
        mean[c] = (uint8_t)((sum[c] + OVER * OVER / 2) / (OVER * OVER));
    memcpy(&pixel, mean, sizeof pixel);
    return pixel;
}

static cairo_surface_t *draw(const char *text, int size)
{
    cairo_surface_t *large = draw_large(text, OVER * size);
    if (!large)
        return NULL;
    cairo_surface_t *small = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, size, size);
    cairo_surface_flush(small);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            uint32_t pixel =
                mean_at(cairo_image_surface_get_data(large), cairo_image_surface_get_stride(large), y, x);
            memcpy(cairo_image_surface_get_data(small) + y * cairo_image_surface_get_stride(small) + 4 * x,
                   &pixel, sizeof pixel);
        }
    cairo_surface_mark_dirty(small);
    cairo_surface_destroy(large);
    return small;
}

/* --- the list --- */

static void make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        fail("cannot make the folder", path, strerror(errno));
}

static void write_one(drawing *d, const char *text, const char *name)
{
    char path[4096];
    cairo_surface_t *surface = draw(text, d->size);
    if (!surface) {
        d->lacking++;
        return;
    }
    snprintf(path, sizeof path, "%s/%s", d->folder, d->group);
    make_folder(path);
    snprintf(path, sizeof path, "%s/%s/%s.png", d->folder, d->group, name);
    cairo_status_t status = cairo_surface_write_to_png(surface, path);
    if (status != CAIRO_STATUS_SUCCESS)
        fail("cannot write", path, cairo_status_to_string(status));
    cairo_surface_destroy(surface);
    d->drawn++;
}

/* "1F600 ; fully-qualified # [the emoji] E1.0 grinning face" */
static void take_line(drawing *d, const char *line)
{
    char text[MOST_BYTES], whole[200], name[200];
    const char *group = "# group: ", *mark = strchr(line, '#');
    if (strncmp(line, group, strlen(group)) == 0)
        simplify(line + strlen(group), d->group, sizeof d->group);
    if (!mark || !strstr(line, "; fully-qualified") || (!d->all && strstr(line, "skin tone")))
        return;
    const char *emoji = mark + 2, *space = strchr(emoji, ' '), *words = space ? strchr(space + 1, ' ') : NULL;
    if (!words || space - emoji >= MOST_BYTES)
        return;
    snprintf(text, sizeof text, "%.*s", (int)(space - emoji), emoji);
    snprintf(whole, sizeof whole, "%.*s %s", (int)strcspn(line, ";"), line, words + 1); /* words alone may be two's */
    simplify(whole, name, sizeof name);
    write_one(d, text, name);
}

int main(int argc, char **argv)
{
    char line[512];
    if (argc != 5 || atoi(argv[3]) < 1 || atoi(argv[3]) > 512)
        fail("usage:", "emoji LIST DIR SIZE", "all or plain; SIZE is from 1 to 512");
    drawing d = {.folder = argv[2], .size = atoi(argv[3]), .all = strcmp(argv[4], "all") == 0};
    FILE *list = fopen(argv[1], "r");
    if (!list)
        fail("cannot open", argv[1], strerror(errno));
    make_folder(d.folder);
    while (fgets(line, sizeof line, list))
        take_line(&d, line);
    fclose(list);
    printf("%d pictures of %d x %d in %s; the font lacks %d\n", d.drawn, d.size, d.size, d.folder, d.lacking);
    return d.drawn ? 0 : 1;
}
