/* flowcl verify: the program holds itself, on the device at hand, against closed forms in double. */
#include "verify.h"

#include "stop.h"
#include "terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const verify_check checks[] = {
    {"path", "coefficients against double", verify_path_values, 5e-6,
     "single precision: a formula rounds some ten times, an exponent of 10 ten times more"},
    {"path", "slopes against difference quotients", verify_path_slopes, 5e-6,
     "single precision, and the quotient's own error, 1e-6 near the ends"},
    {"path", "noise at t = 0, data at t = 1", verify_path_ends, 0.02,
     "vp begins with alpha = 0.0066; linear-vp is cut 1e-4 before its end, where sigma is 0.014"},
    {"prediction", "a perfect network's velocity", verify_predictions, 1e-4,
     "conversions divide by alpha or sigma, which here are 0.02 and more: 50 times the rounding"},
    {"prediction", "sampled along another path", verify_changed_paths, 1e-3,
     "the times of the other path are a table of 4097, linear between"},
    {"prediction", "a solve ends on the point", verify_ends, 1e-5,
     "single precision: of data that is one point, a perfect network knows the end wherever heun2 asks it"},
    {"objective", "point and target of given pairs", verify_points, 5e-6,
     "single precision, in units of the coefficients"},
    {"objective", "mean target of a mixture", verify_mean_targets, 6,
     "standard errors of 16384 samples; ten tests a line are beyond by chance once in 10^7 times"},
    {"derivative", "jvp against difference quotients", verify_jvp, 5e-6,
     "single precision, in units of the largest number"},
    {"derivative", "vjp against difference quotients", verify_vjp, 5e-6,
     "single precision, in units of the largest number"},
    {"derivative", "<u, J v> = <J' u, v>", verify_adjoint, 1e-6,
     "single precision, of the sum of what is added"},
    {"derivative", "jvp of a vjp", verify_second, 5e-5,
     "single precision: second derivatives are sums of terms some ten times as large"},
    {"solver", "order", verify_order, 0.3,
     "by the shortest steps that single precision can tell; above 4 only what lacks counts"},
    {"solver", "order of the error estimate, plus one", verify_estimate, 0.1,
     "relative; by the steps at two tolerances, the smaller one near single precision for an order of 7"},
    {"solver", "error in tolerances a step", verify_tolerance, 30,
     "a step's estimate is at most one; fehlberg2's, against a first order, is 14 times too small"},
    {"sde", "mean and covariance on the way", verify_marginals, 6,
     "standard errors of 16384 samples; Euler-Maruyama's own error in 400 steps is about one"},
    {"likelihood", "exact log density", verify_exact_likelihood, 5e-5,
     "100 steps of rk4 and their rounding, relative"},
    {"likelihood", "estimated log density", verify_estimated_likelihood, 6,
     "standard errors as the estimate states them, of 256 samples"},
    {"coupling", "entropic plan's conditions", verify_plans, 1e-4,
     "exponentials of numbers of about 20 in single precision; the conditions hold for the best plan alone"},
    {"coupling", "exact cost against all pairings", verify_assignment, 1e-5,
     "single precision of the points"},
};
/* clang-format on */
enum { CHECKS = sizeof checks / sizeof *checks };

/* The index-th group, NULL past the last. */
static const char *group_name(int index)
{
    for (int i = 0; i < CHECKS; i++)
        if ((i == 0 || strcmp(checks[i].group, checks[i - 1].group)) && index-- == 0)
            return checks[i].group;
    return NULL;
}

typedef struct verify_settings {
    const char *device, *only;
    uint64_t seed;
    bool json;
} verify_settings;

