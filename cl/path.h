/* Probability paths x_t = alpha(t) x1 + sigma(t) x0 and their derivatives in t; t = 0 is noise, t = 1 is data.
 * Valid C and valid OpenCL C. The kinds are numbered as in fcl_path_kind. */
#ifndef PATH_H
#define PATH_H

#define PATH_LINEAR 0

typedef struct path_point {
    float alpha, sigma, alpha_dot, sigma_dot;
} path_point;

static inline path_point path_at(int kind, float t)
{
    path_point point = {0.0f, 0.0f, 0.0f, 0.0f};
    if (kind == PATH_LINEAR) {
        point.alpha = t;
        point.sigma = 1.0f - t;
        point.alpha_dot = 1.0f;
        point.sigma_dot = -1.0f;
    }
    return point;
}

#endif
