/* Entropic optimal transport in the log domain (graph/transport.c tells the formulas). K (M, N) are the costs
 * over the entropy's weight, f (M) and g (N) the potentials over the same; the plan is
 *     P_ij = exp(f_i + g_j + lambda - K_ij) / (M N).
 * The report, of TRANSPORT_REPORT floats: iterations, the last one's change, the plan's mass, 1 where it is
 * not converged, and lambda. Launches after convergence find nothing to do. */

#define TRANSPORT_ITERATIONS 0
#define TRANSPORT_CHANGE 1
#define TRANSPORT_MASS 2
#define TRANSPORT_OPEN 3
#define TRANSPORT_LAMBDA 4

/* The largest of numbers over the work-group, as group_sum. */
static inline float transport_max(float value, local float *partial)
{
    int id = get_local_id(0);
    partial[id] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int count = get_local_size(0); count > 1; count = (count + 1) / 2) {
        if (id < count / 2)
            partial[id] = fmax(partial[id], partial[id + (count + 1) / 2]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float largest = partial[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return largest;
}

/* sum[i] = log of the mean over j of exp(potential[j] - K_ij), a work-group a row. `fresh`: the potential is
 * zero, whatever its memory holds. `always`: also after convergence. */
kernel void transport_rows(const global float *restrict cost, const global float *restrict potential,
                           const global float *restrict report, int columns, int fresh, int always,
                           global float *restrict sum)
{
    local float partial[GROUP_MAX];
    const int row = get_group_id(0), id = get_local_id(0), step = get_local_size(0);
    const bool work = always || fresh || report[TRANSPORT_OPEN] != 0;
    const int end = work ? columns : 0, wide_end = step == 1 ? end & ~15 : 0;
    const float weight = fresh ? 0.0f : 1.0f;
    const global float *k = cost + (size_t)row * columns;
    float16 most16 = -1e30f, sum16 = 0;
    for (int j = 0; j < wide_end; j += 16)
        most16 = fmax(most16, weight * vload16(0, potential + j) - vload16(0, k + j));
    const float8 a = fmax(most16.lo, most16.hi);
    const float4 b = fmax(a.lo, a.hi);
    float most = fmax(fmax(b.x, b.y), fmax(b.z, b.w));
    for (int j = wide_end + id; j < end; j += step)
        most = fmax(most, weight * potential[j] - k[j]);
    most = transport_max(most, partial);
    for (int j = 0; j < wide_end; j += 16)
        sum16 += exp(weight * vload16(0, potential + j) - vload16(0, k + j) - most);
    float total = sum_of_16(sum16);
    for (int j = wide_end + id; j < end; j += step)
        total += exp(weight * potential[j] - k[j] - most);
    total = group_sum(total, partial);
    if (work && id == 0)
        sum[row] = most + log(total / columns);
}

/* The potential that gives the rows their mass, from their sums, by one work-group:
 *     f = -relax sum, or with `mass` > 0: f = min(0, -sum - lambda), and then lambda so that the plan has it.
 * With `measure`, the mean change of the potential is that of the iteration. */
kernel void transport_update(const global float *restrict sum, const global float *restrict relax, int rows,
                             float mass, float tolerance, int fresh, int measure, global float *restrict potential,
                             global float *restrict report)
{
    local float partial[GROUP_MAX];
    const int id = get_local_id(0), step = get_local_size(0);
    const bool work = (fresh && measure) || report[TRANSPORT_OPEN] != 0;
    const int end = work ? rows : 0;
    const float lambda = fresh && measure ? 0.0f : report[TRANSPORT_LAMBDA], slope = relax[0];
    float change = 0, most = -1e30f, total = 0;
    for (int i = id; i < end; i += step) {
        const float next = mass > 0 ? fmin(0.0f, -sum[i] - lambda) : -slope * sum[i];
        change += fabs(next - (fresh ? 0.0f : potential[i]));
        potential[i] = next;
        most = fmax(most, next + sum[i]);
    }
    change = group_sum(change, partial) / rows;
    most = transport_max(most, partial);
    for (int i = id; i < end; i += step)
        total += exp(potential[i] + sum[i] - most);
    total = group_sum(total, partial) / rows;
    const float next_lambda = mass > 0 ? log(mass) - most - log(total) : 0.0f;
    if (work && id == 0) {
        report[TRANSPORT_LAMBDA] = next_lambda;
        report[TRANSPORT_MASS] = exp(next_lambda + most) * total;
    }
    if (work && id == 0 && measure) {
        report[TRANSPORT_ITERATIONS] = fresh ? 1.0f : report[TRANSPORT_ITERATIONS] + 1.0f;
        report[TRANSPORT_CHANGE] = change + fabs(next_lambda - lambda);
        report[TRANSPORT_OPEN] = 1.0f;
    }
    if (work && id == 0 && !measure) /* a change that is NaN stays open */
        report[TRANSPORT_OPEN] = report[TRANSPORT_CHANGE] < tolerance ? 0.0f : 1.0f;
}

/* cumulative[i] = the mass of rows 0 to i, over 1 / M; one work-item. */
kernel void transport_masses(const global float *restrict f, const global float *restrict sum,
                             const global float *restrict report, int rows, global float *restrict cumulative)
{
    float total = 0;
    for (int i = 0; i < rows; i++) {
        total += exp(f[i] + sum[i] + report[TRANSPORT_LAMBDA]);
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

/* Pair k: a row, by its mass with one uniform number a stratum, or row k itself where there is no
 * `cumulative`; and a column of it by the inverse of its distribution function. u (M, 2). */
kernel void transport_draw(const global float *restrict cost, const global float *restrict g,
                           const global float *restrict sum, const global float *restrict u,
                           const global float *restrict cumulative, int rows, int columns,
                           global int *restrict row_out, global int *restrict column_out)
{
    const int k = get_global_id(0);
    if (k >= rows)
        return;
    const int row = cumulative ? transport_find(cumulative, rows, (k + u[2 * k]) / rows * cumulative[rows - 1]) : k;
    const global float *costs = cost + (size_t)row * columns;
    const float base = sum[row] + log((float)columns), target = u[2 * k + 1];
    float below = 0;
    int column = 0;
    bool found = false;
    for (int j = 0; j < columns && !found; j += 16) {
        const int count = min(16, columns - j);
        float p[16];
        if (count == 16) {
            const float16 wide = exp(vload16(0, g + j) - vload16(0, costs + j) - base);
            const float all = sum_of_16(wide);
            if (below + all < target) {
                column = all > 0 ? j + 15 : column;
                below += all;
                continue;
            }
            vstore16(wide, 0, p);
        } else {
            for (int l = 0; l < count; l++)
                p[l] = exp(g[j + l] - costs[j + l] - base);
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
