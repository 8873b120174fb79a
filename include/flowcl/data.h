/* flowcl/data.h: data sets on the host, by name or from a file.
 *
 *     fcl_dataset *data = NULL;
 *     if (fcl_dataset_open("moons", NULL, &data) != FCL_OK)      // or "fashion-mnist", or a path
 *         return fprintf(stderr, "%s\n", fcl_error()), 1;
 *     printf("%lld samples\n", (long long)data->count);
 *     fcl_dataset_destroy(&data);
 *
 * A data set is open data: look into it, but change nothing. Samples lie one after the other, either as
 * floats or, for pictures, as the bytes they came in, four times smaller: value = byte * scale + shift. Pictures of a
 * folder that is too large for memory lie there still: they are decoded when they are asked for; and so do samples of .npy
 * files. */
#ifndef FLOWCL_DATA_H
#define FLOWCL_DATA_H

#include <flowcl/base.h>
#include <flowcl/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_dataset {
    char name[64];      /* the built-in's name, or the file's without its folder */
    int64_t count;      /* samples, at least 1 */
    fcl_shape shape;    /* of one sample: (2), or (1, 28, 28): channels, height, width */
    float *values;      /* (count, shape), or NULL where the samples are bytes, or lie in files still; always finite */
    uint8_t *bytes;     /* (count, shape), or NULL where the samples are floats, or lie in files still */
    struct fcl_pictures *pictures; /* where they do; they are bytes once they are decoded. NULL: they are above */
    struct fcl_stored *stored;     /* where they lie in .npy files still, and are read when they are asked for; else NULL */
    float scale, shift; /* of the bytes, 0 of floats; pictures go to [-1, 1] */
    int32_t *label;     /* (count), each in [0, classes), or NULL */
    int classes;        /* 0 without labels */
    char **class_name;  /* (classes) what they are called, or NULL: by their numbers */
    bool full_range;    /* of bytes of picture files: 0 is black and 255 white, whatever of it they use */
    bool builtin;       /* known by its name: never normalised (normalise.h) */
    bool generated;     /* by fcl_dataset_options.seed; else it comes from a file or from memory */
    char *note;         /* what was made of a file beyond the plain, in a few words, for people; NULL: nothing */
} fcl_dataset;

/* Whether its samples are bytes. */
static inline bool fcl_dataset_has_bytes(const fcl_dataset *dataset)
{
    return dataset->bytes || dataset->pictures || (dataset->stored && dataset->scale != 0);
}

/* What is done with picture files, PNG and JPEG. Zero is the default; others than zero are refused for data that are none,
 * or, of label_file and skip_damaged, no folder of them; but label_file is for .npy data, too, and background for RGBA arrays. */
typedef struct fcl_image_options {
    const char *size;       /* "32", or height and width, "24x32": a picture is cropped around its centre to that aspect
                               ratio; then each pixel is the mean of the area that it covers, or, along a side that becomes
                               larger, made by Lanczos' kernel of three lobes. NULL: pictures keep their size, which has to
                               be the same of all */
    const char *background; /* "white", "black", "grey" or "#rrggbb": lies below pixels that can be seen through; NULL: white */
    const char *label_file; /* a table of text with the columns "file", paths below the folder, and "label", or that of
                               label_column: of each picture. NULL: classes are the subfolders. Of .npy data: a .npy, or an
                               .npz whose array is label_column, called as labels are, or the only one, with a label of
                               each sample */
    bool skip_damaged;      /* pictures that cannot be read are left away, and `note` says how many */
} fcl_image_options;

/* Their rows. */
FCL_API extern const fcl_option fcl_image_table[];

typedef struct fcl_dataset_options {
    int64_t count;  /* samples, no more than a file has; 0: FCL_TOY_COUNT of a generated set, all of a file */
    uint64_t seed;  /* of a generated set */
    bool unlabeled; /* leave labels away, where there are any */
    const char *label_column; /* of a table of text the label's column, by its name or by its number from 1; of an .npz
                                 the labels' array; "none": there is none. NULL: see below */
    const char *label_guess;  /* the same, where there is one of that name, and for "none"; NULL: none is known */
    fcl_image_options image;
    fcl_shape like; /* (C, H, W) of samples that picture files shall be like, where image.size says nothing; C 3: grey
                       becomes colour; C 1: colour becomes grey, 0.299 R + 0.587 G + 0.114 B. Arrays that can be like it are
                       read so. Rank 0: nothing is known */
    bool mask;      /* picture files are masks, in which 0 is unlike all else: to another size they are brought by the nearest
                       pixel or, where they become smaller, by the largest number of those that a pixel covers */
    const char *background_guess; /* image.background, where that says nothing, and is not refused; NULL: white */
    bool stream;    /* pictures of a folder stay there, however few */
    bool from_disk; /* these, and samples of .npy files, too; other files cannot: see below */
} fcl_dataset_options;

