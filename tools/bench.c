/* flowcl bench: what each device can do, and what training and sampling make of it. */
#include "bench.h"
#include "launch.h"
#include "stop.h"
#include "terminal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* clang-format off */
static const fcl_option table[] = {
    {"device", FCL_OPTION(bench_settings, device), .placeholder = "D[,D]", .group = "What is measured",
     .help = "P:D, cpu, gpu or a piece of a name, /N.K after it: part K of N, several after commas; "
             "$FLOWCL_DEVICE, else every usable one"},
    {"model", FCL_OPTION(bench_settings, model), .choice = bench_model_name,
     .help = "only this row of the ladder; without it all of them"},
    {"repeats", FCL_OPTION(bench_settings, repeats), .minimum = 5, .maximum = BENCH_REPEATS_MOST, .fallback = "5",
     .help = "repeats of each measurement"},
    {"quick", FCL_OPTION(bench_settings, quick), .help = "short repeats, small buffers, and only the smallest model"},
    {"ranks", FCL_OPTION(bench_settings, ranks), .minimum = 2, .maximum = 1024, .placeholder = "N",
     .help = "instead: what N processes exchange, and a step by one and by all of them; without it under mpirun"},
    {"batch", FCL_OPTION(bench_settings, batch), .minimum = 1, .maximum = 1e6,
     .help = "samples of that step, shared by the ranks; without it the model's"},
    {"json", FCL_OPTION(bench_settings, json), .group = "Output", .help = "print a JSON object a line instead of tables"},
    {"baseline", FCL_OPTION(bench_settings, baseline), .placeholder = "FILE",
     .help = "compare with an earlier run's --json lines"},
    {"chart", FCL_OPTION(bench_settings, chart), .placeholder = "FILE.png", .help = "draw the results as bars"},
    {0},
};
/* clang-format on */

static int bind(fcl_options *options, void *settings)
{
    return fcl_options_add(options, table, settings);
}

typedef struct work {
    bench_run run; /* first: the callbacks are given it */
    const bench_settings *settings;
    json_t *baseline;
    progress bar;
    char last[96]; /* of the table's headings */
    char said[96];
} work;

/* --- what the run tells --- */

static const bench_unit *unit_of(const bench_run *run, const json_t *record)
{
    for (int i = 0; i < run->unit_count; i++)
        if (!strcmp(run->units[i].id, bench_text(record, "device")))
            return &run->units[i];
    return NULL;
}

static void set_ratio(json_t *record, const char *key, double ratio)
{
    if (isfinite(ratio))
        json_object_set_new(record, key, json_real(ratio));
}

static void complete(const work *w, json_t *record)
{
    const bench_run *run = &w->run;
    const bench_unit *unit = unit_of(run, record);
    if (!unit || !strcmp(bench_text(record, "record"), "device"))
        return;
    json_object_set_new(record, "name", tool_text_json(unit->name));
    json_object_set_new(record, "selftest_error", json_real(unit->selftest_error));
    const json_t *first = NULL;
    for (int i = 0; i < run->unit_count && !first; i++)
        first = bench_record_find(run->records, "device", run->units[i].id, record);
    set_ratio(record, "of_first", bench_record_ratio(record, first ? first : record));
    if (w->baseline)
        set_ratio(
            record, "of_baseline",
            bench_record_ratio_before(record, bench_record_find(w->baseline, "name", unit->name, record)));
}