static const fcl_option table[] = {
    {"only", FCL_OPTION(verify_settings, only), .choice = group_name, .placeholder = "GROUP",
     .group = "Checks", .help = "the checks of one group"},
    {"seed", FCL_OPTION(verify_settings, seed), .minimum = 1, .maximum = 1.8e19, .fallback = "1",
     .help = "of the random inputs: each number is another certificate"},
    {"device", FCL_OPTION(verify_settings, device), .placeholder = "D",
     .help = "P:D, cpu, gpu or a piece of a name, /N.K after it: part K of N; $FLOWCL_DEVICE, else the best one"},
    {"json", FCL_OPTION(verify_settings, json), .help = "print one JSON object instead of lines"},
    {0},
};

static int bind(fcl_options *options, void *settings)
{
    return fcl_options_add(options, table, settings);
}

struct verification {
    const verify_settings *settings;
    fcl_device *device;
    const verify_check *check; /* that is being measured */
    uint64_t random;
    int lines, failed;
    char first[256]; /* what failed first, in words */
    json_t *json;    /* an array of the lines; NULL: they are printed */
    bool terminal;
};

/* --- what the checks use --- */

fcl_device *verify_device(const verification *v)
{
    return v->device;
}

/* splitmix64 */
double verify_uniform(verification *v)
{
    uint64_t z = v->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return ((double)((z ^ z >> 31) >> 12) + 0.5) * 0x1p-52;
}

double verify_normal(verification *v)
{
    double radius = sqrt(-2 * log(verify_uniform(v)));
    return radius * cos(6.283185307179586 * verify_uniform(v));
}

double verify_larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

/* --- lines --- */

static void erase_progress(const verification *v)
{
    if (v->terminal)
        fputs("\r\033[K", stderr);
}

static void show_progress(const verification *v)
{
    enum { CELLS = 24 };
    char cell[CELLS + 1];
    int done = (int)(v->check - checks), filled = CELLS * done / CHECKS;
    if (!v->terminal)
        return;
    memset(cell, '=', CELLS);
    fprintf(stderr, "\r\033[K[%.*s%*s] %d/%d %.*s", filled, cell, CELLS - filled, "", done, CHECKS,
            terminal_width(stderr) - CELLS - 12, v->check->what);
    fflush(stderr);
}

