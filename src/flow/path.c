/* Paths between noise and data: a row is a name and the formulas of its coefficients. */
#include "flow/objective.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/expression.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct path_row {
    const char *name;
    const char *alpha, *sigma, *tube; /* in t, s and the parameters; tube NULL: s is not the width of one */
    bool gaussian;                    /* it is a path only where x0 ~ N(0, I) */
    fcl_choice_parameter parameter[FCL_CHOICE_PARAMETERS + 1];
    const char *help;
} path_row;

#define WIDTH(fallback, least, most)                                                                         \
    {                                                                                                        \
        "s", fallback, least, most                                                                           \
    }

/* The variance-preserving path's T(t), from 0 at the data to (B - b)/2 + b at the noise. */
#define VP_TIME "((1 - t)^2*(B - b)/2 + (1 - t)*b)"

/* clang-format off */
static const path_row rows[] = {
    {"linear", "t", "1 - t", "s", false, {WIDTH(0, 0, 100)},
     "straight lines: x_t = t x1 + (1 - t) x0 (rectified flow, conditional OT); linear(s): in a tube of that width"},
    {"lipman", "t", "1 - (1 - s)*t", NULL, true, {WIDTH(1e-4, 0, 0.9)},
     "straight lines that end in a Gaussian of width s around the data (Lipman et al. 2023); lipman(s)"},
    {"polynomial", "t^n", "1 - t^n", "s", false, {{"n", 2, 1, 100}, WIDTH(0, 0, 100)},
     "x_t = t^n x1 + (1 - t^n) x0: slow near the noise; polynomial(n)"},
    {"cosine", "sin(pi*t/2)", "cos(pi*t/2)", "s", false, {WIDTH(0, 0, 100)},
     "a quarter of a circle, alpha^2 + sigma^2 = 1 (Albergo and Vanden-Eijnden 2023)"},
    {"linear-vp", "t", "sqrt((1 - t)*(1 + t))", "s", false, {WIDTH(0, 0, 100)},
     "alpha = t on the circle alpha^2 + sigma^2 = 1"},
    {"vp", "exp(-" VP_TIME "/2)", "sqrt(-expm1(-" VP_TIME "))", NULL, true, {{"b", 0.1, 1e-4, 10}, {"B", 20, 5, 1000}},
     "the variance-preserving diffusion, noise rate from b at the data to B at the noise (Song et al. 2021); vp(b, B)"},
    {"bridge", "t", "1 - t", "s*sqrt(t*(1 - t))", false, {WIDTH(NAN, 1e-6, 100)},
     "a Brownian bridge of rate s; with the entropic coupling the Schroedinger bridge (Tong et al. 2024); bridge(s)"},
};
/* clang-format on */
enum { COUNT = sizeof rows / sizeof *rows };

/* What a path is made of, in the order of fcl_path_point's members. */
enum { ALPHA, SIGMA, TUBE, ALPHA_DOT, SIGMA_DOT, TUBE_DOT, FORMULAS };

struct fcl_path {
    int holders;
    char *name;          /* as the user wrote it */
    const path_row *row; /* NULL: the user's own formulas */
    fcl_expression *formula[FORMULAS];
    double begin, end;
    bool tubed;
};

const char *fcl_path_name(int index)
{
    return index >= 0 && index < COUNT ? rows[index].name : NULL;
}

const char *fcl_path_help(int index)
{
    return index >= 0 && index < COUNT ? rows[index].help : NULL;
}

static const fcl_choice_parameter *parameters_of(int index)
{
    return rows[index].parameter;
}

static const fcl_choice_table table = {"path", fcl_path_name, parameters_of, true};
static const char *const variables[] = {"t", NULL};

/* --- values --- */

static double at(const fcl_path *path, int formula, double t)
{
    return fcl_expression_value(path->formula[formula], &t);
}

fcl_path_point fcl_path_unclamped(const fcl_path *path, double t)
{
    return (fcl_path_point){.alpha = at(path, ALPHA, t),
                            .sigma = at(path, SIGMA, t),
                            .tube = at(path, TUBE, t),
                            .alpha_dot = at(path, ALPHA_DOT, t),
                            .sigma_dot = at(path, SIGMA_DOT, t),
                            .tube_dot = at(path, TUBE_DOT, t)};
}

