/* Entropic optimal transport in the log domain (graph/transport.c tells the formulas). K (M, N) are the costs
 * over the entropy's weight, f (M) and g (N) the potentials over the same; the plan is
 *     P_ij = exp(f_i + g_j + lambda - K_ij) / (M N).
 * The report, of TRANSPORT_REPORT floats: iterations, the plan's error, its mass, its state, and lambda. Launches
 * after convergence find nothing to do.
 *
 * On CPUs a work-item takes a row in vectors. Elsewhere a work-group takes a row, or, of a small pool, all rows and
 * all iterations (transport_solve). Work-groups have any size up to GROUP_MAX. */
#include "group.h"

#define TRANSPORT_ITERATIONS 0
#define TRANSPORT_CHANGE 1
#define TRANSPORT_MASS 2
#define TRANSPORT_OPEN 3 /* while it runs, 2 where the error was small when the columns were not exact */
#define TRANSPORT_LAMBDA 4

/* own + (other - cost), as if rounded once: where potentials and costs are large and their sum is not, as on a
 * plan's pairs, that of the rounded differences would be all rounding (Knuth's two-sum). */
#define TRANSPORT_EXPONENT(real)                                                                                  \
    static inline real transport_exponent_##real(real own, real other, real cost)                                 \
    {                                                                                                             \
        const real difference = other - cost, taken = difference - other;                                         \
        const real lost = (other - (difference - taken)) - (cost + taken);                                        \
        return own + difference + lost;                                                                           \
    }
TRANSPORT_EXPONENT(float)
TRANSPORT_EXPONENT(float16)

static inline float max_of_16(float16 v)
{
    const float8 a = fmax(v.lo, v.hi);
    const float4 b = fmax(a.lo, a.hi);
    return fmax(fmax(b.x, b.y), fmax(b.z, b.w));
}

/* Pairs of numbers of the work-group's work-items: the largest of each, and their sums, in each work-item. Every
 * sixteenth number first, so that two steps do, without a loop around a barrier: of each of these PoCL's compiler makes
 * two copies of all that follows, and the kernels here have up to seven. (Where there is one, a flag ends it: PoCL 3.1
 * gives a work-item one more round where its counter is set to its end.) */
#define TRANSPORT_LANES 16

static inline float2 transport_max(float2 value, local float2 *partial)
{
    const int id = get_local_id(0), size = get_local_size(0), lanes = min(size, TRANSPORT_LANES);
    partial[id] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    float2 largest = value;
    for (int i = id + lanes; i < size && id < lanes; i += lanes)
        largest = fmax(largest, partial[i]);
    if (id < lanes)
        partial[id] = largest;
    barrier(CLK_LOCAL_MEM_FENCE);
    largest = partial[0];
    for (int i = 1; i < lanes; i++)
        largest = fmax(largest, partial[i]);
    barrier(CLK_LOCAL_MEM_FENCE);
    return largest;
}

