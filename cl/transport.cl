/* Entropic optimal transport in the log domain (graph/transport.c tells the formulas). K (M, N) are the costs
 * over the entropy's weight, f (M) and g (N) the potentials over the same; the plan is
 *     P_ij = exp(f_i + g_j + lambda - K_ij) / (M N).
 * The report, of TRANSPORT_REPORT floats: iterations, the plan's error, its mass, its state, and lambda. Launches
 * after convergence find nothing to do. */

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

/* The largest of numbers, and their sum, over the work-group; as group_sum, but with no loop around a barrier: of
 * each of these PoCL's compiler makes two copies of all that follows, and the kernels here have ten. */
static inline float transport_max(float value, local float *partial)
{
    partial[get_local_id(0)] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    float largest = partial[0];
    for (int i = 1; i < (int)get_local_size(0); i++)
        largest = fmax(largest, partial[i]);
    barrier(CLK_LOCAL_MEM_FENCE);
    return largest;
}

static inline float transport_sum(float value, local float *partial)
{
    partial[get_local_id(0)] = value;
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    float sum = partial[0];
    for (int i = 1; i < (int)get_local_size(0); i++)
        sum += partial[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
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

/* mass[i] = log of the mean over j of exp(own[i] + other[j] - K_ij), a work-group a row. */
kernel void transport_rows(const global float *restrict cost, const global float *restrict own,
                           const global float *restrict other, const global float *restrict report, int columns,
                           global float *restrict mass)
{
    local float partial[GROUP_MAX];
    const int row = get_group_id(0), id = get_local_id(0), step = get_local_size(0);
    const bool work = report[TRANSPORT_OPEN] != 0;
    const int end = work ? columns : 0, wide_end = step == 1 ? end & ~15 : 0;
    const global float *k = cost + (size_t)row * columns;
    const float mine = own[row];
    float16 most16 = -INFINITY, sum16 = 0;
    for (int j = 0; j < wide_end; j += 16)
        most16 = fmax(most16, transport_exponent_float16(mine, vload16(0, other + j), vload16(0, k + j)));
    float most = max_of_16(most16);
    for (int j = wide_end + id; j < end; j += step)
        most = fmax(most, transport_exponent_float(mine, other[j], k[j]));
    most = transport_max(most, partial);
    for (int j = 0; j < wide_end; j += 16)
        sum16 += exp(transport_exponent_float16(mine, vload16(0, other + j), vload16(0, k + j)) - most);
    float total = sum_of_16(sum16);
    for (int j = wide_end + id; j < end; j += step)
        total += exp(transport_exponent_float(mine, other[j], k[j]) - most);
    total = transport_sum(total, partial);
    if (work && id == 0)
        mass[row] = most + log(total / columns);
}

/* How much lambda rises so that the mean of min(1, exp(x_i + rise)) is `share`, x_i = mass_i + lambda -
 * potential_i; 0 without rows. The bracket is halved and, by turns, left for the step that is exact where no more
 * x_i reach zero. */
static inline float transport_level(const global float *mass, const global float *potential, float lambda, int rows,
                                    float share, local float *partial)
{
    enum { SWEEPS = 64 }; /* 6 to 24 of them, more only where single precision has nothing between */
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY, least = INFINITY, total = 0;
    for (int i = id; i < rows; i += step) {
        most = fmax(most, mass[i] + lambda - potential[i]);
        least = fmin(least, mass[i] + lambda - potential[i]);
    }
    most = transport_max(most, partial);
    for (int i = id; i < rows; i += step)
        total += exp(mass[i] + lambda - potential[i] - most);
    total = transport_sum(total, partial);
    float high = transport_max(-least, partial), low = log(share) - most - log(total / rows);
    high = fmax(low, high);
    float level = rows > 0 ? low : 0.0f;
    int sweep = 0;
    do { /* once at least: see transport_sum */
        float full = 0, below = 0;
        for (int i = id; i < rows; i += step) {
            const float x = mass[i] + lambda - potential[i] + level;
            full += x >= 0 ? 1.0f : 0.0f;
            below += x >= 0 ? 0.0f : exp(x);
        }
        full = transport_sum(full, partial) / rows;
        below = transport_sum(below, partial) / rows;
        const bool there = fabs(full + below - share) <= 1e-5f * share;
        low = full + below < share ? level : low;
        high = full + below < share ? high : level;
        const float newton = level + log((share - full) / below), middle = 0.5f * low + 0.5f * high;
        const float next = there ? level : sweep % 2 == 0 && newton > low && newton < high ? newton : middle;
        sweep = rows == 0 || next == level ? SWEEPS : sweep + 1;
        level = rows > 0 ? next : 0.0f;
    } while (sweep < SWEEPS);
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
                                    float relax, float share, int rows, local float *partial)
{
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY, moved = 0, all = 0;
    for (int i = id; i < rows; i += step) {
        const float change = rise + transport_step(potential[i], mass[i], lambda + rise, relax, share);
        most = fmax(most, mass[i] + lambda + fmax(0.0f, change));
    }
    most = transport_max(most, partial);
    for (int i = id; i < rows; i += step) {
        const float change = rise + transport_step(potential[i], mass[i], lambda + rise, relax, share);
        const float now = exp(mass[i] + lambda - most), then = exp(mass[i] + lambda + change - most);
        moved += fabs(then - now);
        all += fmax(then, now);
    }
    moved = transport_sum(moved, partial);
    return moved / transport_sum(all, partial);
}

/* The logarithm of the mean of exp(x). */
static inline float transport_log_mean(const global float *x, int count, local float *partial)
{
    const int id = get_local_id(0), step = get_local_size(0);
    float most = -INFINITY, total = 0;
    for (int i = id; i < count; i += step)
        most = fmax(most, x[i]);
    most = transport_max(most, partial);
    for (int i = id; i < count; i += step)
        total += exp(x[i] - most);
    return most + log(transport_sum(total, partial) / count);
}

/* The potentials that give the rows their masses (`mass`, in logarithms, is what they have), by one work-group:
 * potential* = relax (potential - mass), or with `share` > 0: min(0, potential - mass - lambda), and lambda so
 * that the plan has that share. Over-relaxed by `stretch`. `measure`: these are the rows, and their error is the
 * plan's, as the columns have just been made exact or will be before it counts. */
kernel void transport_update(global float *restrict mass, const global float *restrict relax, int rows, float share,
                             float tolerance, float stretch, int measure, global float *restrict potential,
                             global float *restrict report)
{
    local float partial[GROUP_MAX];
    const int id = get_local_id(0), step = get_local_size(0);
    const float state = report[TRANSPORT_OPEN], lambda = report[TRANSPORT_LAMBDA], pull = relax[0];
    const int end = state != 0 ? rows : 0;
    const float rise = transport_level(mass, potential, lambda, share > 0 ? end : 0, share, partial);
    const float error =
        transport_error(mass, potential, lambda, rise, pull, share, measure ? end : 0, partial);
    const bool near = measure ? error < tolerance : state == 2, done = measure && near && state == 2;
    for (int i = id; i < end && !done; i += step) {
        const float next = transport_next(potential[i], mass[i], lambda + rise, pull, share, near ? 1.0f : stretch);
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

/* The end, by one work-group: the error where it is not known yet (the columns are exact), the plan's mass, and
 * from the masses of the rows their sums, which are without f. An error that is NaN stays open. */
kernel void transport_finish(global float *restrict mass, const global float *restrict relax, int rows, float share,
                             float tolerance, const global float *restrict potential, global float *restrict report)
{
    local float partial[GROUP_MAX];
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

/* cumulative[i] = the mass of rows 0 to i over that of the heaviest; one work-item. */
kernel void transport_masses(const global float *restrict f, const global float *restrict sum, int rows,
                             global float *restrict cumulative)
{
    float most = -INFINITY, total = 0;
    for (int i = 0; i < rows; i++)
        most = fmax(most, f[i] + sum[i]);
    for (int i = 0; i < rows; i++) {
        total += exp(f[i] + sum[i] - most);
        cumulative[i] = total;
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

/* The logarithm of the sum over j of exp(mine + g[j] - K_j), by one work-item. */
static inline float transport_row_mass(const global float *costs, float mine, const global float *g, int columns)
{
    const int wide_end = columns & ~15;
    float16 most16 = -INFINITY, sum16 = 0;
    for (int j = 0; j < wide_end; j += 16)
        most16 = fmax(most16, transport_exponent_float16(mine, vload16(0, g + j), vload16(0, costs + j)));
    float most = max_of_16(most16);
    for (int j = wide_end; j < columns; j++)
        most = fmax(most, transport_exponent_float(mine, g[j], costs[j]));
    for (int j = 0; j < wide_end; j += 16)
        sum16 += exp(transport_exponent_float16(mine, vload16(0, g + j), vload16(0, costs + j)) - most);
    float total = sum_of_16(sum16);
    for (int j = wide_end; j < columns; j++)
        total += exp(transport_exponent_float(mine, g[j], costs[j]) - most);
    return most + log(total);
}

/* Pair k: a row, by its mass with one uniform number a stratum, or row k itself where there is no
 * `cumulative`; and a column of it by the inverse of its distribution function. u (M, 2). */
kernel void transport_draw(const global float *restrict cost, const global float *restrict f,
                           const global float *restrict g, const global float *restrict u,
                           const global float *restrict cumulative, int rows, int columns,
                           global int *restrict row_out, global int *restrict column_out)
{
    const int k = get_global_id(0);
    if (k >= rows)
        return;
    const int row = cumulative ? transport_find(cumulative, rows, (k + u[2 * k]) / rows * cumulative[rows - 1]) : k;
    const global float *costs = cost + (size_t)row * columns;
    const float mine = f[row], base = transport_row_mass(costs, mine, g, columns), target = u[2 * k + 1];
    float below = 0;
    int column = 0;
    bool found = false;
    for (int j = 0; j < columns && !found; j += 16) {
        const int count = min(16, columns - j);
        float p[16];
        if (count == 16) {
            const float16 wide = exp(transport_exponent_float16(mine, vload16(0, g + j), vload16(0, costs + j)) - base);
            const float all = sum_of_16(wide);
            if (below + all < target) {
                column = all > 0 ? j + 15 : column;
                below += all;
                continue;
            }
            vstore16(wide, 0, p);
        } else {
            for (int l = 0; l < count; l++)
                p[l] = exp(transport_exponent_float(mine, g[j + l], costs[j + l]) - base);
        }
        for (int l = 0; l < count && !found; l++) {
            column = p[l] > 0 ? j + l : column; /* where rounding leaves nothing, the last one with any */
            below += p[l];
            found = below >= target;
        }
    }
    if (row_out)
        row_out[k] = row;
    if (column_out)
        column_out[k] = column;
}
