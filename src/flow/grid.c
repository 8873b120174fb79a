/* Time grids: where the steps of a solver with fixed steps end; and lists of times. */
#include "flow/solver.h"

#include "base/csv.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npy.h"

#include <flowcl/text.h>
#include <flowcl/options.h>

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TIMES = 1000000 };

/* --- laws: where step i of n begins, when t runs from 0 to 1 --- */

static double uniform(double i, double n, double value)
{
    (void)value;
    return i / n;
}

/* Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, equation 5: noise
 * over data, sigma / alpha = (1 - t) / t, falls from 80 to 0.002 as the power rho of a line. The ends are
 * moved to 0 and 1. */
static double edm(double i, double n, double rho)
{
    double most = pow(80, 1 / rho), least = pow(0.002, 1 / rho);
    if (i == 0 || i == n)
        return i / n;
    return 1 / (1 + pow(most + i / (n - 1) * (least - most), rho));
}

/* Esser et al., "Scaling rectified flow transformers", 2024: the noise level 1 - t becomes
 * s (1 - t) / (1 + (s - 1) (1 - t)). */
static double shifted(double i, double n, double s)
{
    double noise = (n - i) / n;
    return (1 - noise) / (1 + (s - 1) * noise);
}

typedef struct grid_law {
    const char *name;
    double (*place)(double i, double n, double value);
    const char *letter;            /* what its number is called; NULL: it has none */
    double value, least, greatest; /* default and range of the number */
    const char *help;
} grid_law;

static const grid_law laws[] = {
    {"uniform", uniform, NULL, 0, 0, 0, "equal steps"},
    {"edm", edm, "rho", 7, 1, 100, "edm:RHO, small steps at both ends, smallest at the data (default 7)"},
    {"shifted", shifted, "s", 3, 0.001, 1000, "shifted:S, steps S times as small at the noise (default 3)"},
};
enum { COUNT = sizeof laws / sizeof *laws };

const char *fcl_grid_name(int index)
{
    return index >= 0 && index < COUNT ? laws[index].name : NULL;
}

const char *fcl_grid_help(int index)
{
    return index >= 0 && index < COUNT ? laws[index].help : NULL;
}

/* The law whose name stands before the colon, or NULL. */
static const grid_law *find_law(const char *text)
{
    size_t length = strcspn(text, ":");
    for (int i = 0; i < COUNT; i++)
        if (strlen(laws[i].name) == length && strncmp(laws[i].name, text, length) == 0)
            return &laws[i];
    return NULL;
}

static int read_law(const grid_law *law, const char *text, double *value)
{
    const char *colon = strchr(text, ':');
    *value = law->value;
    if (!colon)
        return FCL_OK;
    if (!law->letter)
        return fcl_fail(FCL_ERR_ARGUMENT, "grid \"%s\": %s takes no number", text, law->name);
    char *end;
    *value = fcl_strtod(colon + 1, &end);
    if (end == colon + 1 || *end || !(*value >= law->least && *value <= law->greatest))
        return fcl_fail(FCL_ERR_ARGUMENT, "grid \"%s\": %s is a number from %g to %g", text, law->letter,
                        law->least, law->greatest);
    return FCL_OK;
}

/* The same places, whichever end the solve begins with. */
static double place(const grid_law *law, double value, int i, int steps, double begin, double end)
{
    int from_noise = begin < end ? i : steps - i;
    double low = fmin(begin, end), share = law->place(from_noise, steps, value);
    return i == 0 ? begin : i == steps ? end : low + (fmax(begin, end) - low) * share;
}

/* --- lists --- */

/* True where `text` is numbers between commas or blanks; they are kept then. */
static bool read_list(const char *text, double *numbers, int *count)
{
    *count = 0;
    for (const char *at = text; *count < MOST_TIMES;) {
        char *end;
        double number = fcl_strtod(at, &end);
        if (end == at)
            return false;
        if (numbers)
            numbers[*count] = number;
        ++*count;
        end += strspn(end, " \t");
        if (!*end)
            return true;
        at = *end == ',' ? end + 1 : end;
    }
    return false;
}

static int read_file(const char *what, const char *path, double **numbers, int *count)
{
    fcl_array *array = NULL;
    if (fcl_file_check(path) != FCL_OK)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s \"%s\" is no list of times such as 0,0.1,0.5,1, and no file of them", what, path);
    if (fcl_file_ends_with(path, ".npy")) {
        uint8_t *bytes;
        size_t size;
        fcl_npy npy;
        FCL_TRY(fcl_file_read(path, &bytes, &size));
        int status = fcl_npy_parse(bytes, size, path, &npy);
        if (status == FCL_OK)
            status = fcl_npy_floats(&npy, path, &array);
        free(bytes);
        FCL_TRY(status);
    } else {
        FCL_TRY(fcl_csv_read(path, &array));
    }
    int64_t size = fcl_shape_size(array->shape);
    *count = size < MOST_TIMES ? (int)size : MOST_TIMES;
    *numbers = fcl_zalloc((size_t)(*count + 1) * sizeof **numbers);
    for (int i = 0; i < *count; i++)
        (*numbers)[i] = array->data[i];
    fcl_array_destroy(&array);
    return FCL_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

