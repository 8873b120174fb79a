/* flowcl bench --ranks: what ranks exchange, and how much faster they are than one. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 9, SMALLEST = 256 /* numbers: a KiB */, BETWEEN = 4, ROUNDS_MOST = 1000 };

/* What a round measures of a step, in seconds. */
typedef enum figure { ALONE, TOGETHER, BUCKETS, OWN_ROWS, SUM, FIGURES } figure;

typedef struct step_bench {
    fcl_ranks *ranks;
    const bench_settings *settings;
    const bench_model *row;
    int batch;
    fcl_device *device, *whole; /* of each rank; of the first alone, NULL: it has none to itself but its own */
    fcl_dataset *opened, made;
    fcl_trainer *trainer[SUM]; /* ALONE, of the first rank, TOGETHER, BUCKETS and OWN_ROWS */
    float *numbers;            /* as many as a gradient has */
    int64_t count;
    double seconds[FIGURES][ROUNDS_MOST];
} step_bench;

static bool is_first(const step_bench *b)
{
    return fcl_ranks_number(b->ranks) == 0;
}

/* All begin at once, and end with the last. */
static int meet(fcl_ranks *ranks)
{
    bool nothing = false;
    return fcl_ranks_any(ranks, &nothing);
}

/* --- what is exchanged --- */

typedef struct exchange {
    int64_t count; /* numbers of a sum; 0: a meeting */
    rounds_spread seconds;
} exchange;

/* Each round so often that the clock's own time is nothing. */
static int time_exchange(fcl_ranks *ranks, int repeats, float *numbers, exchange *e)
{
    double seconds[ROUNDS_MOST];
    int times = e->count > 1 << 20 ? 2 : e->count > 1 << 14 ? 20 : 200;
    for (int i = -1; i < repeats; i++) { /* the first one warms up */
        TRY(meet(ranks));
        double began = tool_now();
        for (int k = 0; k < times; k++)
            TRY(e->count ? fcl_ranks_sum(ranks, e->count, numbers) : meet(ranks));
        if (i >= 0)
            seconds[i] = (tool_now() - began) / times;
    }
    e->seconds = rounds_of(seconds, repeats);
    return FCL_OK;
}

static int time_exchanges(fcl_ranks *ranks, const bench_settings *settings, exchange all[SIZES + 1], int *count)
{
    int sizes = settings->quick ? 5 : SIZES;
    int64_t most = SMALLEST;
    for (int i = 1; i < sizes; i++)
        most *= BETWEEN;
    float *numbers = calloc((size_t)most, sizeof *numbers);
    if (!numbers)
        return tool_fail("no memory for %lld numbers", (long long)most), FCL_ERR_MEMORY;
    *count = sizes + 1;
    all[0] = (exchange){0};
    int status = time_exchange(ranks, settings->repeats, numbers, &all[0]);
    int64_t size = SMALLEST;
    for (int i = 1; status == FCL_OK && i <= sizes; i++, size *= BETWEEN) {
        all[i] = (exchange){.count = size};
        status = time_exchange(ranks, settings->repeats, numbers, &all[i]);
    }
    free(numbers);
    return status;
}

/* --- a step --- */

/* "0:0" of "0:0/2": what one has without the others. NULL: what is named is no part. To be freed. */
static char *without_part(const char *device)
{
    const char *slash = device && !strchr(device, ',') ? strrchr(device, '/') : NULL;
    return slash && slash[1] >= '0' && slash[1] <= '9' ? strndup(device, (size_t)(slash - device)) : NULL;
}

static int open_devices(step_bench *b)
{
    TRY(tool_open_device(b->settings->device, &b->device));
    char *whole = without_part(b->settings->device);
    int status = whole && is_first(b) ? fcl_device_open(whole, NULL, &b->whole) : FCL_OK;
    free(whole);
    return status;
}