#define FCL_TOY_COUNT 100000

/* Opens a built-in set by its name (fcl_dataset_builtin_at tells them), else the file of that path. Files are
 * told apart by their content, tables of text by their ending; all but .npz may be gzipped:
 *     .npy    (count, ...) of floats of 2, 4 or 8 bytes, integers or booleans; one dimension alone is samples
 *             of one number each. What would take more than a quarter of the machine's memory stays in its file, where it
 *             is not packed, and is read when it is asked for; that needs C order. Labels are those of a label_file
 *     .npz    the same of one of its arrays, with labels where another is known to hold them, by the names that are
 *             usual: "x" and "y", "x_train" and "y_train", "data" and "target", "images" and "labels", "arr_0" and their
 *             like; else the first that is no label. "FILE.npz:NAME" names the array. `note` says which were taken
 *     IDX     MNIST's format; beside "...-images-idx3-..." the labels are read from "...-labels-idx1-..." where that
 *             exists
 *     .png, .jpg    one picture; a JPEG where the library is built with libjpeg-turbo
 *     a folder      its PNG and JPEG files, known by their content, and those of its subfolders, in the order of the bytes
 *             of their paths, which are classes by the names of the topmost subfolders where all pictures lie in
 *             subfolders. Links are followed once: what is there without them is not taken twice. Hidden and other files
 *             are skipped, and counted in `note`. Grey stays grey (1, H, W) where all pictures are, else all are RGB
 *             (3, H, W). 16 bits are rounded to 8, palettes looked up; no gamma or profile is applied; a JPEG's EXIF
 *             orientation is; JPEGs for printing (CMYK) are refused. What would take more than a quarter of the machine's
 *             memory stays in its folder
 *     a folder of .npy files    their samples, of one shape and type, one file's after the other's, in the
 *             order of the bytes of their paths; classes are the topmost subfolders, where all files lie in some, or of a
 *             label_file. They stay there as a .npy file does. With pictures among them it is refused
 *     .bin          a batch of CIFAR-10's binary version; a folder with its data_batch_1.bin and so on is all of these
 *     .csv, .tsv, .txt, .dat    a row a sample, one column of them the label if label_column says so, or label_guess,
 *             or its name is "label" or "labels". Columns stand between commas, semicolons, tabs or spaces, numbers have
 *             a decimal point or comma, as the whole file tells; what can be read in two ways is refused. A first line
 *             of words is a heading; lines that begin with # are passed over; a first column without a name that
 *             numbers or names the rows, as pandas and R write it, is left out
 * Arrays are pictures, samples (C, H, W), by their shape, type and numbers; `note` says how the dimensions were read:
 *     (N, C, H, W)    with C 1 or 3, of any numbers
 *     (N, H, W, C)    with C 1 or 3, where the above does not fit; and RGBA, C 4, which is laid over the background. Bytes, of
 *                     uint8; other numbers where H and W are at least 8 and all numbers lie in a range of pictures that
 *                     begins at 0 (normalise.h: 0 to 1, 0 to 255, whole numbers), and most of RGBA's alphas are 0 or the largest
 *     (N, H, W)       bytes; other numbers where that holds and H = W, as tables are seldom
 * Numbers are those of at most 64 samples, spread evenly. They are not asked where options.like says what the samples are. All
 * else stays as it lies: (N, H, W) samples of rank 2, which are drawn as pictures all the same.
 * Labels that are whole numbers from 0 are themselves. Other whole numbers, in their order, and words, in the order of
 * their bytes, are numbered from 0, and class_name keeps them.
 * A generated set is the same for the same seed and count, and any stretch of it is spread over the whole.
 * `options` may be NULL. FCL_ERR_FILE, FCL_ERR_FORMAT, FCL_ERR_NUMERIC (a value is missing, NaN or infinite),
 * FCL_ERR_ARGUMENT (no such name, array or column, not so many samples), FCL_ERR_MEMORY. */
FCL_API int fcl_dataset_open(const char *name_or_path, const fcl_dataset_options *options,
                             fcl_dataset **dataset);
FCL_API void fcl_dataset_destroy(fcl_dataset **dataset);

