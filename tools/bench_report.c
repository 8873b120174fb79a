/* The table for people, 80 columns wide. */
#include "bench.h"
#include "terminal.h"

#include <math.h>
#include <string.h>

/* Seven columns. */
static void format_number(double value, char text[16])
{
    if (!isfinite(value))
        strcpy(text, "-");
    else if (value >= 1e7 || (value < 0.01 && value > 0))
        fcl_snprintf(text, 16, "%.1e", value);
    else
        fcl_snprintf(text, 16, "%.*f", value >= 1000 ? 0 : value >= 100 ? 1 : value >= 1 ? 2 : 4, value);
}

static void format_seconds(double seconds, char text[24])
{
    if (!isfinite(seconds))
        strcpy(text, "-");
    else if (seconds >= 1)
        fcl_snprintf(text, 24, "%.3g s", seconds);
    else
        fcl_snprintf(text, 24, "%.3g %s", seconds * (seconds >= 1e-3 ? 1e3 : 1e6),
                     seconds >= 1e-3 ? "ms" : "us");
}

static void format_bytes(double bytes, char text[24])
{
    double mebibytes = bytes / (1 << 20);
    if (mebibytes >= 1024)
        fcl_snprintf(text, 24, "%.1f GiB", mebibytes / 1024);
    else
        fcl_snprintf(text, 24, "%.*f MiB", mebibytes < 10 ? 1 : 0, mebibytes);
}

static const char *text_or(const json_t *record, const char *key, const char *otherwise)
{
    const char *text = bench_text(record, key);
    return text ? text : otherwise;
}

/* --- a device --- */

enum { INDENT = 6 };

static void report_device(const json_t *device)
{
    const json_t *selftest = json_object_get(device, "selftest");
    const char *failed = bench_text(device, "failed"), *warning = bench_text(device, "warning");
    char memory[24];
    format_bytes(bench_number(device, "memory_bytes"), memory);
    int column = printf("%-5s ", bench_text(device, "device"));
    if (selftest) {
        terminal_printf_wrapped(column, INDENT, "%s, %s, %s, driver %s", text_or(device, "name", "?"),
                                text_or(device, "platform", "?"), text_or(device, "version", "?"),
                                text_or(device, "driver", "?"));
        fcl_printf("      %.0f units, %s; flowcl %s, CLBlast %s\n", bench_number(device, "compute_units"), memory,
                   text_or(device, "flowcl", "?"), text_or(device, "clblast", "?"));
    } else {
        puts(text_or(device, "name", "cannot be used"));
    }
    if (failed)
        terminal_printf_wrapped(0, INDENT, "%*snot measured: %s", INDENT, "", failed);
    else
        fcl_printf("      self-test passed, largest error %.1e (%s)\n", bench_number(selftest, "error"),
                   bench_text(selftest, "worst_family"));
    if (warning)
        terminal_printf_wrapped(0, INDENT, "%*swarning: %s", INDENT, "", warning);
}

/* --- a measurement --- */

static void report_heading(const json_t *record, const char *ratio, char last[96])
{
    char heading[96];
    const char *model = bench_text(record, "model"), *group = bench_text(record, "group");
    snprintf(heading, sizeof heading, "%c%s%s%s", group[0] - 'a' + 'A', group + 1, model ? " of " : "",
             model ? model : "");
    if (!strcmp(heading, last))
        return;
    if (!last[0])
        printf("\n%-22s %-4s %7s %7s %7s  %-9s %6s %5s %4s\n", "", "at", "median", "p10", "p90", "",
               !ratio                          ? ""
               : !strcmp(ratio, "of_baseline") ? "before"
                                               : "first",
               "error", "peak");
    printf("%s\n", heading);
    strcpy(last, heading);
}