/* Numbers of a list or a file, in the direction from begin to end, none twice, none outside. */
static int read_times(const char *what, const char *text, double begin, double end, double **times,
                      int *count)
{
    int length;
    if (read_list(text, NULL, &length)) {
        *times = fcl_zalloc((size_t)length * sizeof **times);
        read_list(text, *times, count);
    } else {
        FCL_TRY(read_file(what, text, times, count));
    }
    for (int i = 0; i < *count; i++)
        if (!((*times)[i] >= fmin(begin, end) && (*times)[i] <= fmax(begin, end)))
            return fcl_fail(FCL_ERR_ARGUMENT, "%s \"%s\": the time %g is not between %g and %g", what, text,
                            (*times)[i], fmin(begin, end), fmax(begin, end));
    qsort(*times, (size_t)*count, sizeof **times, begin < end ? ascending : descending);
    for (int i = 1; i < *count; i++)
        if ((float)(*times)[i] == (float)(*times)[i - 1])
            return fcl_fail(FCL_ERR_ARGUMENT, "%s \"%s\": the time %g stands there twice", what, text,
                            (*times)[i]);
    if (*count == 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s \"%s\" holds no times", what, text);
    return FCL_OK;
}

/* --- both --- */

static int place_all(const grid_law *law, const fcl_solver_options *options, double **times, int *steps)
{
    double value;
    FCL_TRY(read_law(law, options->grid ? options->grid : law->name, &value));
    *steps = options->steps ? options->steps : 100;
    *times = malloc(((size_t)*steps + 1) * sizeof **times);
    if (!*times)
        return fcl_fail(FCL_ERR_MEMORY, "no host memory for the times of %d steps", *steps);
    for (int i = 0; i <= *steps; i++)
        (*times)[i] = place(law, value, i, *steps, options->t_begin, options->t_end);
    return FCL_OK;
}

static int read_grid(const fcl_solver_options *options, double **times, int *steps)
{
    double begin = options->t_begin, end = options->t_end;
    const grid_law *law = options->grid ? find_law(options->grid) : &laws[0];
    if (law)
        return place_all(law, options, times, steps);
    const char *names[] = {laws[0].name, laws[1].name, laws[2].name};
    const char *nearest =
        isdigit((unsigned char)options->grid[0]) ? NULL : fcl_nearest(options->grid, names, COUNT);
    if (nearest && fcl_file_check(options->grid) != FCL_OK)
        return fcl_fail(FCL_ERR_ARGUMENT, "grid \"%s\" is no grid; did you mean \"%s\"?", options->grid,
                        nearest);
    FCL_TRY(read_times("grid", options->grid, begin, end, times, steps));
    *steps -= 1;
    if (options->steps)
        return fcl_fail(FCL_ERR_ARGUMENT, "grid \"%s\" has its own steps: give no steps = %d beside it",
                        options->grid, options->steps);
    if (*steps < 1 || (float)(*times)[0] != (float)begin || (float)(*times)[*steps] != (float)end)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "grid \"%s\" goes from %g to %g, but the solve from %g to %g: name both ends",
                        options->grid, (*times)[0], (*times)[*steps], begin, end);
    return FCL_OK;
}

/* A grid whose steps single precision cannot tell apart. */
static int check_apart(const fcl_solver_options *options, const double *times, int steps)
{
    for (int i = 0; i < steps; i++)
        if ((float)times[i] == (float)times[i + 1])
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "grid \"%s\" with %d steps: two of its times are both %.9g in single "
                            "precision: take fewer steps",
                            options->grid ? options->grid : laws[0].name, steps, times[i]);
    return FCL_OK;
}

int fcl_grid_read(const fcl_solver_options *options, double **times, int *steps)
{
    *times = NULL;
    int status = read_grid(options, times, steps);
    if (status == FCL_OK)
        status = check_apart(options, *times, *steps);
    if (status != FCL_OK) {
        free(*times);
        *times = NULL;
    }
    return status;
}

int fcl_times_read(const char *text, double t_begin, double t_end, double **times, int *count)
{
    char *end;
    double number = fcl_strtod(text, &end);
    *times = NULL;
    if (end != text && !*end && number >= 2 && number <= MOST_TIMES && number == floor(number)) {
        *count = (int)number;
        *times = fcl_zalloc((size_t)*count * sizeof **times);
        for (int i = 0; i < *count; i++)
            (*times)[i] = t_begin + (t_end - t_begin) * i / (*count - 1);
        return FCL_OK;
    }
    int status = read_times("times", text, t_begin, t_end, times, count);
    if (status != FCL_OK) {
        free(*times);
        *times = NULL;
    }
    return status;
}
