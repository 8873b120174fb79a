/* flowcl tune: measures the products of a model, and writes the table that runs read. */
#include "tune.h"

#include "bench.h"
#include "stop.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct tune_settings {
    fcl_model_options model;
    bool all, json;
    const char *device, *size;
    int64_t batch, batch_of_samples;
    double seconds, limit;
} tune_settings;

static const fcl_option table[] = {
    {"all", FCL_OPTION(tune_settings, all), .group = "What",
     .help = "the ladder of flowcl bench, every built-in model, narrow and wide, instead of one"},
    {"size", FCL_OPTION(tune_settings, size), .fallback = "2", .placeholder = "SIZE",
     .help = "of a sample: 2 for points of the plane, 1x28x28 (channels, height, width) for grey pictures of 28 x 28"},
    {"batch", FCL_OPTION(tune_settings, batch), .minimum = 1, .maximum = 1e6, .fallback = "256",
     .help = "samples in a training step"},
    {"sample-batch", FCL_OPTION(tune_settings, batch_of_samples), .minimum = 1, .maximum = 1e6,
     .fallback = "2000", .help = "samples at once in sampling"},
    {"device", FCL_OPTION(tune_settings, device), .placeholder = "D", .group = "How",
     .help = "OpenCL device: P:D, cpu, gpu or a piece of a name, /N.K after it: part K of N"},
    {"seconds", FCL_OPTION(tune_settings, seconds), .minimum = 0, .maximum = 1e5, .fallback = "20",
     .help = "about how long each product may take, compiling included"},
    {"limit", FCL_OPTION(tune_settings, limit), .minimum = 0, .maximum = 1e5, .fallback = "120",
     .help = "seconds after which a candidate that has not answered is given up, its compiler too"},
    {"json", FCL_OPTION(tune_settings, json), .help = "print one JSON object instead of a table"},
    {0},
};

static int bind(fcl_options *options, void *values)
{
    tune_settings *settings = values;
    int status = fcl_options_add(options, table, settings);
    return status ? status : fcl_options_add(options, fcl_model_table, &settings->model);
}

/* --- one product --- */

typedef struct tuning {
    const tune_settings *settings;
    fcl_shape sample;
    fcl_device *device;
    fcl_product *products;
    int count;
    tuned *results;
    int done;
    tune_clblast_results clblast;
    bool terminal;
} tuning;

static void show(const tuning *t, const char *what)
{
    enum { CELLS = 30 };
    char bar[CELLS + 1];
    int filled = t->count ? CELLS * t->done / t->count : 0;
    if (!t->terminal)
        return;
    memset(bar, ' ', CELLS);
    memset(bar, '=', (size_t)filled);
    bar[CELLS] = 0;
    fprintf(stderr, "\r\033[K[%s] %d/%d %.*s", bar, t->done, t->count, terminal_width(stderr) - CELLS - 20,
            what);
    fflush(stderr);
}

static void product_text(const fcl_product *p, char text[64])
{
    int length = snprintf(text, 64, "%dx%dx%d %c%c", p->m, p->n, p->k, p->transpose_a ? 'T' : 'N',
                          p->transpose_b ? 'T' : 'N');
    if (p->batch > 1)
        length += snprintf(text + length, 64 - (size_t)length, " batch %d", p->batch);
    if (p->reads + p->stores)
        snprintf(text + length, 64 - (size_t)length, " r%d s%d", p->reads, p->stores);
}

static void show_trial(void *data, const tune_trial *trial)
{
    const tuning *t = data;
    char name[64], text[192];
    product_text(&t->results[t->done].product, name);
    snprintf(text, sizeof text, "%s: %s", name, trial->how);
    show(t, text);
}

static void show_set(void *data, const tune_trial *trial)
{
    (void)trial;
    show(data, "CLBlast's parameters");
}

/* --- CLBlast's parameters --- */

/* Only where CLBlast is the rule's choice. */
static void tune_clblast(tuning *t)
{
    if (!t->count || !fcl_tune_is_risky(t->device, &t->products[0], 0))
        return;
    show(t, "CLBlast's parameters");
    t->clblast.limit = t->settings->limit;
    tune_clblast_choose(t->device, t->products, t->count, t->settings->seconds, show_set, t, &t->clblast);
}