static int create_trainers(step_bench *b)
{
    const fcl_dataset *data = b->opened ? b->opened : &b->made;
    const bench_others at_the_end = {b->ranks, "no"}, in_buckets = {b->ranks, "yes"};
    int ranks = fcl_ranks_count(b->ranks), own = b->batch / ranks > 0 ? b->batch / ranks : 1;
    if (is_first(b))
        TRY(bench_create_trainer(b->whole ? b->whole : b->device, b->row, b->batch, NULL, data, &b->trainer[ALONE]));
    TRY(bench_create_trainer(b->device, b->row, b->batch, &at_the_end, data, &b->trainer[TOGETHER]));
    TRY(bench_create_trainer(b->device, b->row, b->batch, &in_buckets, data, &b->trainer[BUCKETS]));
    TRY(bench_create_trainer(b->device, b->row, own, NULL, data, &b->trainer[OWN_ROWS]));
    b->count = fcl_params_numbers(fcl_model_params(fcl_trainer_model(b->trainer[TOGETHER])));
    b->numbers = bench_numbers((size_t)b->count);
    return FCL_OK;
}

static int run(step_bench *b, figure what, int64_t steps)
{
    if (what == SUM) {
        for (int64_t i = 0; i < steps; i++)
            TRY(fcl_ranks_sum(b->ranks, b->count, b->numbers));
        return FCL_OK;
    }
    if (!b->trainer[what])
        return FCL_OK; /* it waits for the first one */
    TRY(bench_steps(b->trainer[what], steps));
    return fcl_device_finish(what == ALONE && b->whole ? b->whole : b->device);
}

static int time_figure(step_bench *b, figure what, int64_t steps, double *seconds)
{
    TRY(meet(b->ranks));
    double began = tool_now();
    TRY(run(b, what, steps));
    TRY(meet(b->ranks));
    *seconds = (tool_now() - began) / (double)steps;
    return FCL_OK;
}

/* As many steps as take long enough, the same for all ranks. */
static int settle(step_bench *b, int64_t *steps)
{
    double seconds, enough = b->settings->quick ? 0.05 : 0.5;
    for (figure what = 0; what < FIGURES; what++)
        TRY(time_figure(b, what, 2, &seconds)); /* compiles, warms up */
    TRY(time_figure(b, ALONE, 2, &seconds));
    *steps = seconds < enough ? (int64_t)ceil(enough / seconds) : 1;
    return fcl_ranks_broadcast(b->ranks, sizeof *steps, steps);
}

static int time_step(step_bench *b)
{
    int64_t steps;
    TRY(bench_open_data(b->row, &b->opened, &b->made));
    TRY(open_devices(b));
    TRY(create_trainers(b));
    TRY(settle(b, &steps));
    for (int i = 0; i < b->settings->repeats; i++)
        for (figure what = 0; what < FIGURES; what++)
            TRY(time_figure(b, what, steps, &b->seconds[what][i]));
    return FCL_OK;
}

static void close_step(step_bench *b)
{
    for (figure what = 0; what < SUM; what++)
        fcl_trainer_destroy(&b->trainer[what]);
    fcl_device_close(&b->whole);
    fcl_device_close(&b->device);
    fcl_dataset_destroy(&b->opened);
    free(b->made.values);
    free(b->numbers);
}

/* --- what is told --- */

static json_t *spread_json(rounds_spread s)
{
    return json_pack("{s:f, s:f, s:f}", "median", s.median, "p10", s.p10, "p90", s.p90);
}

static void print_time(const char *what, rounds_spread s, const char *rest)
{
    double scale = s.median < 1e-3 ? 1e6 : 1e3;
    fcl_printf("  %-34s %9.4g %s  (%.4g to %.4g)%s\n", what, scale * s.median, s.median < 1e-3 ? "us" : "ms", scale * s.p10,
               scale * s.p90, rest);
}

static void print_exchanges(int ranks, const exchange *all, int count)
{
    char what[64], rest[64];
    printf("%d ranks: a sum is of numbers in the host's memory, in the order of ranks\n", ranks);
    print_time("meeting", all[0].seconds, "");
    for (int i = 1; i < count; i++) {
        double bytes = 4.0 * (double)all[i].count;
        fcl_snprintf(what, sizeof what, bytes < 1 << 20 ? "sum of %.0f KiB" : "sum of %.0f MiB",
                     bytes / (bytes < 1 << 20 ? 1 << 10 : 1 << 20));
        fcl_snprintf(rest, sizeof rest, "  %.3g GB/s", 1e-9 * bytes / all[i].seconds.median);
        print_time(what, all[i].seconds, rest);
    }
}

/* Of one round: what a rank's own rows and the sum take, one after the other. */
static void add_model(const step_bench *b, double *model)
{
    for (int i = 0; i < b->settings->repeats; i++)
        model[i] = b->seconds[OWN_ROWS][i] + b->seconds[SUM][i];
}

