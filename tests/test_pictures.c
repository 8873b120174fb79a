/* Picture files and folders of them: every kind of PNG against known pixels, JPEG to within its loss, other
 * sizes against plain double, folders with links, damage and classes. */
#include "picture_files.h"
#include "scratch.h"
#include "status.h"
#include "trial.h"

#include "base/pool.h"
#include "data/picture.h"
#include "data/tree.h"
#include <flowcl/data.h>

#include <math.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

static int draw(int below)
{
    return (int)(trial_uniform() * below) % below;
}

static fcl_dataset *open_ok(const char *path, fcl_dataset_options options)
{
    fcl_dataset *data;
    assert_ok(fcl_dataset_open(path, &options, &data));
    return data;
}

static void assert_refused(const char *path, fcl_dataset_options options, int status, const char *says)
{
    fcl_dataset *data;
    assert_status(status, fcl_dataset_open(path, &options, &data));
    assert_null(data);
    assert_told(says);
}

/* "FOLDER/NAME" below the scratch folder; folders on the way are made. */
static const char *place(const char *name)
{
    char part[200];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        mkdir(scratch_path(part), 0777);
    }
    return scratch_path(name);
}

static void write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

static void write_grey(const char *name, int width, int height, uint8_t value)
{
    uint8_t *pixels = malloc((size_t)(width * height));
    memset(pixels, value, (size_t)(width * height));
    png_write_plain(place(name), width, height, 1, pixels);
    free(pixels);
}

/* --- PNG --- */

/* The 8-bit value of a sample. */
static double spread(int value, int depth)
{
    return rint(value * 255.0 / ((1 << depth) - 1));
}

/* What channel c of pixel p is over the background, by the definition of PNG. */
static double expected(const png_file *png, int p, int c, const uint8_t below[3])
{
    bool coloured = png->type & PNG_COLOR_MASK_COLOR, alpha = png->type & PNG_COLOR_MASK_ALPHA;
    int samples = png->type == PNG_COLOR_TYPE_PALETTE ? 1 : (coloured ? 3 : 1) + alpha;
    const uint16_t *pixel = png->samples + p * samples;
    double value, opacity = 255;
    if (png->type == PNG_COLOR_TYPE_PALETTE) {
        value = png->palette[pixel[0]][c];
        opacity = pixel[0] < png->clear_count ? png->clear[pixel[0]] : 255;
    } else {
        value = spread(pixel[coloured ? c : 0], png->depth);
        if (alpha)
            opacity = spread(pixel[samples - 1], png->depth);
        else if (png->clear_count)
            opacity = memcmp(pixel, png->key, (size_t)samples * sizeof *pixel) == 0 ? 0 : 255;
    }
    return rint((value * opacity + below[c] * (255 - opacity)) / 255);
}

static void draw_png(png_file *png, int type, int depth, bool interlaced, bool clear)
{
    bool palette = type == PNG_COLOR_TYPE_PALETTE;
    int samples = palette ? 1 : (type & PNG_COLOR_MASK_COLOR ? 3 : 1) + (type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
    *png = (png_file){.width = 1 + draw(19),
                      .height = 1 + draw(19),
                      .type = type,
                      .depth = depth,
                      .interlaced = interlaced};
    png->colours = palette ? 1 + draw(1 << depth) : 0;
    for (int i = 0; i < png->colours * 3; i++)
        png->palette[i / 3][i % 3] = (uint8_t)draw(256);
    int count = png->width * png->height * samples;
    uint16_t *drawn = calloc((size_t)count, sizeof *drawn);
    for (int i = 0; i < count; i++)
        drawn[i] = (uint16_t)draw(palette ? png->colours : 1 << depth);
    png->clear_count = !clear ? 0 : palette ? 1 + draw(png->colours) : 1;
    for (int i = 0; i < 256; i++)
        png->clear[i] = (uint8_t)draw(256);
    memcpy(png->key, drawn, (size_t)(samples < 3 ? 1 : 3) * sizeof *drawn); /* the first pixel's */
    png->samples = drawn;
}

static void check_png(const png_file *png, const uint8_t below[3])
{
    const char *path = scratch_path("kind.png");
    fcl_picture head, picture;
    png_file_write(path, png);
    assert_ok(fcl_picture_read(path, NULL, &head));
    assert_ok(fcl_picture_read(path, below, &picture));
    assert_true(head.width == png->width && head.height == png->height && !head.pixels);
    assert_true(picture.width == png->width && picture.height == png->height);
    for (int p = 0; p < png->width * png->height; p++)
        for (int c = 0; c < 3; c++)
            if (picture.pixels[p * picture.channels + (picture.channels == 3 ? c : 0)] !=
                expected(png, p, c, below))
                fail_msg("type %d, %d bits, %sinterlaced: pixel %d of %d x %d, channel %d", png->type,
                         png->depth, png->interlaced ? "" : "not ", p, png->width, png->height, c);
    free(picture.pixels);
}

static void every_kind_of_png_is_read(void **state)
{
    static const struct {
        int type, depths[5];
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, {1, 2, 4, 8, 16}},
                 {PNG_COLOR_TYPE_RGB, {8, 16}},
                 {PNG_COLOR_TYPE_PALETTE, {1, 2, 4, 8}},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, {8, 16}},
                 {PNG_COLOR_TYPE_RGB_ALPHA, {8, 16}}};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int d = 0; d < 5 && kinds[k].depths[d]; d++)
            for (int variant = 0; variant < 4; variant++) {
                png_file png;
                bool clear = variant & 2 && !(kinds[k].type & PNG_COLOR_MASK_ALPHA);
                const uint8_t grey[3] = {(uint8_t)draw(256)}, below[3] = {grey[0], grey[0], grey[0]};
                const uint8_t colour[3] = {(uint8_t)draw(256), (uint8_t)draw(256), (uint8_t)draw(256)};
                draw_png(&png, kinds[k].type, kinds[k].depths[d], variant & 1, clear);
                check_png(&png, below);
                check_png(&png, colour);
                free((void *)png.samples);
            }
}