static void report_measure(const json_t *record, const char *ratio)
{
    char median[16], p10[16], p90[16], times[16] = "", error[16] = "", share[16] = "";
    double of = ratio ? bench_number(record, ratio) : NAN, wrong = bench_number(record, "error");
    double part = bench_number(record, "share_of_peak");
    const char *failed = bench_text(record, "failed");
    if (failed) {
        int column = printf("  %-20s %-4s ", bench_text(record, "what"), bench_text(record, "device"));
        terminal_printf_wrapped(column, column, "failed: %s", failed);
        return;
    }
    format_number(bench_number(record, "median"), median);
    format_number(bench_number(record, "p10"), p10);
    format_number(bench_number(record, "p90"), p90);
    if (isfinite(of))
        fcl_snprintf(times, sizeof times, "%.2fx", of);
    if (isfinite(wrong))
        fcl_snprintf(error, sizeof error, wrong > 0 ? "%.0e" : "0", wrong);
    if (isfinite(part))
        fcl_snprintf(share, sizeof share, "%.0f%%", 100 * part);
    const char *how = bench_text(record, "group")[0] == 'p' ? text_or(record, "how", "") : "";
    char line[256];
    int length = snprintf(line, sizeof line, "  %-20s %-4s %7s %7s %7s%c %-9s %6s %5s %4s",
                          bench_text(record, "what"), bench_text(record, "device"), median, p10, p90,
                          json_is_true(json_object_get(record, "noisy")) ? '~' : ' ',
                          bench_text(record, "unit"), times, error, share);
    for (length = length < (int)sizeof line ? length : (int)sizeof line - 1;
         length && line[length - 1] == ' ';)
        line[--length] = '\0';
    puts(line);
    if (*how)
        printf("%*sby %s\n", INDENT, "", how);
}

/* --- a step --- */

static void report_kernels(const json_t *step)
{
    enum { SHOWN = 6, NAME = 50 };
    double all = 0, rest = 0, untimed = 0;
    size_t i;
    const json_t *kernels = json_object_get(step, "kernels");
    json_t *kernel;
    json_array_foreach(kernels, i, kernel)
    {
        all += bench_number(kernel, "seconds");
        untimed += bench_number(kernel, "untimed");
    }
    if (untimed > 0)
        terminal_printf_wrapped(0, 4, "    left out: %.*f launches, whose times by the driver cannot be", untimed < 1 ? 2 : 0,
                                untimed);
    if (!(all > 0)) {
        puts("    the driver tells no kernel's time");
        return;
    }
    json_array_foreach(kernels, i, kernel)
    {
        char time[24];
        double seconds = bench_number(kernel, "seconds");
        rest += i < SHOWN ? 0 : seconds;
        format_seconds(seconds, time);
        if (i < SHOWN)
            fcl_printf("    %4.1f %%  %9s  %3.0f x  %.*s\n", 100 * seconds / all, time,
                       bench_number(kernel, "launches"), NAME, bench_text(kernel, "name"));
    }
    if (rest > 0)
        fcl_printf("    %4.1f %%  others\n", 100 * rest / all);
}

static void report_floors(const json_t *step)
{
    const char *name;
    json_t *floor;
    fputs("    floors:", stdout);
    json_object_foreach(json_object_get(step, "floors"), name, floor)
    {
        char time[24];
        format_seconds(json_is_number(floor) ? json_number_value(floor) : NAN, time);
        printf("  %s %s", name, time);
    }
    putchar('\n');
}

static void report_step(const json_t *step)
{
    char time[24], building[24], memory[24], process[24];
    format_seconds(bench_number(step, "seconds"), time);
    format_seconds(bench_number(step, "build_seconds"), building);
    format_bytes(bench_number(step, "memory_bytes"), memory);
    format_bytes(bench_number(step, "process_bytes"), process);
    char calls[48] = "";
    if (bench_number(step, "clblast_calls") > 0)
        fcl_snprintf(calls, sizeof calls, " (%.0f of them calls of CLBlast)", bench_number(step, "clblast_calls"));
    terminal_printf_wrapped(0, 4, "  A step on %s: %s, %.0f launches%s, limited by %s, which explains %.0f %% of it",
                            bench_text(step, "device"), time, bench_number(step, "launches"), calls,
                            text_or(step, "limit", "nothing known"), 100 * bench_number(step, "limit_share"));
    report_floors(step);
    terminal_printf_wrapped(0, 4, "    distinct kernels generated: %.0f; building took %s",
                            bench_number(step, "distinct_kernels"), building);
    terminal_printf_wrapped(0, 4, "    %.0f parameters; %s of buffers on the device, the process has had %s",
                            bench_number(step, "parameters"), memory, process);
    terminal_printf_wrapped(0, 4, "    loss of the first %d steps %.6f, difference from the first device %.1e",
                            BENCH_STEPS, bench_number(step, "loss"), bench_number(step, "loss_difference"));
    report_kernels(step);
}

void bench_report(const json_t *record, const char *ratio, char last[96])
{
    const char *kind = bench_text(record, "record");
    if (!strcmp(kind, "device")) {
        report_device(record);
        return;
    }
    report_heading(record, ratio, last);
    if (!strcmp(kind, "step"))
        report_step(record);
    else
        report_measure(record, ratio);
}
