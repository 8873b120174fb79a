/* A sampler's runs on a set of samples, in parts. */
#include "train/sampler.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/watch.h"
#include "ranks/rows.h"
#include "train/sampler_ranks.h"

#include <math.h>
#include <string.h>

int fcl_sampler_prepare(fcl_sampler *sampler, double *seconds)
{
    FCL_TRY(fcl_solver_prepare(sampler->solver));
    *seconds = fcl_clock_seconds() - sampler->created;
    return FCL_OK;
}

static int write_labels(fcl_sampler *sampler, const int32_t *label, int64_t first, int64_t count)
{
    if (!sampler->labels)
        return FCL_OK;
    for (int64_t row = 0; row < sampler->rows; row++)
        sampler->part_labels[row] = label[first + (row < count ? row : count - 1)];
    for (int64_t row = sampler->rows; row < fcl_sampler_asked_rows(sampler); row++)
        sampler->part_labels[row] = fcl_model_classes(sampler->model);
    return fcl_buffer_write(sampler->labels, 0, (size_t)fcl_sampler_asked_rows(sampler) * sizeof(int32_t),
                            sampler->part_labels);
}

/* The last part's missing rows are copies of its last one, and are not counted. */
static void fill_part(fcl_sampler *sampler, const float *x, int64_t count)
{
    size_t row = (size_t)sampler->size * sizeof(float);
    memcpy(sampler->part, x, (size_t)count * row);
    for (int64_t i = count; i < sampler->rows; i++)
        memcpy(sampler->part + i * sampler->size, x + (count - 1) * sampler->size, row);
}

/* `nfe_mean` holds the sum until the end. */
static void count_part(const fcl_sampler *sampler, int64_t count, fcl_sample_stats *stats)
{
    for (int64_t row = 0; row < count; row++) {
        int64_t nfe = fcl_solver_nfe(sampler->solver, row), accepted, rejected;
        fcl_solver_steps(sampler->solver, row, &accepted, &rejected);
        stats->nfe_minimum = !stats->nfe_maximum || nfe < stats->nfe_minimum ? nfe : stats->nfe_minimum;
        stats->nfe_maximum = nfe > stats->nfe_maximum ? nfe : stats->nfe_maximum;
        stats->nfe_mean += (double)nfe;
        stats->accepted += accepted;
        stats->rejected += rejected;
    }
}

int fcl_sampler_times(const fcl_sampler *sampler)
{
    return sampler->time_count;
}

const double *fcl_sampler_time_list(const fcl_sampler *sampler)
{
    return sampler->times;
}

static bool arrived(const fcl_sampler *sampler, int64_t row)
{
    return sampler->likelihood ? !isnan(sampler->part_density[row])
                               : fcl_solver_arrived(sampler->solver, sampler->part, row);
}

static void count_unfinished(const fcl_sampler *sampler, int64_t count, fcl_sample_stats *stats)
{
    for (int64_t row = 0; row < count; row++)
        stats->unfinished += !arrived(sampler, row);
}

void fcl_sampler_at(fcl_sampler *sampler, const float *t)
{
    sampler->at = t;
}

void fcl_sampler_collect(fcl_sampler *sampler, float *density)
{
    sampler->density = density;
}

static int solve_density(fcl_sampler *sampler, int64_t first, int64_t count)
{
    int status = fcl_likelihood_run(sampler->likelihood, sampler->part, (uint64_t)first, sampler->part,
                                    sampler->part_density, sampler->part_error, NULL);
    for (int64_t i = 0; i < count; i++) {
        sampler->density[2 * (first + i)] = (float)sampler->part_density[i];
        sampler->density[2 * (first + i) + 1] = (float)sampler->part_error[i];
    }
    return status;
}

static int ask_point(fcl_sampler *sampler, int64_t first, int64_t count)
{
    for (int64_t row = 0; row < sampler->rows; row++)
        sampler->part_at[row] = sampler->at[first + (row < count ? row : count - 1)];
    FCL_TRY(fcl_tensor_write(sampler->x, sampler->part));
    FCL_TRY(fcl_tensor_write(sampler->t, sampler->part_at));
    FCL_TRY(fcl_graph_run(sampler->graph));
    return fcl_tensor_read(sampler->v, sampler->part);
}