static void a_grey_palette_is_grey(void **state)
{
    const uint16_t index[] = {0, 1, 1, 0};
    png_file png = {.width = 2,
                    .height = 2,
                    .type = PNG_COLOR_TYPE_PALETTE,
                    .depth = 1,
                    .samples = index,
                    .colours = 2,
                    .palette = {{7, 7, 7}, {200, 200, 200}}};
    (void)state;
    png_file_write(scratch_path("kind.png"), &png);
    fcl_dataset *data = open_ok(scratch_path("kind.png"), (fcl_dataset_options){0});
    assert_int_equal(data->shape.dim[0], 1);
    assert_memory_equal(data->bytes, "\7\310\310\7", 4);
    fcl_dataset_destroy(&data);
    png.palette[1][2] = 201;
    png_file_write(scratch_path("kind.png"), &png);
    data = open_ok(scratch_path("kind.png"), (fcl_dataset_options){0});
    assert_int_equal(data->shape.dim[0], 3);
    assert_memory_equal(data->bytes, "\7\310\310\7\7\310\310\7\7\311\311\7", 12);
    fcl_dataset_destroy(&data);
}

/* --- JPEG --- */

#ifdef FCL_HAS_JPEG

enum { ACROSS = 24, DOWN = 17 };

/* Smooth, and the same in no two directions. */
static void draw_smooth(int channels, uint8_t *pixels)
{
    for (int y = 0; y < DOWN; y++)
        for (int x = 0; x < ACROSS; x++)
            for (int c = 0; c < channels; c++)
                pixels[(y * ACROSS + x) * channels + c] = (uint8_t)(20 + (c + 3) * x + (10 - 3 * c) * y / 2);
}

static void jpeg_is_read_to_within_its_loss(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t pixels[DOWN * ACROSS * 3], below[3] = {0};
        fcl_picture picture;
        draw_smooth(channels, pixels);
        jpeg_write(scratch_path("j.dat"), ACROSS, DOWN, channels, pixels, 0, false);
        assert_ok(fcl_picture_read(scratch_path("j.dat"), below, &picture));
        assert_true(picture.width == ACROSS && picture.height == DOWN && picture.channels == channels);
        for (int i = 0; i < DOWN * ACROSS * channels; i++)
            assert_true(abs(picture.pixels[i] - pixels[i]) <= 12);
        free(picture.pixels);
    }
}

/* On which side of what is seen the stored first row and first column lie (CIPA DC-008, Orientation): 't'op,
 * 'b'ottom, 'l'eft, 'r'ight. */
static const char sides[8][2] = {{'t', 'l'}, {'t', 'r'}, {'b', 'r'}, {'b', 'l'},
                                 {'l', 't'}, {'r', 't'}, {'r', 'b'}, {'l', 'b'}};

