/* With the velocity v_c of a class and v_u of none (Ho, Salimans 2022), inside an interval of times (Kynkaanniemi et al.
 * 2024):
 *
 *     v = v_u + W (v_c - v_u),   else v = v_c
 *
 * It is taken of what the network predicts: v = p x + q (prediction) (path.h) at the same x and t for both, and their weights,
 * 1 - W and W, add up to 1, so it is the same as of the velocities, or of the scores. */
#include "train/guidance.h"

#include "base/error.h"

#include <flowcl/text.h>

#include <string.h>

/* "0.1,1" */
static bool read_interval(const char *text, fcl_guidance *by)
{
    char *end;
    by->low = fcl_strtof(text, &end);
    if (end == text || *end != ',')
        return false;
    const char *second = end + 1;
    by->high = fcl_strtof(second, &end);
    return end != second && !*end && by->low >= 0 && by->low <= by->high && by->high <= 1;
}

int fcl_guidance_read(const fcl_sample_options *options, fcl_guidance *by)
{
    const char *interval = options->guidance_interval;
    *by = (fcl_guidance){.weight = options->guidance != 0 ? options->guidance : 1, .high = 1};
    if (!interval)
        return FCL_OK;
    if (!read_interval(interval, by))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "guidance-interval: \"%.40s\" is not usable: expected two times from 0, noise, to 1, data, the first "
                        "one not the later: 0.1,1",
                        interval);
    return fcl_guidance_doubles(by) ? FCL_OK
                                    : fcl_fail(FCL_ERR_ARGUMENT, "guidance-interval %s has no use without guidance",
                                               interval);
}

bool fcl_guidance_doubles(const fcl_guidance *by)
{
    return by->weight != 1;
}

int fcl_guidance_check(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    fcl_guidance by;
    FCL_TRY(fcl_guidance_read(options, &by));
    if (!fcl_guidance_doubles(&by))
        return FCL_OK;
    if (!info->classes)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "guidance %g is towards a class, and the model was trained without labels: train it with labels "
                        "and label-drop",
                        (double)by.weight);
    if (fcl_model_labels(info->model) == info->classes)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "guidance %g is away from the flow of no class, which the model does not know: it was trained without "
                        "label-drop",
                        (double)by.weight);
    return FCL_OK;
}

/* --- in a graph --- */

static fcl_tensor *twice(fcl_tensor *x)
{
    return fcl_concat(2, (fcl_tensor *[]){x, x}, 0);
}

fcl_velocity_inputs fcl_guidance_ask(const fcl_velocity_inputs *in, fcl_tensor *label)
{
    fcl_velocity_inputs of = *in;
    of.x = twice(in->x);
    if (fcl_tensor_shape(in->t).rank)
        of.t = twice(in->t);
    of.label = label;
    return of;
}

/* Of (B, 1) or () times: 1 where guidance does not act; NULL: it does everywhere. */
static fcl_tensor *build_outside(const fcl_guidance *by, fcl_tensor *t)
{
    fcl_graph *graph = fcl_tensor_graph(t);
    fcl_tensor *early = by->low > 0 ? fcl_greater(fcl_constant(graph, by->low), t) : NULL;
    fcl_tensor *late = by->high < 1 ? fcl_greater(t, fcl_constant(graph, by->high)) : NULL;
    return early && late ? fcl_max(early, late) : early ? early : late;
}

fcl_tensor *fcl_guidance_answer(const fcl_guidance *by, fcl_tensor *both, fcl_tensor *t)
{
    int64_t rows = fcl_tensor_shape(both).dim[0] / 2;
    fcl_tensor *of_class = fcl_slice(both, 0, 0, rows), *of_none = fcl_slice(both, 0, rows, 2 * rows);
    fcl_tensor *guided = fcl_add(of_none, fcl_scale(fcl_sub(of_class, of_none), by->weight));
    fcl_tensor *outside = build_outside(by, t);
    return outside ? fcl_where(outside, of_class, guided) : guided;
}
