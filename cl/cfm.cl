/* Conditional flow matching: the point on the path and its target, the loss of a sample, and its gradient.
 * Rows are samples, D numbers each. */

/* x_t = alpha x1 + sigma x0 + tube eps, target = alpha' x1 + sigma' x0. Dimension 0 runs over D, dimension 1
 * over the samples. A result that nobody reads is NULL; so is eps without a tube. */
kernel void cfm_point(const global float *restrict x0, const global float *restrict x1,
                      const global float *restrict t, const global float *restrict eps, float tube, int path,
                      int d, int rows, global float *restrict x_t, global float *restrict target)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= d || row >= rows)
        return;
    path_point point = path_at(path, t[row]);
    int i = row * d + x;
    float source = x0[i], data = x1[i];
    if (x_t) {
        float mean = point.alpha * data + point.sigma * source;
        x_t[i] = eps ? mean + tube * eps[i] : mean;
    }
    if (target)
        target[i] = point.alpha_dot * data + point.sigma_dot * source;
}

/* loss = mean over D of (v - u)^2, a work-group a sample. */
kernel void cfm_loss(const global float *restrict v, const global float *restrict u, int d,
                     global float *restrict loss)
{
    local float partial[GROUP_MAX];
    int row = get_group_id(0), i = 0;
    v += row * d;
    u += row * d;
    float sum = 0;
    if (get_local_size(0) == 1) {
        float16 wide = 0;
        for (; i + 16 <= d; i += 16) {
            float16 error = vload16(0, v + i) - vload16(0, u + i);
            wide += error * error;
        }
        sum = sum_of_16(wide);
    }
    for (i += get_local_id(0); i < d; i += get_local_size(0)) {
        float error = v[i] - u[i];
        sum += error * error;
    }
    sum = group_sum(sum, partial);
    if (get_local_id(0) == 0)
        loss[row] = sum / d;
}

/* d loss / d v times the upstream gradient g of each sample: g * 2 (v - u) / D. */
kernel void cfm_loss_grad(const global float *v, const global float *u, const global float *restrict g, int d,
                          int rows, global float *grad)
{
    int x = get_global_id(0), row = get_global_id(1);
    if (x >= d || row >= rows)
        return;
    int i = row * d + x;
    grad[i] = 2.0f / d * g[row] * (v[i] - u[i]);
}