static void print_step(const step_bench *b)
{
    const int n = b->settings->repeats;
    double model[ROUNDS_MOST];
    char rest[64];
    add_model(b, model);
    fcl_printf("\na step of %s, batch %d, %.3g MiB of gradients\n", b->row->name, b->batch, 4.0 * (double)b->count / (1 << 20));
    print_time("one rank", rounds_of(b->seconds[ALONE], n), b->whole ? "  on the whole device" : "");
    fcl_snprintf(rest, sizeof rest, "  %.3f of one rank's", rounds_ratio(b->seconds[TOGETHER], b->seconds[ALONE], n).median);
    print_time("all, without buckets", rounds_of(b->seconds[TOGETHER], n), rest);
    fcl_snprintf(rest, sizeof rest, "  %.3f of those without", rounds_ratio(b->seconds[BUCKETS], b->seconds[TOGETHER], n).median);
    print_time("all, with buckets", rounds_of(b->seconds[BUCKETS], n), rest);
    print_time("a rank's rows alone, on all at once", rounds_of(b->seconds[OWN_ROWS], n), "");
    print_time("sum of the gradients alone", rounds_of(b->seconds[SUM], n), "");
    fcl_snprintf(rest, sizeof rest, "  %.3f of all without buckets", rounds_ratio(model, b->seconds[TOGETHER], n).median);
    print_time("both together", rounds_of(model, n), rest);
}

static int print_json(const step_bench *b, const exchange *all, int count)
{
    static const char *const names[FIGURES] = {"one_rank", "all", "all_with_buckets", "own_rows", "sum"};
    const int n = b->settings->repeats;
    double model[ROUNDS_MOST];
    add_model(b, model);
    json_t *sums = json_array(), *figures = json_object();
    for (int i = 1; i < count; i++)
        json_array_append_new(sums, json_pack("{s:I, s:o}", "bytes", (json_int_t)(4 * all[i].count), "seconds",
                                              spread_json(all[i].seconds)));
    for (figure what = 0; what < FIGURES; what++)
        json_object_set_new(figures, names[what], spread_json(rounds_of(b->seconds[what], n)));
    return tool_print_json(json_pack(
        "{s:i, s:o, s:o, s:{s:s, s:i, s:I, s:b, s:o, s:o, s:o, s:o}}", "ranks", fcl_ranks_count(b->ranks), "meeting",
        spread_json(all[0].seconds), "sums", sums, "step", "model", b->row->name, "batch", b->batch, "gradient_bytes",
        (json_int_t)(4 * b->count), "one_rank_has_the_whole_device", b->whole != NULL, "seconds", figures, "of_one_rank",
        spread_json(rounds_ratio(b->seconds[TOGETHER], b->seconds[ALONE], n)), "buckets_of_all",
        spread_json(rounds_ratio(b->seconds[BUCKETS], b->seconds[TOGETHER], n)), "model_of_all",
        spread_json(rounds_ratio(model, b->seconds[TOGETHER], n))));
}

/* A model of the ladder that is trained. */
static const bench_model *find_model(const char *name)
{
    for (const bench_model *row = bench_models; row->name; row++)
        if (!strcmp(row->name, name ? name : "mlp-784-1024"))
            return row->image.size || row->heads.tokens ? NULL : row;
    return NULL;
}

int bench_ranks_run(fcl_ranks *ranks, const bench_settings *settings)
{
    exchange all[SIZES + 1];
    int count;
    step_bench *b = calloc(1, sizeof *b);
    const bench_model *row = find_model(settings->model);
    if (!b || !row) {
        free(b);
        return row ? tool_fail("out of memory") : tool_fail("%s is no model that is trained: --ranks measures a step", settings->model);
    }
    *b = (step_bench){.ranks = ranks, .settings = settings, .row = row, .batch = settings->batch ? settings->batch : row->batch};
    int status = time_exchanges(ranks, settings, all, &count);
    if (status == FCL_OK)
        status = time_step(b);
    int exit_status = status == FCL_OK ? EXIT_DONE : tool_fail_library();
    if (status == FCL_OK && is_first(b) && settings->json)
        exit_status = print_json(b, all, count);
    if (status == FCL_OK && is_first(b) && !settings->json) {
        print_exchanges(fcl_ranks_count(ranks), all, count);
        print_step(b);
    }
    close_step(b);
    free(b);
    return exit_status;
}