fcl_path_point fcl_path_value(const fcl_path *path, double t)
{
    return fcl_path_unclamped(path, fmin(fmax(t, path->begin), path->end));
}

fcl_tensor *fcl_time_clamp(fcl_tensor *t, double begin, double end)
{
    fcl_graph *graph = fcl_tensor_graph(t);
    if (begin > 0)
        t = fcl_max(t, fcl_constant(graph, (float)begin));
    return end < 1 ? fcl_min(t, fcl_constant(graph, (float)end)) : t;
}

static fcl_tensor *build(const fcl_path *path, int formula, fcl_tensor *t)
{
    return fcl_expression_build(path->formula[formula], fcl_tensor_graph(t), &t);
}

fcl_path_at fcl_path_build(const fcl_path *path, fcl_tensor *t)
{
    t = fcl_time_clamp(t, path->begin, path->end);
    return (fcl_path_at){.alpha = build(path, ALPHA, t),
                         .sigma = build(path, SIGMA, t),
                         .tube = build(path, TUBE, t),
                         .alpha_dot = build(path, ALPHA_DOT, t),
                         .sigma_dot = build(path, SIGMA_DOT, t),
                         .tube_dot = build(path, TUBE_DOT, t)};
}

void fcl_path_range(const fcl_path *path, double *begin, double *end)
{
    *begin = path->begin;
    *end = path->end;
}

bool fcl_path_has_tube(const fcl_path *path)
{
    return path->tubed;
}

bool fcl_path_needs_gaussian(const fcl_path *path)
{
    return path->row && path->row->gaussian;
}

/* The time at which a coefficient passes `value`: at `below` it is less, at `above` not. */
static double crossing(const fcl_path *path, int formula, double value, double below, double above)
{
    for (int i = 0; i < 60; i++) {
        double middle = (below + above) / 2;
        *(at(path, formula, middle) < value ? &below : &above) = middle;
    }
    return above;
}

double fcl_path_alpha_from(const fcl_path *path, double least)
{
    return at(path, ALPHA, 0) >= least ? 0 : crossing(path, ALPHA, least, 0, 1);
}

double fcl_path_sigma_until(const fcl_path *path, double least)
{
    return at(path, SIGMA, 1) >= least ? 1 : crossing(path, SIGMA, least, 1, 0);
}

double fcl_path_share(const fcl_path *path, double t, double *slope)
{
    double alpha = at(path, ALPHA, t), sigma = at(path, SIGMA, t), sum = alpha + sigma;
    *slope = (at(path, ALPHA_DOT, t) * sigma - at(path, SIGMA_DOT, t) * alpha) / (sum * sum);
    return alpha / sum;
}

char *fcl_path_formula(const fcl_path *path, const char *which)
{
    static const char *const names[FORMULAS] = {"alpha", "sigma", "tube", "alpha'", "sigma'", "tube'"};
    for (int i = 0; i < FORMULAS; i++)
        if (!strcmp(names[i], which))
            return fcl_expression_text(path->formula[i]);
    return NULL;
}

/* --- what is a path --- */

static bool steep(double value)
{
    return !(fabs(value) < 1e3);
}

/* Whether a coefficient or a slope is out of bounds at the end `t`. */
static bool singular(const fcl_path *path, double t)
{
    bool found = false;
    for (int i = 0; i < FORMULAS; i++)
        found |= steep(at(path, i, t));
    return found;
}

static void find_range(fcl_path *path)
{
    path->begin = singular(path, 0) ? FCL_PATH_END : 0;
    path->end = singular(path, 1) ? 1 - FCL_PATH_END : 1;
}

static int check_end(const fcl_path *path, const char *name, int formula, double t, double expected)
{
    double value = at(path, formula, t);
    if (fabs(value - expected) <= 1e-6)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "\"%.200s\" is no path from noise to data: %s(%g) is %g, not %g",
                    path->name, name, t, isnan(value) ? (double)NAN : value, expected); /* not "-nan" */
}