/* Where nothing is right, the table says nothing of the product. */
static void tune_product(tuning *t, const fcl_product *product)
{
    tuned *result = &t->results[t->done];
    *result = (tuned){.product = *product, .limit = t->settings->limit};
    tune_choose(t->device, t->settings->seconds, show_trial, t, result);
    t->done++;
    if (!result->best.failure[0])
        fcl_tune_keep(t->device, product, result->best.candidate, tune_trial_seconds(&result->best),
                      tune_trial_seconds(&result->rule));
}

/* --- what is printed --- */

static double gigaflops(const fcl_product *p, const tune_trial *trial)
{
    double seconds = tune_trial_seconds(trial);
    return seconds > 0 ? 1e-9 * tune_operations(p) / seconds : 0;
}

/* Of the columns that name providers. */
typedef struct widths {
    int best, rule;
} widths;

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

static widths find_widths(const tuning *t)
{
    widths w = {.best = 14, .rule = 7};
    for (int i = 0; i < t->done; i++) {
        w.best = wider(w.best, t->results[i].best.how);
        w.rule = wider(w.rule, t->results[i].rule.how);
    }
    return w;
}

static void print_result(const tuned *result, widths w)
{
    char name[64];
    double best = gigaflops(&result->product, &result->best),
           rule = gigaflops(&result->product, &result->rule);
    product_text(&result->product, name);
    fcl_printf("%-22s %-*s %9.1f  %-*s %9.1f %6.2f\n", name, w.best, result->best.how, best, w.rule, result->rule.how, rule,
               result->gain > 0 ? result->gain : 0);
    for (int i = 0; i < result->failures; i++)
        printf("    %s: %s\n", result->failed[i].how, result->failed[i].failure);
}

static const char *set_used(const tuning *t, const tune_sets *sets)
{
    return sets->direct ? fcl_tune_set_direct_used(t->device) : fcl_tune_set_used(t->device);
}

static void print_sets(const tuning *t, const tune_sets *sets)
{
    char name[64];
    if (!sets->count)
        return;
    product_text(&sets->product, name);
    printf("CLBlast's parameters of the %s kernel, for %s\n", sets->direct ? "direct" : "large", name);
    for (int i = 0; i < sets->count; i++) {
        const tune_trial *trial = &sets->trial[i];
        bool used = !strcmp(fcl_tune_set_name(i), set_used(t, sets));
        fcl_printf("  %c %-18s %9.1f GFLOP/s  ", used ? '*' : ' ', fcl_tune_set_name(i),
                   gigaflops(&sets->product, trial));
        if (trial->failure[0])
            puts(trial->failure);
        else
            fcl_printf("%6.2f\n", sets->gain[i]);
    }
    putchar('\n');
}

static void print_switches(const tuning *t)
{
    char name[64];
    int from = fcl_tune_indirect_kept(t->device);
    for (int i = 0; i < t->clblast.switch_count; i++) {
        const tune_switch *at = &t->clblast.switches[i];
        product_text(&at->product, name);
        fcl_printf("%s: direct kernel %.1f GFLOP/s, large %.1f\n", name, gigaflops(&at->product, &at->direct),
                   gigaflops(&at->product, &at->large));
        if (at->direct.failure[0] || at->large.failure[0])
            printf("    %s\n", at->direct.failure[0] ? at->direct.failure : at->large.failure);
    }
    if (from)
        printf("CLBlast's large kernel takes products from %d^3 on\n\n", from);
}

static void print_table(const tuning *t, const char *path)
{
    for (int i = 0; i < 2; i++)
        print_sets(t, &t->clblast.sets[i]);
    print_switches(t);
    if (!t->count) {
        printf("nothing to tune: every product of this model is part of a row block; the table is %s\n", path);
        return;
    }
    const widths w = find_widths(t);
    printf("%-22s %-*s %9s  %-*s %9s %6s\n", "m x n x k, transposes", w.best, "best", "GFLOP/s", w.rule, "rule", "GFLOP/s",
           "gain");
    for (int i = 0; i < t->done; i++)
        print_result(&t->results[i], w);
    printf("\n%d products measured; the table is %s\n", t->done, path);
}

