/* What pairs cost, and the plans that are drawn from on the device.
 *
 * Costs are of points moved to their middle and over their size: far from the origin, or at any scale, single
 * precision keeps what tells one pair from another. What is the same for all pairs of a row, or of a column,
 * changes no plan whose marginals are kept: there each set is moved by its own mean, and |a|^2 and |b|^2 are
 * left out of |a - b|^2. Where rows may be left out it counts: with a and b moved by their means and d the
 * difference of these,
 *     |x0 - x1|^2 = |a - b|^2 + 2 d.(a - b) + |d|^2,
 * of which |d|^2 alone, which moves no pair, is left out. */
#include "flow/coupling.h"

#include <string.h>

/* --- points and costs --- */

/* A set of rows: moved to their mean, and over their size, which is mean |x| or 1 where all are the same. */
typedef struct set {
    fcl_tensor *middle;  /* (1, D) */
    fcl_tensor *x;       /* (M, D) */
    fcl_tensor *size;    /* () */
    fcl_tensor *squares; /* (M, 1): |x|^2 */
} set;

static fcl_tensor *size_of(fcl_tensor *x)
{
    fcl_tensor *size = fcl_mean(fcl_abs(x)), *one = fcl_constant(fcl_tensor_graph(x), 1);
    return fcl_where(fcl_greater(size, fcl_constant(fcl_tensor_graph(x), 0)), size, one);
}

static set moved(fcl_tensor *x)
{
    set s = {.middle = fcl_scale(fcl_sum_axes(x, 1), 1.0f / (float)fcl_tensor_shape(x).dim[0])};
    s.x = fcl_sub(x, s.middle);
    s.size = size_of(s.x);
    return s;
}

static void divide(set *s, fcl_tensor *size)
{
    s->x = fcl_div(s->x, size);
    s->squares = fcl_sum_axes(fcl_square(s->x), 2);
}

static fcl_tensor *turned(fcl_tensor *column) /* (M, 1) -> (1, M) */
{
    return fcl_reshape(column, FCL_SHAPE(1, fcl_tensor_shape(column).dim[0]));
}

static fcl_tensor *products(const set *a, const set *b) /* -2 a b', (M, M) */
{
    return fcl_scale(fcl_matmul(a->x, b->x, false, true), -2);
}

fcl_tensor *fcl_coupling_cost(fcl_tensor *x0, fcl_tensor *x1)
{
    set a = moved(x0), b = moved(x1);
    divide(&a, a.size);
    divide(&b, b.size);
    return products(&a, &b);
}

/* Costs in units of their own, which the given numbers are divided by. */
typedef struct costs {
    fcl_tensor *pair; /* (M, M), without what all pairs have in common */
    fcl_tensor *mean; /* () of the whole cost */
    fcl_tensor *unit0,
        *unit1;         /* their product is the unit: either is in single precision where it may not be */
    fcl_tensor *common; /* () what all pairs have in common, where it counts; else NULL */
} costs;

/* The mean of |a - b|^2 is that of |a|^2 and that of |b|^2, as their means are zero. */
static costs kept_costs(fcl_tensor *x0, fcl_tensor *x1)
{
    set a = moved(x0), b = moved(x1);
    divide(&a, a.size);
    divide(&b, b.size);
    fcl_tensor *of_a = fcl_mul(fcl_mean(a.squares), fcl_div(a.size, b.size));
    fcl_tensor *of_b = fcl_mul(fcl_mean(b.squares), fcl_div(b.size, a.size));
    return (costs){.pair = products(&a, &b), .mean = fcl_add(of_a, of_b), .unit0 = a.size, .unit1 = b.size};
}

static costs true_costs(fcl_tensor *x0, fcl_tensor *x1)
{
    set a = moved(x0), b = moved(x1);
    fcl_tensor *d = fcl_sub(a.middle, b.middle); /* (1, D) */
    fcl_tensor *size =
        size_of(fcl_add(fcl_add(fcl_mean(fcl_abs(a.x)), fcl_mean(fcl_abs(b.x))), fcl_mean(fcl_abs(d))));
    divide(&a, size);
    divide(&b, size);
    d = fcl_div(d, size);
    fcl_tensor *of_a = fcl_add(a.squares, fcl_scale(fcl_sum_axes(fcl_mul(a.x, d), 2), 2));
    fcl_tensor *of_b = fcl_sub(b.squares, fcl_scale(fcl_sum_axes(fcl_mul(b.x, d), 2), 2));
    fcl_tensor *pair = fcl_add(fcl_add(products(&a, &b), of_a), turned(of_b)),
               *common = fcl_sum(fcl_square(d));
    return (costs){pair, fcl_add(fcl_mean(pair), common), size, size, common};
}

/* --- the entropic plans --- */

double fcl_coupling_bridge_width(const fcl_cfm_options *options)
{
    static const char name[] = "bridge";
    fcl_path *path;
    size_t length = sizeof name - 1;
    bool named = options->path && strncmp(options->path, name, length) == 0;
    if (!named || (options->path[length] && options->path[length] != '('))
        return 0;
    if (fcl_path_create(options->path, (double)options->sigma, &path) != FCL_OK)
        return 0;
    double width = 2 * fcl_path_value(path, 0.5).tube;
    fcl_path_destroy(&path);
    return width;
}