static int solve(fcl_sampler *sampler, int64_t first, int64_t count)
{
    if (sampler->graph)
        return ask_point(sampler, first, count);
    if (sampler->likelihood)
        return solve_density(sampler, first, count);
    return fcl_solver_run_times(sampler->solver, sampler->part, sampler->time_count, sampler->times,
                                sampler->part_times, sampler->part, NULL);
}

/* Goes on where samples are unfinished. */
static int run_part(fcl_sampler *sampler, float *x, const int32_t *label, int64_t first, int64_t count,
                    fcl_sample_stats *stats)
{
    float *rows = x + first * sampler->size;
    FCL_TRY(write_labels(sampler, label, first, count));
    if (sampler->known)
        FCL_TRY(fcl_known_write(sampler->known, first, count));
    fill_part(sampler, rows, count);
    if (sampler->solver)
        fcl_solver_random(sampler->solver, sampler->seed, (uint64_t)first);
    int status = solve(sampler, first, count);
    if (status != FCL_OK && status != FCL_ERR_NUMERIC)
        return status;
    memcpy(rows, sampler->part, (size_t)(count * sampler->size) * sizeof(float));
    if (!sampler->solver)
        return FCL_OK;
    count_part(sampler, count, stats);
    count_unfinished(sampler, count, stats);
    return FCL_OK;
}

/* From (times, rows, D) of a part into (times, n, D). */
static void keep_times(const fcl_sampler *sampler, int64_t first, int64_t count, int64_t n, float *x_times)
{
    for (int i = 0; i < sampler->time_count; i++)
        memcpy(x_times + (i * n + first) * sampler->size,
               sampler->part_times + i * sampler->rows * sampler->size,
               (size_t)(count * sampler->size) * sizeof(float));
}

/* The sentence of the last part that had some is the library's last message. */
static int tell_unfinished(int64_t unfinished, int64_t n)
{
    if (!unfinished)
        return FCL_OK;
    return fcl_fail_within(FCL_ERR_NUMERIC, "%lld of %lld samples are unfinished. In their last part",
                           (long long)unfinished, (long long)n);
}

static int run_parts(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                     fcl_sample_stats *sums)
{
    const fcl_rank_rows own = fcl_ranks_rows(sampler->ranks, n, fcl_ranks_number(sampler->ranks));
    for (int64_t done = 0; done < own.count; done += sampler->rows) {
        int64_t first = own.first + done, left = own.count - done, count = left < sampler->rows ? left : sampler->rows;
        fcl_watch_part(done, count, own.count);
        int status = fcl_watch_at("sampling", 0, 1);
        if (status == FCL_OK)
            status = run_part(sampler, x, label, first, count, sums);
        fcl_watch_part(0, 0, 0);
        FCL_TRY(status);
        keep_times(sampler, first, count, n, x_times);
        if (sampler->progress) /* its own stand for all */
            sampler->progress(sampler->progress_data, llround((double)n * ((double)(done + count) / (double)own.count)), n);
    }
    return FCL_OK;
}

static int gather(const fcl_sampler *sampler, float *x, int64_t n, float *x_times, fcl_sample_stats *sums)
{
    size_t row = (size_t)sampler->size * sizeof(float);
    if (!sampler->ranks)
        return FCL_OK;
    FCL_TRY(fcl_sampler_gather_stats(sampler->ranks, sums));
    if (!sampler->time_count)
        FCL_TRY(fcl_ranks_gather_rows(sampler->ranks, n, row, x));
    for (int i = 0; i < sampler->time_count; i++)
        FCL_TRY(fcl_ranks_gather_rows(sampler->ranks, n, row, x_times + i * n * sampler->size));
    return sampler->likelihood ? fcl_ranks_gather_rows(sampler->ranks, n, 2 * sizeof(float), sampler->density) : FCL_OK;
}

int fcl_sampler_run(fcl_sampler *sampler, float *x, const int32_t *label, int64_t n, float *x_times,
                    fcl_sample_stats *stats)
{
    fcl_sample_stats sums = {0};
    double began = fcl_clock_seconds();
    FCL_TRY(run_parts(sampler, x, label, n, x_times, &sums));
    sums.seconds = fcl_clock_seconds() - began;
    FCL_TRY(gather(sampler, x, n, x_times, &sums));
    sums.nfe_mean /= (double)n;
    if (stats)
        *stats = sums;
    return tell_unfinished(sums.unfinished, n);
}