/* A data set of what is in memory: a copy, checked, of `given`, which says what there is and no more:
 *
 *     float x[1000][2];
 *     int32_t y[1000];
 *     ... fill them ...
 *     fcl_dataset *data;
 *     fcl_dataset given = {.name = "mine", .count = 1000, .shape = FCL_SHAPE(2), .values = x[0], .label = y};
 *     if (fcl_dataset_from(&given, &data) != FCL_OK)
 *         return fprintf(stderr, "%s\n", fcl_error()), 1;
 *
 * Either `values` or `bytes` is there. Zeros are defaults: the name "memory"; of bytes scale and shift of pictures;
 * with labels as many classes as the largest of them says, at most 65536. FCL_ERR_ARGUMENT: a member is not usable, the
 * message names it; FCL_ERR_SHAPE: no sample has that shape; FCL_ERR_NUMERIC: a value is NaN or infinite;
 * FCL_ERR_MEMORY. */
FCL_API int fcl_dataset_from(const fcl_dataset *given, fcl_dataset **dataset);

/* A new array (count, shape) of the samples from `first` on, as floats. FCL_ERR_ARGUMENT where there are not
 * so many. */
FCL_API int fcl_dataset_take(const fcl_dataset *dataset, int64_t first, int64_t count, fcl_array **array);

/* The same of a set of bytes, dequantised: each number anywhere in the 2/256 that its byte stands for,
 * (byte + u)/128 - 1 with u uniform in (0, 1), so that a density of them has a meaning (Theis et al. 2016). u is
 * drawn by `seed` and the number's place in the set. FCL_ERR_ARGUMENT also for a set of floats. */
FCL_API int fcl_dataset_dequantise(const fcl_dataset *dataset, int64_t first, int64_t count, uint64_t seed,
                                   fcl_array **array);

/* `count` samples in a random order, none twice: of the class `label`, or of all where it is below 0. Another
 * seed is another draw. *labels (count), to be released by fcl_free, or NULL where the set has none; `labels`
 * may be NULL. FCL_ERR_ARGUMENT where there are not so many. */
FCL_API int fcl_dataset_draw(const fcl_dataset *dataset, int32_t label, int64_t count, uint64_t seed,
                             fcl_array **array, int32_t **labels);
/* How many samples of the class there are, of all where `label` is below 0. */
FCL_API int64_t fcl_dataset_count(const fcl_dataset *dataset, int32_t label);

/* --- classes ---
 * Labels are the numbers of classes, from 0 to `classes` - 1; not each of them need have samples (EMNIST's letters
 * begin with 1). counts (classes) below are the samples of each, NULL: as many of each. */

/* *counts (classes), to be released by fcl_free, or NULL where the set has no labels. FCL_ERR_ARGUMENT where a label is
 * none of its classes. */
FCL_API int fcl_class_counts(const fcl_dataset *dataset, int64_t **counts);
/* How many classes have samples. */
FCL_API int fcl_class_existing(int classes, const int64_t *counts);
/* The classes that have samples, or those that have none, in words: "0 to 4, 6", or by the names that they have in
 * `names` (NULL: none). Released by fcl_free. */
FCL_API char *fcl_class_list(int classes, const char *const *names, const int64_t *counts, bool empty);
/* The class of that name, or else of that number; -1: none. */
FCL_API int32_t fcl_class_find(int classes, const char *const *names, const char *text);
/* Numbers a set's labels as those classes are: by their names where both have them. FCL_ERR_ARGUMENT: a label's name is
 * none of these, or only one of both has names. Nothing happens where there are no labels. */
FCL_API int fcl_dataset_match_classes(fcl_dataset *dataset, int classes, const char *const *names);
/* label (n): classes in the shares of `counts`, at least one of which is not 0. After any number of them each class
 * has what its share makes of that number, rounded up or down (Tijdeman 1980); equal shares make each class in turn. */
FCL_API void fcl_class_draw(int classes, const int64_t *counts, int64_t n, int32_t *label);

/* The built-in sets by index, in the order of a help text; NULL past the last one. */
typedef struct fcl_dataset_builtin {
    const char *name;
    const char *what; /* one line */
} fcl_dataset_builtin;

FCL_API const fcl_dataset_builtin *fcl_dataset_builtin_at(int index);
/* Whether fcl_dataset_open takes the text for a built-in set's name, and not for a path. */
FCL_API bool fcl_dataset_is_builtin(const char *name_or_path);

#ifdef __cplusplus
}
#endif

#endif