/* Where stored row `row` and column `column` are seen. */
static void seen_at(int orientation, int row, int column, int *y, int *x)
{
    const int at[2] = {row, column}, size[2] = {DOWN, ACROSS};
    for (int k = 0; k < 2; k++) {
        char side = sides[orientation - 1][k];
        int *to = side == 't' || side == 'b' ? y : x;
        *to = side == 't' || side == 'l' ? at[k] : size[k] - 1 - at[k];
    }
}

static void all_orientations_are_honoured(void **state)
{
    uint8_t pixels[DOWN * ACROSS * 3], below[3] = {0};
    fcl_picture plain, turned, head;
    (void)state;
    draw_smooth(3, pixels);
    jpeg_write(scratch_path("o.jpg"), ACROSS, DOWN, 3, pixels, 0, false);
    assert_ok(fcl_picture_read(scratch_path("o.jpg"), below, &plain));
    for (int orientation = 1; orientation <= 8; orientation++) {
        bool swapped = strchr("lr", sides[orientation - 1][0]);
        jpeg_write(scratch_path("o.jpg"), ACROSS, DOWN, 3, pixels, orientation, orientation % 2);
        assert_ok(fcl_picture_read(scratch_path("o.jpg"), NULL, &head));
        assert_ok(fcl_picture_read(scratch_path("o.jpg"), below, &turned));
        assert_true(turned.width == (swapped ? DOWN : ACROSS) && turned.height == (swapped ? ACROSS : DOWN));
        assert_true(turned.width == head.width && turned.height == head.height);
        for (int row = 0; row < DOWN; row++)
            for (int column = 0; column < ACROSS; column++) {
                int x = 0, y = 0;
                seen_at(orientation, row, column, &y, &x);
                assert_memory_equal(turned.pixels + (y * turned.width + x) * 3,
                                    plain.pixels + (row * ACROSS + column) * 3, 3);
            }
        free(turned.pixels);
    }
    free(plain.pixels);
}