/* Finite, differentiable, and always on its way from noise to data. */
static int check_inside(const fcl_path *path)
{
    enum { CELLS = 1000 };
    double before = 0;
    for (int i = 1; i < CELLS; i++) {
        double t = (double)i / CELLS, alpha = at(path, ALPHA, t), sigma = at(path, SIGMA, t);
        double slopes = at(path, ALPHA_DOT, t) + at(path, SIGMA_DOT, t), share = alpha / (alpha + sigma);
        if (!isfinite(alpha) || !isfinite(sigma) || !isfinite(slopes))
            return fcl_fail(
                FCL_ERR_ARGUMENT,
                "\"%.200s\" is no path: at t = %g alpha is %g, sigma %g, the sum of their slopes %g",
                path->name, t, alpha, sigma, slopes);
        if (alpha < 0 || sigma < 0 || !(share > before))
            return fcl_fail(
                FCL_ERR_ARGUMENT,
                "\"%.200s\" is no path: alpha/sigma must grow from 0 to infinity, but at t = %g alpha is %g "
                "and sigma %g",
                path->name, t, alpha, sigma);
        before = share;
    }
    return FCL_OK;
}

static int check(const fcl_path *path)
{
    FCL_TRY(check_end(path, "alpha", ALPHA, 0, 0));
    FCL_TRY(check_end(path, "alpha", ALPHA, 1, 1));
    FCL_TRY(check_end(path, "sigma", SIGMA, 0, 1));
    FCL_TRY(check_end(path, "sigma", SIGMA, 1, 0));
    return check_inside(path);
}

/* --- making one --- */

static int read_row(fcl_path *path, const fcl_choice *choice)
{
    const path_row *row = path->row = &rows[choice->index];
    const char *const texts[] = {row->alpha, row->sigma, row->tube ? row->tube : "0"};
    for (int i = 0; i < ALPHA_DOT; i++)
        FCL_TRY(fcl_expression_parse(texts[i], variables, choice->parameter, &path->formula[i]));
    return FCL_OK;
}

static int read_formulas(fcl_path *path, double width)
{
    static const char *const keys[] = {"alpha", "sigma", NULL};
    const fcl_parameter s[] = {{"s", width}, {NULL, 0}};
    FCL_TRY(fcl_expression_parse_list(path->name, keys, variables, NULL, path->formula));
    return fcl_expression_parse("s", variables, s, &path->formula[TUBE]);
}

static int fill(fcl_path *path, const char *text, double width)
{
    fcl_choice choice;
    path->name = fcl_strdup(text ? text : rows[0].name);
    FCL_TRY(fcl_choice_read(&table, text, &(fcl_parameter){"s", width}, &choice));
    FCL_TRY(choice.index == FCL_CHOICE_FORMULA ? read_formulas(path, width) : read_row(path, &choice));
    for (int i = 0; i < ALPHA_DOT; i++)
        path->formula[ALPHA_DOT + i] = fcl_expression_derivative(path->formula[i], 0);
    const fcl_term *tube = fcl_expression_root(path->formula[TUBE]);
    path->tubed = tube->op != FCL_EXPRESSION_NUMBER || tube->number != 0;
    find_range(path);
    return path->row ? FCL_OK : check(path);
}

int fcl_path_create(const char *text, double width, fcl_path **path)
{
    *path = fcl_zalloc(sizeof **path);
    (*path)->holders = 1;
    int status = fill(*path, text, width);
    if (status != FCL_OK)
        fcl_path_destroy(path);
    return status;
}

fcl_path *fcl_path_keep(const fcl_path *path)
{
    fcl_path *kept = (fcl_path *)(uintptr_t)path; /* its formulas stay as they are */
    kept->holders++;
    return kept;
}

void fcl_path_destroy(fcl_path **path)
{
    fcl_path *dying = *path;
    *path = NULL;
    if (!dying || --dying->holders > 0)
        return;
    for (int i = 0; i < FORMULAS; i++)
        fcl_expression_destroy(&dying->formula[i]);
    free(dying->name);
    free(dying);
}