static json_t *rounds_json(const tune_trial *trial)
{
    json_t *seconds = json_array();
    for (int i = 0; i < trial->rounds; i++)
        json_array_append_new(seconds, json_real(trial->seconds[i]));
    return seconds;
}

static json_t *result_json(const tuned *r)
{
    const fcl_product *p = &r->product;
    json_t *failed = json_object();
    for (int i = 0; i < r->failures; i++)
        json_object_set_new(failed, r->failed[i].how, json_string(r->failed[i].failure));
    return json_pack("{s:i, s:i, s:i, s:i, s:b, s:b, s:i, s:i, s:b, s:s, s:f, s:s, s:f, s:o, s:o, s:o, s:i, s:o}", "m",
                     p->m, "n", p->n, "k", p->k, "batch", p->batch, "transpose_a", p->transpose_a, "transpose_b",
                     p->transpose_b, "reads", p->reads, "stores", p->stores, "cold", p->cold, "best", r->best.how, "gflops", gigaflops(p, &r->best), "rule",
                     r->rule.how, "rule_gflops", gigaflops(p, &r->rule), "gain", tool_real_json(r->gain),
                     "seconds", rounds_json(&r->best), "rule_seconds", rounds_json(&r->rule), "candidates",
                     r->candidates, "failed", failed);
}

/* Either of a set's figures; why there is none. */
static json_t *set_json(const tune_trial *trial, double figure)
{
    return trial->failure[0] ? json_string(trial->failure) : tool_real_json(figure);
}

static void add_sets(json_t *object, const tune_sets *sets)
{
    json_t *speeds = json_object(), *gains = json_object();
    for (int i = 0; i < sets->count; i++) {
        const tune_trial *trial = &sets->trial[i];
        json_object_set_new(speeds, fcl_tune_set_name(i), set_json(trial, gigaflops(&sets->product, trial)));
        json_object_set_new(gains, fcl_tune_set_name(i), set_json(trial, sets->gain[i]));
    }
    json_object_set_new(object, sets->direct ? "clblast_direct_sets" : "clblast_sets", speeds);
    json_object_set_new(object, sets->direct ? "clblast_direct_gains" : "clblast_gains", gains);
}

static int print_json(const tuning *t, const char *path)
{
    json_t *products = json_array();
    for (int i = 0; i < t->done; i++)
        json_array_append_new(products, result_json(&t->results[i]));
    const fcl_device_info *info = fcl_device_describe(t->device);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:o}", "device", info->name, "table", path, "clblast_parameters",
                  fcl_tune_set_used(t->device), "clblast_direct_parameters", fcl_tune_set_direct_used(t->device),
                  "clblast_indirect_from", fcl_tune_indirect_kept(t->device), "products", products);
    for (int i = 0; i < 2; i++)
        add_sets(object, &t->clblast.sets[i]);
    return tool_print_json(object);
}

/* --- the whole --- */

static int read_size(const char *text, fcl_shape *sample)
{
    const char *rest = text;
    *sample = (fcl_shape){0};
    while (sample->rank < 3) {
        char *end;
        long number = strtol(rest, &end, 10);
        if (end == rest || number < 1 || number > 1000000)
            break;
        sample->dim[sample->rank++] = number;
        if (!*end)
            return EXIT_DONE;
        if (*end != 'x')
            break;
        rest = end + 1;
    }
    return tool_fail_usage(&tune_command, "size '%s' is neither a number, as 2, nor channels, height and width, as 1x28x28",
                           text);
}

static int collect(tuning *t)
{
    const tune_settings *s = t->settings;
    tune_model one = {s->model, t->sample, s->batch, s->batch_of_samples};
    if (!s->all)
        return tune_products_add(t->device, &one, &t->products, &t->count);
    for (const bench_model *row = bench_models; row->name; row++) {
        tune_model of = {row->options, row->sample, row->batch, s->batch_of_samples};
        int status = row->sample.rank ? tune_products_add(t->device, &of, &t->products, &t->count) : FCL_OK;
        if (status != FCL_OK)
            return status;
    }
    return FCL_OK;
}