/* A given number in the costs' unit. */
static fcl_tensor *in_units(const costs *c, double given)
{
    return fcl_div(fcl_div(fcl_constant(fcl_tensor_graph(c->pair), (float)given), c->unit0), c->unit1);
}

/* The entropy's weight: the path's for a bridge, else as given, else a twentieth of the mean cost. */
static fcl_tensor *entropy_weight(const fcl_coupling *coupling, const fcl_cfm_options *options,
                                  const costs *c)
{
    double width = coupling->uses & FCL_USES_SIGMA ? fcl_coupling_bridge_width(options) : 0;
    if (width > 0)
        return in_units(c, 2 * width * width);
    return options->reg > 0 ? in_units(c, (double)options->reg) : fcl_scale(c->mean, 0.05f);
}

/* K, the costs over the entropy's weight. That is a millionth of their unit at least, as single precision
 * makes no plan of less, nor tells its cost from that of none; and what is allowed stays below what is not.
 */
static fcl_tensor *weighed(const costs *c, fcl_tensor *reg, fcl_tensor *forbidden)
{
    fcl_graph *graph = fcl_tensor_graph(reg);
    fcl_tensor *factor = fcl_min(fcl_div(fcl_constant(graph, 1), reg), fcl_constant(graph, 1e6f));
    fcl_tensor *k = fcl_mul(c->pair, factor);
    return forbidden ? fcl_where(forbidden, fcl_constant(graph, 1e29f), k) : k;
}

/* reg / rho; rho as given, else the mean cost. No cost and no entropy: what is left out costs too much. */
static fcl_tensor *reg_over_rho(const fcl_cfm_options *options, const costs *c, fcl_tensor *reg)
{
    fcl_tensor *rho = options->relaxation > 0 ? in_units(c, (double)options->relaxation) : c->mean;
    fcl_tensor *none = fcl_constant(fcl_tensor_graph(reg), 0);
    return fcl_where(fcl_greater(reg, none), fcl_div(reg, rho), none);
}

/* The report with the mass that the plan has of the whole cost: what all pairs have in common, c, moves each
 * potential by relax c / (1 + relax), and so takes the logarithm of the mass down by c (1 - relax) / (1 +
 * relax) over reg, which is c / rho / (2 + reg / rho). */
static fcl_tensor *report_of_whole_cost(fcl_tensor *report, const costs *c, fcl_tensor *reg,
                                        fcl_tensor *ratio)
{
    fcl_tensor *two = fcl_constant(fcl_tensor_graph(reg), 2), *none = fcl_constant(fcl_tensor_graph(reg), 0);
    fcl_tensor *loss = fcl_div(fcl_mul(fcl_div(c->common, reg), ratio), fcl_add(two, ratio));
    fcl_tensor *factor = fcl_exp(fcl_neg(fcl_where(fcl_greater(reg, none), loss, none)));
    fcl_tensor *parts[] = {fcl_slice(report, 0, 0, FCL_TRANSPORT_MASS),
                           fcl_mul(fcl_slice(report, 0, FCL_TRANSPORT_MASS, FCL_TRANSPORT_MASS + 1), factor),
                           fcl_slice(report, 0, FCL_TRANSPORT_MASS + 1, FCL_TRANSPORT_REPORT)};
    return fcl_concat(3, parts, 0);
}

static fcl_sinkhorn_control control_of(const fcl_coupling *coupling, const fcl_cfm_options *options)
{
    return (fcl_sinkhorn_control){
        .iterations = options->coupling_iterations ? options->coupling_iterations : FCL_COUPLING_ITERATIONS,
        .tolerance = options->coupling_tolerance > 0 ? options->coupling_tolerance : 1e-3f,
        .mass = !(coupling->uses & FCL_USES_MASS) ? 0
                : options->mass > 0               ? options->mass
                                                  : 0.9f,
    };
}

fcl_coupling_pairs fcl_coupling_draw(const fcl_cfm_options *options, fcl_tensor *x0, fcl_tensor *x1,
                                     fcl_tensor *forbidden)
{
    const fcl_coupling *coupling = fcl_coupling_find(options->coupling);
    bool relaxed = coupling->uses & FCL_USES_RELAXATION, kept = !relaxed && !(coupling->uses & FCL_USES_MASS);
    fcl_graph *graph = fcl_tensor_graph(x0);
    costs c = kept ? kept_costs(x0, x1) : true_costs(x0, x1);
    fcl_tensor *reg = entropy_weight(coupling, options, &c), *one = fcl_constant(graph, 1);
    fcl_tensor *ratio = relaxed ? reg_over_rho(options, &c, reg) : NULL;
    fcl_tensor *relax = relaxed ? fcl_div(one, fcl_add(one, ratio)) : NULL; /* rho / (rho + reg) */
    fcl_sinkhorn_control control = control_of(coupling, options);
    fcl_sinkhorn_plan plan = fcl_sinkhorn(weighed(&c, reg, forbidden), relax, &control);
    fcl_shape two = FCL_SHAPE(fcl_tensor_shape(x0).dim[0], 2);
    fcl_transport_pairs pairs = fcl_transport_draw(&plan, fcl_uniform(graph, two, FCL_STREAM_COUPLING), kept);
    fcl_tensor *report = relaxed ? report_of_whole_cost(plan.report, &c, reg, ratio) : plan.report;
    return (fcl_coupling_pairs){pairs.row, pairs.column, report, plan};
}