static void emit(bench_run *run, json_t *record)
{
    work *w = (work *)run;
    complete(w, record);
    json_array_append_new(run->records, record);
    if (run->unit_count == 1 && !strcmp(bench_text(record, "record"), "device") &&
        bench_text(record, "failed"))
        return; /* it ends the bench, with this sentence */
    progress_erase(&w->bar);
    if (w->settings->json) {
        json_dumpf(record, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        bench_report(record, w->baseline ? "of_baseline" : run->unit_count > 1 ? "of_first" : NULL, w->last);
    }
    fflush(stdout);
}

static void say(bench_run *run, const char *what)
{
    work *w = (work *)run;
    if (!strcmp(what, w->said))
        return;
    snprintf(w->said, sizeof w->said, "%s", what);
    progress_erase(&w->bar);
    if (isatty(STDERR_FILENO))
        progress_announce(&w->bar, what);
    else
        fprintf(stderr, "bench: %s\n", what);
}

/* --- which devices --- */

static void add_unit(bench_run *run, const char *selector)
{
    bench_unit *grown = realloc(run->units, (size_t)(run->unit_count + 1) * sizeof *grown);
    if (!grown)
        return;
    run->units = grown;
    grown[run->unit_count] = (bench_unit){0};
    snprintf(grown[run->unit_count++].selector, sizeof grown->selector, "%s", selector);
}

static int add_usable(bench_run *run)
{
    fcl_device_info *list;
    int count;
    if (fcl_device_list(&list, &count) != FCL_OK)
        return tool_fail_library();
    for (int i = 0; i < count; i++)
        if (list[i].usable)
            add_unit(run, list[i].id);
    fcl_free(list);
    return run->unit_count
               ? EXIT_DONE
               : tool_fail("there is no usable OpenCL device; flowcl devices tells what there is");
}

static int find_devices(work *w)
{
    char **names;
    int count;
    if (fcl_device_split(w->settings->device, &names, &count) != FCL_OK)
        return tool_fail_library();
    for (int i = 0; i < count; i++)
        add_unit(&w->run, names[i]);
    fcl_free(names);
    return count ? EXIT_DONE : add_usable(&w->run);
}

/* --- all of it --- */

/* How many there are may be said three times: by the option, by the launcher, and by a list of devices. */
static int check_ranks(const bench_settings *settings)
{
    char **entries;
    int listed = 0, count = tool_ranks() ? fcl_ranks_count(tool_ranks()) : settings->ranks;
    if (settings->ranks && settings->ranks != count)
        return tool_fail_usage(&bench_command, "--ranks %d, and the launcher started %d: start so many, or leave it away",
                               settings->ranks, count);
    if (tool_ranks())
        return EXIT_DONE; /* some of which may have the list of another machine's devices */
    if (fcl_device_split(settings->device, &entries, &listed) != FCL_OK)
        return tool_fail_library();
    fcl_free(entries);
    if (listed > 1 && listed != count)
        return tool_fail_usage(&bench_command, "--ranks %d, and %d devices are named: name one for each rank, or one for all", count,
                               listed);
    return EXIT_DONE;
}

static int check_usage(const tool_call *call)
{
    const bench_settings *settings = call->settings;
    if (fcl_options_finish(call->options))
        return tool_fail_usage(&bench_command, "%s", fcl_error());
    bool ranks = settings->ranks || tool_ranks();
    if (settings->batch && !ranks)
        return tool_fail_usage(&bench_command, "--batch is of a step of several --ranks; other steps are the model's own");
    if (ranks && (settings->baseline || settings->chart))
        return tool_fail_usage(&bench_command, "--ranks has no --baseline and no --chart");
    size_t length = settings->chart ? strlen(settings->chart) : 0;
    if (settings->chart && (length < 5 || strcasecmp(settings->chart + length - 4, ".png")))
        return tool_fail_usage(&bench_command, "the chart %s must end in .png", settings->chart);
    return ranks ? check_ranks(settings) : EXIT_DONE;
}

/* With one device its reason is the bench's. */
static int fail_without_device(const work *w)
{
    const char *reason =
        w->run.unit_count == 1 ? bench_text(json_array_get(w->run.records, 0), "failed") : NULL;
    return reason ? tool_fail("%s", reason) : tool_fail("none of the devices can be measured");
}

static int measure(work *w)
{
    int status = find_devices(w);
    if (status == EXIT_DONE && bench_run_open(&w->run) == 0)
        status = fail_without_device(w);
    if (status == EXIT_DONE)
        status = bench_run_measure(&w->run);
    progress_erase(&w->bar);
    bench_run_close(&w->run);
    if (status == EXIT_DONE && w->settings->chart)
        status = bench_chart_write(w->settings->chart, w->run.records);
    return status;
}

static int run(const tool_call *call)
{
    const bench_settings *settings = call->settings;
    work w = {.settings = settings};
    int status = check_usage(call);
    if (status != EXIT_DONE)
        return status;
    if (tool_ranks())
        return bench_ranks_run(tool_ranks(), settings);
    if (settings->ranks)
        return launch_ranks(settings->ranks);
    if (settings->baseline && !(w.baseline = bench_baseline_read(settings->baseline)))
        return EXIT_FAILED;
    w.run = (bench_run){.repeats = settings->repeats,
                        .quick = settings->quick,
                        .model = settings->model,
                        .emit = emit,
                        .say = say,
                        .records = json_array()};
    stop_watch();
    status = measure(&w);
    free(w.run.units);
    json_decref(w.run.records);
    json_decref(w.baseline);
    return status;
}

const subcommand bench_command = {
    .name = "bench",
    .usage = "[--device D[,D]] [options]",
    .summary = "compare devices in training and sampling, and what limits a step",
    .about = "Each device has a process of its own; the repeats of a measurement go round the\n"
             "devices. A median comes with the 10th and 90th percentile; ~ marks a spread\n"
             "above 5 %. \"error\" is against double precision: what is wrong is no speed.\n"
             "\n"
             "What is divided is measured in turn, since a machine's speed changes: in each\n"
             "round the peak (for a step the other floors as well) and then the product, on\n"
             "one device after the other. \"peak\", \"first\" and what a floor explains are the\n"
             "median of the rounds' ratios, not the ratio of two rows. \"before\" divides by\n"
             "the medians of the earlier run: how fast the machine was then, it cannot tell.\n"
             "\n"
             "A step's floors are: compute, its products' operations over the fp32 peak;\n"
             "bandwidth, the bytes of optimiser and activations over the triad's, unless the\n"
             "device's cache holds all buffers; launches, their number times the cost of one\n"
             "in a stream; host, the time to enqueue one. A launch is a kernel, or a call of\n"
             "CLBlast, which launches one or several.\n"
             "The largest one limits; its share of the step says how near the step is to it.\n"
             "--ranks 2 --device 0:0,1:0 (or mpirun -n 2 flowcl bench) measures the time of a\n"
             "meeting, of sums by their size, and a step of the model by one rank (of parts of\n"
             "a device: on all of it) and by all; and holds against that what a rank's own\n"
             "rows take, plus the sum of the gradients.\n"
             "--json has the rounds: \"values\" of a row, \"peaks\" beside a product's, and the\n"
             "\"rounds\" of a step and its floors in seconds.",
    .shared = true,
    .size = sizeof(bench_settings),
    .bind = bind,
    .run = run,
};