static json_t *number_json(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static void add_json(verification *v, const char *row, double error, bool passed, const char *remark)
{
    json_t *line = json_object();
    json_object_set_new(line, "group", json_string(v->check->group));
    json_object_set_new(line, "check", json_string(v->check->what));
    json_object_set_new(line, "row", json_string(row));
    json_object_set_new(line, "error", number_json(error));
    json_object_set_new(line, "bound", json_real(v->check->bound));
    json_object_set_new(line, "reason", json_string(v->check->reason));
    json_object_set_new(line, "passed", json_boolean(passed));
    json_object_set_new(line, "remark", *remark ? json_string(remark) : json_null());
    json_array_append_new(v->json, line);
}

static void print_line(const verification *v, const char *row, double error, bool passed, const char *remark)
{
    erase_progress(v);
    int column = fcl_printf("%-6s %-10s %-16s %7.2g <= %-5.2g ", passed ? "ok" : "FAILED", v->check->group, row, error,
                            v->check->bound);
    terminal_printf_wrapped(column, column, "%s%s%s", v->check->what, *remark ? "; " : "", remark);
    fflush(stdout);
    show_progress(v);
}

static int add_line(verification *v, const char *row, double error, const char *remark)
{
    bool passed = error <= v->check->bound;
    v->lines++;
    if (!passed && v->failed++ == 0)
        fcl_snprintf(v->first, sizeof v->first, "%s %s, %s: its error %.3g is above %.3g (%.80s)",
                     v->check->group, row, v->check->what, error, v->check->bound,
                     *remark ? remark : v->check->reason);
    if (v->json)
        add_json(v, row, error, passed, remark);
    else
        print_line(v, row, error, passed, remark);
    return stop_asked() ? FCL_ERR_STOPPED : FCL_OK;
}

int verify_report(verification *v, const char *row, double error)
{
    return add_line(v, row, error, "");
}

int verify_remark(verification *v, const char *row, double error, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return add_line(v, row, error, text);
}

/* --- running --- */

static bool wanted(const verification *v, const verify_check *check)
{
    return !v->settings->only || !strcmp(v->settings->only, check->group);
}

/* Each check has its own random numbers, whatever else is checked. What cannot be measured is a failed line.
 */
static void measure_all(verification *v)
{
    for (int i = 0; i < CHECKS && !stop_asked(); i++) {
        v->check = &checks[i];
        v->random = v->settings->seed * 0xD1B54A32D192ED03u + (uint64_t)i;
        if (!wanted(v, v->check))
            continue;
        show_progress(v);
        int status = v->check->measure(v);
        if (status == FCL_ERR_MEMORY)
            verify_remark(v, "all", NAN, "out of memory, of the host or of the device");
        else if (status != FCL_OK && status != FCL_ERR_STOPPED)
            verify_remark(v, "all", NAN, "%.*s", (int)strcspn(fcl_error(), "\n"), fcl_error());
    }
    erase_progress(v);
}

static int print_json(verification *v, double seconds)
{
    json_t *object = json_object();
    json_object_set_new(object, "device", tool_text_json(fcl_device_describe(v->device)->name));
    json_object_set_new(object, "seed", json_integer((json_int_t)v->settings->seed));
    json_object_set_new(object, "seconds", json_real(seconds));
    json_object_set_new(object, "stopped", json_boolean(stop_asked()));
    json_object_set_new(object, "passed", json_integer(v->lines - v->failed));
    json_object_set_new(object, "failed", json_integer(v->failed));
    json_object_set_new(object, "checks", v->json);
    return tool_print_json(object);
}

static int judge(verification *v, double seconds)
{
    const char *device = fcl_device_describe(v->device)->name;
    int status = v->json ? print_json(v, seconds) : EXIT_DONE;
    if (v->failed)
        return tool_fail("%d of %d checks failed on %s; the first: %s", v->failed, v->lines, device,
                         v->first);
    if (stop_asked())
        return tool_fail("stopped after %d checks, which passed", v->lines);
    if (!v->json)
        fcl_printf("%d checks passed in %.0f s on %s\n", v->lines, seconds, device);
    return status;
}

static int run(const tool_call *call)
{
    if (fcl_options_finish(call->options) != FCL_OK)
        return tool_fail_usage(&verify_command, "%s", fcl_error());
    verification v = {.settings = call->settings, .terminal = isatty(STDERR_FILENO)};
    stop_watch();
    if (fcl_device_open(v.settings->device, NULL, &v.device) != FCL_OK)
        return tool_fail_library();
    v.json = v.settings->json ? json_array() : NULL;
    double begin = tool_now();
    measure_all(&v);
    int status = judge(&v, tool_now() - begin);
    fcl_device_close(&v.device);
    return status;
}

static bool check_at(int index, help_entry *entry)
{
    static char text[256];
    if (index >= CHECKS)
        return false;
    fcl_snprintf(text, sizeof text, "%s: at most %g; %s", checks[index].what, checks[index].bound, checks[index].reason);
    *entry = (help_entry){checks[index].group, text};
    return true;
}

static const help_list bounds = {"Checks and their bounds", check_at}, *const lists[] = {&bounds, NULL};

const subcommand verify_command = {
    .name = "verify",
    .usage = "[--only GROUP] [--device D] [--seed N] [--json]",
    .summary = "hold what the device computes against closed forms, a line a check",
    .about = "Measures on the device how far paths, predictions, objectives, derivatives,\n"
             "solvers, likelihoods and couplings are from closed forms, with random inputs.\n"
             "Each line tells an error and its bound; the status is 1 where one is above.\n"
             "Under a minute on two cores with PoCL, most of it compiling, some seconds the\n"
             "next time; llvmpipe takes some minutes. Ctrl-C ends it after the next line.",
    .lists = lists,
    .size = sizeof(verify_settings),
    .bind = bind,
    .run = run,
};