static int report(tuning *t)
{
    char *path;
    if (t->terminal)
        fputs("\r\033[K", stderr);
    if (fcl_tune_save(t->device, &path) != FCL_OK)
        return fcl_free(path), tool_fail_library();
    int status = EXIT_DONE;
    if (t->settings->json)
        status = print_json(t, path);
    else
        print_table(t, path);
    fcl_free(path);
    return status;
}

static int tune(tuning *t)
{
    if (fcl_device_open(t->settings->device, NULL, &t->device) != FCL_OK)
        return tool_fail_library();
    show(t, "listing the model's products");
    if (collect(t) != FCL_OK)
        return tool_fail_library();
    t->results = calloc((size_t)t->count + 1, sizeof *t->results);
    if (!t->results)
        return tool_fail("out of memory");
    tune_clblast(t);
    for (int i = 0; i < t->count && !stop_asked(); i++)
        tune_product(t, &t->products[i]);
    return report(t);
}

/* The ladder's models have their own sizes and batches, and options. */
static int check_all(const tool_call *call)
{
    const tune_settings *settings = call->settings;
    const char *given = NULL;
    if (fcl_options_source(call->options, "size") != FCL_FROM_DEFAULT)
        given = "size";
    if (fcl_options_source(call->options, "batch") != FCL_FROM_DEFAULT)
        given = "batch";
    for (const fcl_option *row = fcl_model_table; row->key; row++)
        if (fcl_options_source(call->options, row->key) != FCL_FROM_DEFAULT)
            given = row->key;
    if (settings->all && given)
        return tool_fail_usage(&tune_command, "--%s has no use with --all, whose models have their own", given);
    return EXIT_DONE;
}

static int run(const tool_call *call)
{
    tune_settings *settings = call->settings;
    tuning t = {.settings = settings, .terminal = isatty(STDERR_FILENO)};
    if (fcl_options_finish(call->options) != FCL_OK)
        return tool_fail_usage(&tune_command, "%s", fcl_error());
    if (check_all(call) != EXIT_DONE || read_size(settings->size, &t.sample) != EXIT_DONE)
        return EXIT_USAGE;
    if (!settings->model.model)
        settings->model.model = fcl_model_for(t.sample);
    if (fcl_options_finish(call->options) != FCL_OK) /* what is of that model */
        return tool_fail_usage(&tune_command, "%s", fcl_error());
    stop_watch();
    int status = tune(&t);
    free(t.results);
    free(t.products);
    fcl_device_close(&t.device);
    return status;
}

const subcommand tune_command = {
    .name = "tune",
    .usage = "[--all] [--device D] [options]",
    .summary = "find the fastest way to a model's products, for later runs",
    .about = "Measures the products of a training step and of sampling. Each candidate is\n"
             "checked against double precision; any but the rule's has a process of its own,\n"
             "so that one over which a driver crashes or hangs is only told of.\n"
             "Off CPUs these are CLBlast's kernels, with a pass for what follows, and sets of\n"
             "parameters of a kernel of our own that does it itself: of \"gpu 64x64x16 4x4+/8\"\n"
             "a group has 64 x 64 results, 16 terms at a time, a work-item 4 x 4 of them, +\n"
             "means two tiles in turn, and the terms are cut into 8 parts.\n"
             "A product runs with what follows it in the model: of \"4096x512x512 NT r1 s2\" one\n"
             "more matrix is read, and two are stored; where a step's values are more than\n"
             "the last cache holds, its matrices come from memory.\n"
             "Of CLBlast, off CPUs, the sets of parameters of its two kernels, for\n"
             "large products and small ones, are measured first, each on the largest product\n"
             "that its kernel can have, then from which size on (256, 512 or 1024 cubed) the\n"
             "one for large products is faster. What is best holds for the device.\n"
             "A candidate and the rule's choice are measured in turn, since a machine's speed\n"
             "changes: a gain is the median of the rounds' ratios, and less than 3 % is none.\n"
             "Runs on this device read the table at their start, and multiply a shape that\n"
             "is near a measured one as the table says; FLOWCL_TUNE=off ignores it. Ctrl-C\n"
             "keeps what is measured so far. Products inside a kernel of whole rows (narrow\n"
             "networks on CPUs) are not listed.",
    .chooser = "model",
    .size = sizeof(tune_settings),
    .bind = bind,
    .run = run,
};