static void jpegs_that_are_not_read_are_named(void **state)
{
    uint8_t pixels[DOWN * ACROSS * 4] = {0};
    (void)state;
    jpeg_write(place("print/a.jpg"), ACROSS, DOWN, 4, pixels, 0, false);
    assert_refused(scratch_path("print"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "print/a.jpg is a CMYK JPEG, of colours for printing, which are not read: save it as RGB");
    assert_int_equal(truncate(scratch_path("print/a.jpg"), 100), 0);
    assert_refused(scratch_path("print"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "print/a.jpg is damaged: libjpeg says");
    draw_smooth(3, pixels);
    jpeg_write(place("cut/a.jpg"), ACROSS, DOWN, 3, pixels, 0, false);
    struct stat about;
    assert_int_equal(stat(scratch_path("cut/a.jpg"), &about), 0);
    assert_int_equal(truncate(scratch_path("cut/a.jpg"), about.st_size - 40), 0);
    assert_refused(scratch_path("cut"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "cut/a.jpg is damaged: libjpeg says");
}

/* A JPEG of 12 bits, as its header says. */
static void other_kinds_of_jpeg_are_no_damage(void **state)
{
    uint8_t pixels[DOWN * ACROSS] = {0}, bytes[4096];
    (void)state;
    draw_smooth(1, pixels);
    jpeg_write(place("kind/a.jpg"), ACROSS, DOWN, 1, pixels, 0, false);
    FILE *file = fopen(scratch_path("kind/a.jpg"), "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint8_t *frame = memmem(bytes, size, "\xff\xc0", 2); /* SOF0: its length, then the bits of a sample */
    assert_non_null(frame);
    assert_int_equal(frame[4], 8);
    frame[4] = 12;
    scratch_write("kind/a.jpg", bytes, size);
    assert_refused(scratch_path("kind"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "kind/a.jpg is of a kind that is not read: libjpeg says");
}

#endif

/* --- other sizes --- */

static double sinc(double x)
{
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

/* The weight of pixel k of `from` in pixel i of `to`, not yet divided by their sum. */
static double weight(int from, int to, int i, int k)
{
    double step = (double)from / to;
    if (from >= to) {
        double begin = fmax(k, i * step), end = fmin(k + 1, (i + 1) * step);
        return end > begin ? end - begin : 0;
    }
    double distance = (i + 0.5) * step - (k + 0.5);
    return fabs(distance) < 3 ? sinc(distance) * sinc(distance / 3) : 0;
}

static double resampled(const fcl_picture *of, fcl_crop crop, int c, int height, int width, int y, int x)
{
    double sum = 0, total = 0;
    for (int row = 0; row < crop.height; row++)
        for (int column = 0; column < crop.width; column++) {
            double w = weight(crop.height, height, y, row) * weight(crop.width, width, x, column);
            total += w;
            sum += w * of->pixels[((crop.y + row) * of->width + crop.x + column) * of->channels + c];
        }
    return fmin(255, fmax(0, sum / total));
}

/* Whether pixel k of `from` is one of those that pixel i of `to` of a mask is made of. */
static bool is_covered(int from, int to, int i, int k)
{
    if (from > to)
        return i * from < (k + 1) * to && (i + 1) * from > k * to;
    return 2 * k * to <= (2 * i + 1) * from && (2 * i + 1) * from < 2 * (k + 1) * to;
}

static int masked(const fcl_picture *of, fcl_crop crop, int c, int height, int width, int y, int x)
{
    int most = 0;
    for (int row = 0; row < crop.height; row++)
        for (int column = 0; column < crop.width; column++)
            if (is_covered(crop.height, height, y, row) && is_covered(crop.width, width, x, column)) {
                int value = of->pixels[((crop.y + row) * of->width + crop.x + column) * of->channels + c];
                most = value > most ? value : most;
            }
    return most;
}

static void check_size(int channels)
{
    int height = 1 + draw(20), width = 1 + draw(20);
    fcl_picture picture = {.width = 1 + draw(40), .height = 1 + draw(40), .channels = channels};
    picture.pixels = malloc((size_t)(picture.width * picture.height * channels));
    for (int i = 0; i < picture.width * picture.height * channels; i++)
        picture.pixels[i] = (uint8_t)draw(256);
    uint8_t *planes = malloc((size_t)(3 * height * width));
    assert_ok(fcl_picture_fit(&picture, 3, height, width, planes));
    fcl_crop crop = fcl_picture_crop(picture.width, picture.height, width, height);
    assert_true(crop.width == picture.width || crop.height == picture.height);
    assert_true(abs(picture.width - crop.width - 2 * crop.x) <= 1 &&
                abs(picture.height - crop.height - 2 * crop.y) <= 1);
    /* the aspect ratio to within half a pixel, or a pixel at least */
    assert_true(fabs((double)crop.width * height - (double)crop.height * width) <=
                    0.5 * fmax(height, width) ||
                crop.width == 1 || crop.height == 1);
    for (int i = 0; i < 3 * height * width; i++) {
        int c = i / (height * width), y = i / width % height, x = i % width;
        double exact = resampled(&picture, crop, channels == 3 ? c : 0, height, width, y, x);
        if (!(fabs(planes[i] - exact) <= 0.5 + 1e-3))
            fail_msg("%d x %d to %d x %d: %d, not %g", picture.width, picture.height, width, height,
                     planes[i], exact);
    }
    fcl_picture_fit_mask(&picture, 3, height, width, planes);
    for (int i = 0; i < 3 * height * width; i++) {
        int c = channels == 3 ? i / (height * width) : 0;
        assert_int_equal(planes[i], masked(&picture, crop, c, height, width, i / width % height, i % width));
    }
    free(planes);
    free(picture.pixels);
}

static void other_sizes_are_as_defined(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++)
        check_size(i % 2 ? 3 : 1);
}

static void sizes_are_asked_for(void **state)
{
    const fcl_dataset_options plain = {0};
    (void)state;
    write_grey("sizes/a.png", 5, 4, 10);
    write_grey("sizes/b.png", 9, 4, 20);
    write_grey("sizes/c.png", 5, 4, 30);
    assert_refused(scratch_path("sizes"), plain, FCL_ERR_SHAPE,
                   "5 x 4 (a.png), 9 x 4 (b.png); image-size brings them to one");
    fcl_dataset *data = open_ok(scratch_path("sizes"), (fcl_dataset_options){.image.size = "4x2"});
    assert_true(data->count == 3 && data->shape.rank == 3 && data->shape.dim[1] == 4 &&
                data->shape.dim[2] == 2);
    for (int i = 0; i < 24; i++)
        assert_int_equal(data->bytes[i], 10 * (i / 8 + 1));
    assert_non_null(strstr(data->note, "brought to 4 x 2, height by width; 3 cropped around the centre"));
    fcl_dataset_destroy(&data);
    const char *const odd[] = {"", "0", "x", "4x", "x4", "4x0", "4x4x4", "-4", "4 x 4", "20000"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_refused(scratch_path("sizes"), (fcl_dataset_options){.image.size = odd[i]}, FCL_ERR_ARGUMENT,
                       "image-size");
    assert_refused(scratch_path("sizes"), (fcl_dataset_options){.image.background = "#12345"},
                   FCL_ERR_ARGUMENT, "background: \"#12345\" is not usable");
    assert_refused("moons", (fcl_dataset_options){.image.size = "4"}, FCL_ERR_ARGUMENT,
                   "image-size has no use with moons");
}

/* --- folders --- */

static void links_are_followed_once(void **state)
{
    fcl_tree tree;
    const char *const names[] = {"a-link/x.png", "b.png", "c/d.png", "z.png"};
    (void)state;
    write_grey("outside/x.png", 2, 2, 1);
    write_grey("tree/b.png", 2, 2, 1);
    write_grey("tree/c/d.png", 2, 2, 1);
    write_grey("tree/.hidden/e.png", 2, 2, 1);
    write_grey("outside-too/y.png", 2, 2, 1);
    assert_int_equal(symlink("..", scratch_path("tree/c/up")), 0);
    assert_int_equal(symlink(".", scratch_path("tree/self")), 0);
    assert_int_equal(symlink("../outside", scratch_path("tree/a-link")), 0);
    assert_int_equal(symlink("../outside", scratch_path("tree/a-second-link")), 0);
    assert_int_equal(symlink("../tree", scratch_path("outside/back")), 0);
    assert_int_equal(symlink("b.png", scratch_path("tree/a.png")), 0);
    assert_int_equal(symlink("../outside-too/y.png", scratch_path("tree/z.png")), 0);
    assert_int_equal(symlink("../outside-too/y.png", scratch_path("tree/zz.png")), 0);
    assert_int_equal(symlink("nowhere", scratch_path("tree/broken")), 0);
    assert_ok(fcl_tree_list(scratch_path("tree"), &tree));
    assert_int_equal(tree.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(tree.name[i], names[i]);
    assert_int_equal(tree.hidden, 1);
    assert_int_equal(tree.broken, 1);
    assert_int_equal(tree.again, 6); /* up, self, a-second-link, back, a.png, zz.png */
    fcl_tree_free(&tree);
    assert_status(FCL_ERR_FILE, fcl_tree_list(scratch_path("nothing"), &tree));
}

static void classes_are_the_subfolders(void **state)
{
    static const char *const files[] = {"kinds/owl/deep/a.png", "kinds/ape/2.png", "kinds/ape/10.png",
                                        "kinds/eel/x"};
    const uint8_t values[] = {2, 1, 3, 0}; /* by the bytes of their paths: ape/10, ape/2, eel/x, owl/deep/a */
    const int32_t label[] = {0, 0, 1, 2};
    (void)state;
    for (int i = 0; i < 4; i++)
        write_grey(files[i], 1, 1, (uint8_t)i);
    write_text("kinds/ape/notes.txt", "no picture");
    fcl_dataset *data = open_ok(scratch_path("kinds/"), (fcl_dataset_options){0});
    assert_string_equal(data->name, "kinds");
    assert_int_equal(data->count, 4);
    assert_memory_equal(data->bytes, values, 4);
    assert_memory_equal(data->label, label, sizeof label);
    assert_int_equal(data->classes, 3);
    assert_string_equal(data->class_name[0], "ape");
    assert_string_equal(data->class_name[2], "owl");
    assert_string_equal(data->note, "skipped: 1 neither PNG nor JPEG");
    fcl_dataset_destroy(&data);
    write_grey("kinds/loose.png", 1, 1, 9);
    data = open_ok(scratch_path("kinds"), (fcl_dataset_options){.count = 2});
    assert_true(!data->label && data->count == 2);
    assert_non_null(strstr(data->note, "no classes, as pictures lie outside of subfolders"));
    fcl_dataset_destroy(&data);
    assert_refused(scratch_path("kinds"), (fcl_dataset_options){.label_column = "animal"}, FCL_ERR_ARGUMENT,
                   "label-file");
}

static void classes_stand_in_a_table(void **state)
{
    char table[700];
    snprintf(table, sizeof table, "%s", scratch_path("labels.csv"));
    const fcl_dataset_options by_table = {.image.label_file = table};
    (void)state;
    write_grey("told/b.png", 1, 1, 1);
    write_grey("told/sub/a.png", 1, 1, 2);
    write_grey("told/sub/c.png", 1, 1, 3);
    write_text("labels.csv",
               "label,file\nhen,sub/c.png\ncat,./b.png\nhen,sub/a.png\nhen,sub/a.png\ndog,other.png\n");
    fcl_dataset *data = open_ok(scratch_path("told"), by_table);
    assert_int_equal(data->classes, 2);
    assert_string_equal(data->class_name[1], "hen");
    assert_true(data->label[0] == 0 && data->label[1] == 1 && data->label[2] == 1);
    assert_string_equal(data->note, "rows of the label file that are of no picture here: 1");
    fcl_dataset_destroy(&data);
    write_text("labels.csv", "file;kind\nsub/c.png;3\nb.png;1\nsub/a.png;0\n");
    data = open_ok(scratch_path("told"),
                   (fcl_dataset_options){.image.label_file = table, .label_column = "kind"});
    assert_true(data->classes == 4 && data->label[0] == 1 && data->label[1] == 0 && data->label[2] == 3);
    fcl_dataset_destroy(&data);
    assert_refused(scratch_path("told"), by_table, FCL_ERR_FORMAT, "has no column 'label' in its first line");
    write_text("labels.csv", "file,label\nb.png,1\nsub/a.png,0\n");
    assert_refused(scratch_path("told"), by_table, FCL_ERR_FORMAT,
                   "labels.csv has no row for the picture sub/c.png");
    write_text("labels.csv", "file,label\nb.png,1\nsub/a.png,0\nb.png,2\nsub/c.png,1\n");
    assert_refused(scratch_path("told"), by_table, FCL_ERR_FORMAT, "gives b.png two labels");
}

/* Changes a byte of the pixels: the checksum is wrong. */
static void damage(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, -20, SEEK_END);
    int byte = fgetc(file);
    fseek(file, -20, SEEK_END);
    fputc(byte ^ 0x55, file);
    fclose(file);
}

static void damaged_files_are_named_or_skipped(void **state)
{
    (void)state;
    write_grey("hurt/a.png", 3, 3, 7);
    write_grey("hurt/b.png", 3, 3, 8);
    write_grey("hurt/c.png", 3, 3, 9);
    write_grey("hurt/d.png", 3, 3, 10);
    damage(scratch_path("hurt/b.png"));
    assert_refused(scratch_path("hurt"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "hurt/b.png is damaged: libpng says");
    assert_told("skip-damaged leaves such files away");
    scratch_write("hurt/0.png", "", 0);
    write_text("hurt/1.jpeg", "GIF89a");
    assert_int_equal(truncate(scratch_path("hurt/d.png"), 20), 0);
    assert_refused(scratch_path("hurt"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "hurt/0.png is damaged: its content");
    for (int streamed = 0; streamed < 2; streamed++) {
        fcl_array *values;
        fcl_dataset *data = open_ok(scratch_path("hurt"),
                                    (fcl_dataset_options){.image.skip_damaged = true, .stream = streamed});
        assert_int_equal(data->count, 2);
        assert_true(streamed ? data->pictures && !data->bytes : data->bytes && !data->pictures);
        assert_non_null(strstr(data->note, "4 damaged (the first: "));
        assert_non_null(strstr(data->note, "hurt/0.png is damaged"));
        assert_ok(fcl_dataset_take(data, 0, 2, &values));
        assert_true(values->data[0] == 7 * (2.0f / 255) - 1 && values->data[9] == 9 * (2.0f / 255) - 1);
        fcl_array_destroy(&values);
        fcl_dataset_destroy(&data);
    }
    scratch_write("hurt/huge.png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\b\0\0\0\0\xb9\xf0\x79\xb8",
                  33);
    assert_refused(scratch_path("hurt/huge.png"), (fcl_dataset_options){0}, FCL_ERR_FORMAT, "huge.png ");
    mkdir(scratch_path("bare"), 0777);
    assert_refused(scratch_path("bare"), (fcl_dataset_options){0}, FCL_ERR_FORMAT, "holds no pictures");
}

/* --- streamed sets --- */

static void a_streamed_set_is_the_same(void **state)
{
    fcl_array *a, *b;
    (void)state;
    for (int i = 0; i < 30; i++) {
        char name[40];
        int width = 1 + draw(12), height = 1 + draw(12), channels = i % 3 ? 3 : 1;
        uint8_t pixels[12 * 12 * 3];
        for (size_t k = 0; k < sizeof pixels; k++)
            pixels[k] = (uint8_t)draw(256);
        snprintf(name, sizeof name, "flow/%d/%d.png", i % 4, i);
        png_write_plain(place(name), width, height, channels, pixels);
    }
    fcl_dataset_options options = {.image.size = "6"};
    fcl_dataset *memory = open_ok(scratch_path("flow"), options);
    options.stream = true;
    fcl_dataset *streamed = open_ok(scratch_path("flow"), options);
    assert_true(!streamed->bytes && streamed->count == 30 && fcl_dataset_has_bytes(streamed));
    assert_memory_equal(streamed->label, memory->label, 30 * sizeof *memory->label);
    assert_ok(fcl_dataset_take(memory, 3, 20, &a));
    assert_ok(fcl_dataset_take(streamed, 3, 20, &b));
    assert_memory_equal(a->data, b->data, 20 * 108 * sizeof(float));
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    assert_ok(fcl_dataset_draw(memory, 2, 5, 11, &a, NULL));
    assert_ok(fcl_dataset_draw(streamed, 2, 5, 11, &b, NULL));
    assert_memory_equal(a->data, b->data, 5 * 108 * sizeof(float));
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    assert_ok(fcl_dataset_dequantise(memory, 1, 4, 5, &a));
    assert_ok(fcl_dataset_dequantise(streamed, 1, 4, 5, &b));
    assert_memory_equal(a->data, b->data, 4 * 108 * sizeof(float));
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    damage(scratch_path("flow/0/0.png"));
    assert_status(FCL_ERR_FORMAT, fcl_dataset_take(streamed, 0, 30, &a));
    assert_told("flow/0/0.png is damaged");
    fcl_dataset_destroy(&memory);
    fcl_dataset_destroy(&streamed);
}

/* A thousand pictures that would be 800 MB each: they stay where they are, and none of them is decoded. */
static void what_is_too_large_for_memory_streams(void **state)
{
    enum { MANY = 1000 };
    const uint8_t colour[3] = {1, 2, 3};
    char name[40];
    (void)state;
    png_write_plain(place("large/0.png"), 1, 1, 3, colour);
    for (int i = 1; i < MANY; i++) { /* a file of many names is as many files */
        snprintf(name, sizeof name, "large/%d.png", i);
        assert_int_equal(link(scratch_path("large/0.png"), scratch_path(name)), 0);
    }
    fcl_dataset *data = open_ok(scratch_path("large"), (fcl_dataset_options){.image.size = "16384"});
    assert_true(data->pictures && !data->bytes && data->count == MANY && data->shape.dim[2] == 16384);
    assert_non_null(strstr(data->note, "1000 pictures stay in the folder, and are decoded when they are needed"));
    fcl_dataset_destroy(&data);
    data = open_ok(scratch_path("large"), (fcl_dataset_options){.image.size = "16"});
    assert_true(!data->pictures && data->bytes && data->bytes[3 * 16 * 16 - 1] == 3);
    fcl_dataset_destroy(&data);
}

static void what_models_know_is_asked_for(void **state)
{
    (void)state;
    write_grey("like/a.png", 8, 8, 50);
    fcl_dataset *data = open_ok(scratch_path("like"), (fcl_dataset_options){.like = FCL_SHAPE(3, 4, 2)});
    assert_true(data->shape.dim[0] == 3 && data->shape.dim[1] == 4 && data->shape.dim[2] == 2 &&
                data->bytes[23] == 50);
    fcl_dataset_destroy(&data);
    const uint8_t colours[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 77, 77, 77}, grey[] = {76, 150, 29, 77};
    png_write_plain(scratch_path("like/a.png"), 2, 2, 3, colours);
    for (int folder = 0; folder < 2; folder++) {
        data = open_ok(scratch_path(folder ? "like" : "like/a.png"), (fcl_dataset_options){.like = FCL_SHAPE(1, 2, 2)});
        assert_int_equal(data->shape.dim[0], 1);
        assert_memory_equal(data->bytes, grey, 4);
        fcl_dataset_destroy(&data);
    }
    const uint8_t corner[] = {255, 0, 0, 0}, white[] = {255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    png_write_plain(scratch_path("like/a.png"), 2, 2, 1, corner);
    for (int folder = 0; folder < 2; folder++) {
        data = open_ok(scratch_path(folder ? "like" : "like/a.png"),
                       (fcl_dataset_options){.mask = true, .like = FCL_SHAPE(1, 4, 4)});
        assert_memory_equal(data->bytes, white, 16);
        assert_non_null(strstr(data->note, "by the nearest pixel"));
        fcl_dataset_destroy(&data);
    }
    write_grey("like/a.png", 8, 8, 50);
    data = open_ok(scratch_path("like/a.png"), (fcl_dataset_options){.like = FCL_SHAPE(1, 2, 4)});
    assert_true(data->count == 1 && data->shape.dim[0] == 1 && data->shape.dim[1] == 2 &&
                data->bytes[7] == 50);
    fcl_dataset_destroy(&data);
}

/* --- CIFAR-10 --- */

enum { RECORD = 3073 };

static void write_batch(const char *name, int records, uint8_t first)
{
    uint8_t *bytes = malloc((size_t)(records * RECORD));
    for (int i = 0; i < records * RECORD; i++)
        bytes[i] = (uint8_t)(first + i % RECORD * 7);
    for (int i = 0; i < records; i++)
        bytes[i * RECORD] = (uint8_t)((first + i) % 10);
    place(name);
    scratch_write(name, bytes, (size_t)(records * RECORD));
    free(bytes);
}

static void cifar_is_read(void **state)
{
    (void)state;
    write_batch("cifar/data_batch_1.bin", 3, 8);
    write_batch("cifar/data_batch_2.bin", 2, 50);
    write_batch("cifar/test_batch.bin", 1, 99);
    fcl_dataset *data = open_ok(scratch_path("cifar"), (fcl_dataset_options){0});
    assert_true(data->count == 5 && data->shape.dim[0] == 3 && data->shape.dim[1] == 32 &&
                data->shape.dim[2] == 32);
    const int32_t label[] = {8, 9, 0, 0, 1};
    assert_memory_equal(data->label, label, sizeof label);
    assert_int_equal(data->classes, 10);
    assert_null(data->class_name);
    for (int i = 0; i < 3072; i++) /* the planes, as they lie in the record */
        assert_int_equal(data->bytes[4 * 3072 + i], (uint8_t)(50 + (i + 1) * 7));
    assert_non_null(strstr(data->note, "data_batch_1.bin to data_batch_2.bin"));
    fcl_dataset_destroy(&data);
    write_text("cifar/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    data = open_ok(scratch_path("cifar/test_batch.bin"), (fcl_dataset_options){0});
    assert_true(data->count == 1 && data->label[0] == 9);
    assert_string_equal(data->class_name[9], "j");
    fcl_dataset_destroy(&data);
    write_text("cifar/odd.bin", "short");
    assert_refused(scratch_path("cifar/odd.bin"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "no whole number of records");
    write_batch("cifar/data_batch_2.bin", 2, 5);
    FILE *file = fopen(scratch_path("cifar/data_batch_2.bin"), "r+b");
    fseek(file, RECORD, SEEK_SET);
    fputc(10, file);
    fclose(file);
    assert_refused(scratch_path("cifar"), (fcl_dataset_options){0}, FCL_ERR_FORMAT,
                   "label of its record 1 is 10");
}

/* --- threads --- */

static void count_piece(void *data, int64_t i)
{
    int *times = data;
    times[i]++; /* nobody else's */
}

static void a_pool_does_each_piece_once(void **state)
{
    enum { MOST = 300 };
    (void)state;
    for (int threads = 0; threads < 5; threads++) {
        fcl_pool *pool = fcl_pool_create(threads);
        for (int round = 0; round < 50; round++) {
            int times[MOST] = {0}, count = draw(MOST);
            fcl_pool_run(pool, count, count_piece, times);
            for (int i = 0; i < MOST; i++)
                assert_int_equal(times[i], i < count);
        }
        fcl_pool_destroy(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_png_is_read),
        cmocka_unit_test(a_grey_palette_is_grey),
#ifdef FCL_HAS_JPEG
        cmocka_unit_test(jpeg_is_read_to_within_its_loss),
        cmocka_unit_test(all_orientations_are_honoured),
        cmocka_unit_test(jpegs_that_are_not_read_are_named),
        cmocka_unit_test(other_kinds_of_jpeg_are_no_damage),
#endif
        cmocka_unit_test(other_sizes_are_as_defined),
        cmocka_unit_test(sizes_are_asked_for),
        cmocka_unit_test(links_are_followed_once),
        cmocka_unit_test(classes_are_the_subfolders),
        cmocka_unit_test(classes_stand_in_a_table),
        cmocka_unit_test(damaged_files_are_named_or_skipped),
        cmocka_unit_test(a_streamed_set_is_the_same),
        cmocka_unit_test(what_is_too_large_for_memory_streams),
        cmocka_unit_test(what_models_know_is_asked_for),
        cmocka_unit_test(cifar_is_read),
        cmocka_unit_test(a_pool_does_each_piece_once),
    };
    trial_seed();
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