static inline float2 transport_sum(float2 value, local float2 *partial)
{
    const int id = get_local_id(0), size = get_local_size(0), lanes = min(size, TRANSPORT_LANES);
    partial[id] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    float2 sum = value;
    for (int i = id + lanes; i < size && id < lanes; i += lanes)
        sum += partial[i];
    if (id < lanes)
        partial[id] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = partial[0];
    for (int i = 1; i < lanes; i++)
        sum += partial[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

/* The sum of the numbers up to each work-item's own, and in *all that of all of them. */
static inline float transport_scan(float value, local float2 *partial, float *all)
{
    const int id = get_local_id(0), size = get_local_size(0);
    const int first = TRANSPORT_LANES * id, end = min(size, first + TRANSPORT_LANES);
    partial[id].x = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int i = first + 1; i < end; i++)
        partial[i].x += partial[i - 1].x;
    barrier(CLK_LOCAL_MEM_FENCE);
    float before = 0, sum = 0;
    for (int i = 0; i < size; i += TRANSPORT_LANES) {
        before = i <= id ? sum : before;
        sum += partial[min(size, i + TRANSPORT_LANES) - 1].x;
    }
    const float own = partial[id].x;
    barrier(CLK_LOCAL_MEM_FENCE);
    *all = sum;
    return before + own;
}

/* Potentials of zero, and a report of nothing done; a work-item a potential. */
kernel void transport_start(int rows, int columns, global float *restrict f, global float *restrict g,
                            global float *restrict report)
{
    const int i = get_global_id(0);
    if (i < rows)
        f[i] = 0;
    if (i < columns)
        g[i] = 0;
    if (i == 0) {
        for (int k = 0; k <= TRANSPORT_LAMBDA; k++)
            report[k] = 0;
        report[TRANSPORT_OPEN] = 1;
    }
}

/* How much lambda rises so that the mean of min(1, exp(x_i + rise)) is `share`, x_i = mass_i + lambda -
 * potential_i; 0 without rows. The bracket is halved and, by turns, left for the step that is exact where no more
 * x_i reach zero. */
static inline float transport_level(const global float *mass, const global float *potential, float lambda, int rows,
                                    float share, local float2 *partial)
{
    enum { SWEEPS = 64 }; /* 6 to 24 of them, more only where single precision has nothing between */
    const int id = get_local_id(0), step = get_local_size(0);
    float2 most = -INFINITY; /* of x_i, and of -x_i */
    float total = 0;
    for (int i = id; i < rows; i += step) {
        const float x = mass[i] + lambda - potential[i];
        most = fmax(most, (float2)(x, -x));
    }
    most = transport_max(most, partial);
    for (int i = id; i < rows; i += step)
        total += exp(mass[i] + lambda - potential[i] - most.x);
    total = transport_sum(total, partial).x;
    float low = log(share) - most.x - log(total / rows), high = fmax(low, most.y);
    float level = rows > 0 ? low : 0.0f;
    int sweep = 0;
    bool open;
    do { /* once at least: see transport_max */
        float2 masses = 0; /* of those that reach zero, and of those below */
        for (int i = id; i < rows; i += step) {
            const float x = mass[i] + lambda - potential[i] + level;
            masses += x >= 0 ? (float2)(1, 0) : (float2)(0, exp(x));
        }
        masses = transport_sum(masses, partial) / rows;
        const float full = masses.x, below = masses.y;
        const bool there = fabs(full + below - share) <= 1e-5f * share;
        low = full + below < share ? level : low;
        high = full + below < share ? high : level;
        const float newton = level + log((share - full) / below), middle = 0.5f * low + 0.5f * high;
        const float next = there ? level : sweep % 2 == 0 && newton > low && newton < high ? newton : middle;
        open = rows > 0 && next != level;
        level = rows > 0 ? next : 0.0f;
        sweep++;
    } while (sweep < SWEEPS && open);
    return level;
}

/* What a potential gains in the dual by a step: its own term, whose slope in the mass falls by `slope`, less the
 * plan's mass exp(logarithm). */
static inline float transport_gain(float potential, float step, float logarithm, float slope)
{
    const float own = slope > 1e-6f ? -exp(-slope * potential) * expm1(-slope * step) / slope : step;
    return own - exp(logarithm) * expm1(step);
}

/* From a potential to what gives its row the mass, at this lambda: to relax (potential - mass), or with `share` to
 * min(0, potential - mass - lambda); as a difference, which is small where the potential is large. */
static inline float transport_step(float potential, float mass, float lambda, float relax, float share)
{
    return share > 0 ? fmin(-potential, -mass - lambda) : -relax * mass - (1 - relax) * potential;
}

/* Where a potential goes: `stretch` times as far, if the dual does not fall by that. */
static inline float transport_next(float potential, float mass, float lambda, float relax, float share, float stretch)
{
    const float step = transport_step(potential, mass, lambda, relax, share);
    const float longer = share > 0 ? fmin(-potential, stretch * step) : stretch * step;
    const float slope = share > 0 ? 0.0f : (1 - relax) / relax;
    return potential + (transport_gain(potential, longer, mass + lambda, slope) >= 0 ? longer : step);
}

/* The share of the rows' mass that such steps of all potentials would change, 0 to 1. It counts what a potential
 * cannot hold of its step, too. */
static inline float transport_error(const global float *mass, const global float *potential, float lambda, float rise,
                                    float relax, float share, int rows, local float2 *partial)
{
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY;
    float2 moved = 0; /* and all that could be */
    for (int i = id; i < rows; i += step) {
        const float change = rise + transport_step(potential[i], mass[i], lambda + rise, relax, share);
        most = fmax(most, mass[i] + lambda + fmax(0.0f, change));
    }
    most = transport_max(most, partial).x;
    for (int i = id; i < rows; i += step) {
        const float change = rise + transport_step(potential[i], mass[i], lambda + rise, relax, share);
        const float now = exp(mass[i] + lambda - most), then = exp(mass[i] + lambda + change - most);
        moved += (float2)(fabs(then - now), fmax(then, now));
    }
    moved = transport_sum(moved, partial);
    return moved.x / moved.y;
}

/* The logarithm of the mean of exp(x). */
static inline float transport_log_mean(const global float *x, int count, local float2 *partial)
{
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY, total = 0;
    for (int i = id; i < count; i += step)
        most = fmax(most, x[i]);
    most = transport_max(most, partial).x;
    for (int i = id; i < count; i += step)
        total += exp(x[i] - most);
    return most + log(transport_sum(total, partial).x / count);
}

/* How much longer an iteration's steps are: not before the potentials are roughly right; more where it goes on for
 * long, as the best factor is nearer to two the slower the plain iterations are. */
static inline float transport_stretch(int iteration)
{
    return iteration < 5 ? 1.0f : iteration < 40 ? 1.5f : 1.8f;
}

/* The potentials that give the rows their masses (`mass`, in logarithms, is what they have), by one work-group:
 * potential* = relax (potential - mass), or with `share` > 0: min(0, potential - mass - lambda), and lambda so
 * that the plan has that share. Over-relaxed by `stretch`. `measure`: these are the rows, and their error is the
 * plan's, as the columns have just been made exact or will be before it counts. */
static inline void transport_renew(global float *mass, float relax, int rows, float share, float tolerance, float stretch,
                                   bool measure, global float *potential, global float *report, local float2 *partial)
{
    const int id = get_local_id(0), step = get_local_size(0);
    const float state = report[TRANSPORT_OPEN], lambda = report[TRANSPORT_LAMBDA];
    const int end = state != 0 ? rows : 0;
    const float rise = transport_level(mass, potential, lambda, share > 0 ? end : 0, share, partial);
    const float error = transport_error(mass, potential, lambda, rise, relax, share, measure ? end : 0, partial);
    const bool near = measure ? error < tolerance : state == 2, done = measure && near && state == 2;
    for (int i = id; i < end && !done; i += step) {
        const float next = transport_next(potential[i], mass[i], lambda + rise, relax, share, near ? 1.0f : stretch);
        mass[i] += next - potential[i];
        potential[i] = next;
    }
    const float all = transport_log_mean(mass, share > 0 ? end : 0, partial);
    if (id == 0 && end > 0 && share > 0 && !done)
        report[TRANSPORT_LAMBDA] = log(share) - all;
    if (id == 0 && end > 0 && measure) {
        report[TRANSPORT_ITERATIONS] += done ? 0.0f : 1.0f;
        report[TRANSPORT_CHANGE] = error;
        report[TRANSPORT_OPEN] = done ? 0.0f : near ? 2.0f : 1.0f;
    }
}

kernel void transport_update(global float *restrict mass, const global float *restrict relax, int rows, float share,
                             float tolerance, int iteration, int measure, global float *restrict potential,
                             global float *restrict report)
{
    local float2 partial[GROUP_MAX];
    transport_renew(mass, relax[0], rows, share, tolerance, transport_stretch(iteration), measure, potential, report,
                    partial);
}

/* The largest exponent mine + other[j] - K_j of a row, and the sum over j of what exp makes of them less that, by one
 * work-group. */
static inline float2 transport_row(const global float *k, float mine, const global float *other, int columns,
                                   local float2 *partial)
{
    const int id = get_local_id(0), step = get_local_size(0), wide_end = step == 1 ? columns & ~15 : 0;
    float16 most16 = -INFINITY, sum16 = 0;
    for (int j = 0; j < wide_end; j += 16)
        most16 = fmax(most16, transport_exponent_float16(mine, vload16(0, other + j), vload16(0, k + j)));
    float most = max_of_16(most16);
    for (int j = wide_end + id; j < columns; j += step)
        most = fmax(most, transport_exponent_float(mine, other[j], k[j]));
    most = transport_max(most, partial).x;
    for (int j = 0; j < wide_end; j += 16)
        sum16 += exp(transport_exponent_float16(mine, vload16(0, other + j), vload16(0, k + j)) - most);
    float total = sum_of_16(sum16);
    for (int j = wide_end + id; j < columns; j += step)
        total += exp(transport_exponent_float(mine, other[j], k[j]) - most);
    return (float2)(most, transport_sum(total, partial).x);
}

/* mass[i] = log of the mean over j of exp(own[i] + other[j] - K_ij), a work-group a row. `renew`: own[i] also goes where
 * its mass is right, as transport_update does it where no number is common to all rows and nothing is measured. */
kernel void transport_rows(const global float *restrict cost, global float *restrict own,
                           const global float *restrict other, const global float *restrict report, int columns,
                           global float *restrict mass, const global float *restrict relax, int renew, int iteration)
{
    local float2 partial[GROUP_MAX];
    const int row = get_group_id(0);
    const float state = report[TRANSPORT_OPEN], mine = own[row];
    const float2 sum = transport_row(cost + (size_t)row * columns, mine, other, state != 0 ? columns : 0, partial);
    if (state != 0 && get_local_id(0) == 0) {
        const float found = sum.x + log(sum.y / columns), stretch = state == 2 ? 1.0f : transport_stretch(iteration);
        const float next = renew ? transport_next(mine, found, 0, relax[0], 0, stretch) : mine;
        mass[row] = found + (next - mine);
        own[row] = next;
    }
}

/* mass[i] as transport_rows finds it, of all rows by one work-group, which reads `turned` (columns, rows): each work-item
 * has a row, neighbours neighbouring ones; where rows are fewer, several share one. */
static inline void transport_all_rows(const global float *turned, const global float *own, const global float *other,
                                      int rows, int columns, global float *mass, local float2 *partial)
{
    const int id = get_local_id(0), step = get_local_size(0), abreast = min(rows, step), parts = step / abreast;
    for (int begin = 0; begin < rows; begin += abreast) {
        const int row = begin + id % abreast, part = id / abreast;
        const int end = row < rows && part < parts ? columns : 0;
        const float mine = end > 0 ? own[row] : 0.0f;
        float most = -INFINITY, total = 0;
        for (int j = part; j < end; j += parts)
            most = fmax(most, transport_exponent_float(mine, other[j], turned[(size_t)j * rows + row]));
        partial[id].x = most;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = id % abreast; i < parts * abreast; i += abreast)
            most = fmax(most, partial[i].x);
        for (int j = part; j < end; j += parts)
            total += exp(transport_exponent_float(mine, other[j], turned[(size_t)j * rows + row]) - most);
        partial[id].y = total;
        barrier(CLK_LOCAL_MEM_FENCE);
        total = 0;
        for (int i = id % abreast; i < parts * abreast; i += abreast)
            total += partial[i].y;
        if (end > 0 && part == 0)
            mass[row] = most + log(total / columns);
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
}

/* Iterations `begin` to `end` - 1 by one work-group, rows and columns by turns; the columns of the last of `iterations`
 * are exact. cost (M, N), turned (N, M). */
kernel void transport_solve(const global float *restrict cost, const global float *restrict turned,
                            const global float *restrict relax, int rows, int columns, float share, float tolerance,
                            int begin, int end, int iterations, global float *restrict f, global float *restrict g,
                            global float *restrict mass, global float *restrict turned_mass,
                            global float *restrict report)
{
    local float2 partial[GROUP_MAX];
    const float pull = relax[0];
    int half_step = 2 * begin;
    bool open;
    do {
        const bool of_rows = half_step % 2 == 0;
        const int own_count = of_rows ? rows : columns, other_count = of_rows ? columns : rows;
        const int iteration = !of_rows && half_step == 2 * iterations - 1 ? 0 : half_step / 2;
        global float *own = of_rows ? f : g, *masses = of_rows ? mass : turned_mass;
        transport_all_rows(of_rows ? turned : cost, own, of_rows ? g : f, own_count, other_count, masses, partial);
        transport_renew(masses, pull, own_count, share, tolerance, transport_stretch(iteration), of_rows, own, report,
                        partial);
        barrier(CLK_GLOBAL_MEM_FENCE);
        open = report[TRANSPORT_OPEN] != 0;
        half_step++;
    } while (half_step < 2 * end && open);
}

/* The end, by one work-group: the error where it is not known yet (the columns are exact), the plan's mass, and
 * from the masses of the rows their sums, which are without f. An error that is NaN stays open. */
kernel void transport_finish(global float *restrict mass, const global float *restrict relax, int rows, float share,
                             float tolerance, const global float *restrict potential, global float *restrict report)
{
    local float2 partial[GROUP_MAX];
    const int id = get_local_id(0), step = get_local_size(0);
    const float state = report[TRANSPORT_OPEN], lambda = report[TRANSPORT_LAMBDA];
    const int open = state != 0 ? rows : 0;
    const float known = report[TRANSPORT_CHANGE];
    const float rise = transport_level(mass, potential, lambda, share > 0 ? open : 0, share, partial);
    const float found = transport_error(mass, potential, lambda, rise, relax[0], share, open, partial);
    const float error = open > 0 ? found : known;
    const float all = transport_log_mean(mass, rows, partial) + lambda;
    for (int i = id; i < rows; i += step)
        mass[i] -= potential[i];
    if (id == 0) {
        report[TRANSPORT_CHANGE] = error;
        report[TRANSPORT_MASS] = exp(fmin(all, 80.0f)); /* of a plan that is all rounding: finite */
        report[TRANSPORT_OPEN] = state == 0 || error < tolerance ? 0.0f : 1.0f;
    }
}

/* cumulative[i] = the mass of rows 0 to i over that of the heaviest; one work-group. */
kernel void transport_masses(const global float *restrict f, const global float *restrict sum, int rows,
                             global float *restrict cumulative)
{
    local float2 partial[GROUP_MAX];
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY, total = 0;
    for (int i = id; i < rows; i += step)
        most = fmax(most, f[i] + sum[i]);
    most = transport_max(most, partial).x;
    for (int begin = 0; begin < rows; begin += step) {
        const int i = begin + id;
        float all;
        const float upto = total + transport_scan(i < rows ? exp(f[i] + sum[i] - most) : 0.0f, partial, &all);
        if (i < rows)
            cumulative[i] = upto;
        total += all;
    }
}

/* The first of `count` rising numbers that is not below `target`, at most the last. */
static inline int transport_find(const global float *rising, int count, float target)
{
    int low = 0, high = count - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (rising[middle] < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row of pair k: by its mass with one uniform number a stratum, or row k itself where there is no `cumulative`. */
static inline int transport_row_of(int k, float u, const global float *cumulative, int rows)
{
    return cumulative ? transport_find(cumulative, rows, (k + u) / rows * cumulative[rows - 1]) : k;
}

/* Pair k, a work-group a pair: a row, and a column of it by the inverse of its distribution function. u (M, 2). Where
 * rounding leaves nothing, it is the last column with any. */
kernel void transport_draw(const global float *restrict cost, const global float *restrict f,
                           const global float *restrict g, const global float *restrict u,
                           const global float *restrict cumulative, int rows, int columns,
                           global int *restrict row_out, global int *restrict column_out)
{
    local float2 partial[GROUP_MAX];
    const int k = get_group_id(0), id = get_local_id(0), step = get_local_size(0);
    const int row = transport_row_of(k, u[2 * k], cumulative, rows);
    const global float *costs = cost + (size_t)row * columns;
    const float mine = f[row], target = u[2 * k + 1];
    const float2 sum = transport_row(costs, mine, g, columns, partial);
    const float base = sum.x + log(sum.y);
    float below = 0;
    int begin = 0, column = 0;
    bool found;
    do {
        const int j = begin + id;
        const float p = j < columns ? exp(transport_exponent_float(mine, g[j], costs[j]) - base) : 0.0f;
        float all;
        const bool reached = below + transport_scan(p, partial, &all) >= target;
        const float2 place = transport_max((float2)(reached ? -id : -step, p > 0 ? id : -1), partial);
        found = place.x > -step;
        column = found ? begin - (int)place.x : place.y >= 0 ? begin + (int)place.y : column;
        below += all;
        begin += step;
    } while (begin < columns && !found);
    if (id == 0 && row_out)
        row_out[k] = row;
    if (id == 0 && column_out)
        column_out[k] = column;
}
