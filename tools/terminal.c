#include "terminal.h"

#include "stop.h"
#include "tool.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDEST_BAR = 40, NARROWEST_BAR = 10, LINE_SIZE = 512 };
static const double redraw_seconds = 0.1;

int terminal_width(FILE *stream)
{
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    return width >= 20 && width <= 1000 ? width : 80;
}

int terminal_text_width(FILE *stream)
{
    enum { WIDEST_TEXT = 110 };
    int width = terminal_width(stream);
    return width < WIDEST_TEXT ? width : WIDEST_TEXT;
}

/* As far as to a blank behind a comma or semicolon. */
static int phrase_length(const char *text)
{
    int length = (int)strcspn(text, " ");
    while (text[length] && !(length && strchr(",;", text[length - 1]))) /* it may begin with blanks */
        length += 1 + (int)strcspn(text + length + 1, " ");
    return length;
}

void terminal_print_wrapped(int column, int indent, const char *text)
{
    int width = terminal_text_width(stdout), begin = column, gap = 0;
    bool phrase = true; /* one begins here */
    while (*text) {
        int length = (int)strcspn(text, " "), room = width - column - gap;
        bool fits = length <= room && (!phrase || phrase_length(text) <= room || phrase_length(text) > width - indent);
        if (column > begin && !fits) {
            printf("\n%*s", indent, "");
            column = begin = indent;
            gap = 0;
        }
        column += printf("%*s%.*s", gap, "", length, text);
        phrase = length && strchr(",;", text[length - 1]);
        text += length;
        gap = (int)strspn(text, " ");
        text += gap;
    }
    putchar('\n');
}

void terminal_print_entry(const char *heading, int indent, const char *text)
{
    printf("%-*s", indent, heading);
    terminal_print_wrapped(indent, indent, text);
}

void terminal_printf_wrapped(int column, int indent, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    terminal_print_wrapped(column, indent, text);
}

/* "0:07", "12:34", "3:04:05", "5d 03:04" */
static void format_seconds(double seconds, char *text, size_t size)
{
    long long s = seconds >= 0 && seconds < 1e9 ? (long long)(seconds + 0.5) : -1;
    if (s < 0)
        snprintf(text, size, "?");
    else if (s < 3600)
        snprintf(text, size, "%lld:%02lld", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%lldd %02lld:%02lld", s / 86400, s / 3600 % 24, s / 60 % 60);
}

static void format_rate(double rate, char *text, size_t size)
{
    static const char *const units[] = {"", "k", "M", "G"};
    int unit = 0;
    for (; unit < 3 && rate >= 999.5; unit++)
        rate /= 1000;
    fcl_snprintf(text, size, "%.*f%s", rate < 9.95 ? 2 : rate < 99.5 ? 1 : 0, rate, units[unit]);
}

/* "412/5000  loss 0.4312 (held out 0.4519)  81.3k samples/s  0:12 left" */
static void format_state(const progress *bar, const progress_state *state, bool done, char *text, size_t size)
{
    char total[24], rate[32] = "?", time[32], loss[48] = "", held_out[48] = "";
    int digits = snprintf(total, sizeof total, "%lld", (long long)bar->total);
    if (state->samples_per_second > 0)
        format_rate(state->samples_per_second, rate, sizeof rate);
    format_seconds(done ? state->seconds : state->seconds_left, time, sizeof time);
    if (!isnan(state->loss))
        fcl_snprintf(loss, sizeof loss, "  loss %#.4g", state->loss);
    if (state->held_out_loss > 0)
        fcl_snprintf(held_out, sizeof held_out, " (held out %#.4g)", state->held_out_loss);
    snprintf(text, size, "%*lld/%s%s%s  %s samples/s  %s%s", digits, (long long)state->step, total, loss, held_out, rate, time,
             done ? "" : " left");
}

static void draw(progress *bar, const progress_state *state, bool done)
{
    char text[LINE_SIZE], line[LINE_SIZE + WIDEST_BAR + 8];
    format_state(bar, state, done, text, sizeof text);
    int room = terminal_width(stderr) - 1; /* a full line would wrap */
    int cells = room - (int)strlen(text) - 4;
    cells = cells > WIDEST_BAR ? WIDEST_BAR : cells;
    if (cells >= NARROWEST_BAR) {
        double share = bar->total > 0 ? (double)state->step / (double)bar->total : 1;
        int filled = (int)(share * cells);
        char cell[WIDEST_BAR + 1];
        memset(cell, '=', WIDEST_BAR);
        snprintf(line, sizeof line, "[%.*s%*s]  %s", filled, cell, cells - filled, "", text);
    } else {
        snprintf(line, sizeof line, "%.*s", room, text);
    }
    fprintf(stderr, "\r%s\033[K%s", line, done ? "\n" : "");
    fflush(stderr);
    bar->drawn = !done;
}

static void print_line(const progress *bar, const progress_state *state, bool done)
{
    char text[LINE_SIZE];
    format_state(bar, state, done, text, sizeof text);
    fprintf(stderr, "step %s\n", text);
}

static bool draws_bars(void)
{
    const char *kind = getenv("TERM");
    return tool_is_first() && (isatty(STDERR_FILENO) || getenv(TERMINAL_VARIABLE)) && !(kind && !strcmp(kind, "dumb"));
}

void progress_announce(progress *bar, const char *text)
{
    if (draws_bars())
        bar->drawn = fprintf(stderr, "%s ...", text) > 0;
}

void progress_share(progress *bar, const char *text, double share)
{
    if (draws_bars())
        bar->drawn = fcl_fprintf(stderr, "\r%s: %.0f %%\033[K", text, 100 * share) > 0;
}

void progress_erase(progress *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", stderr);
    bar->drawn = false;
}

void progress_start(progress *bar, int64_t first, int64_t total)
{
    progress_erase(bar);
    *bar = (progress){.first = first, .total = total, .terminal = draws_bars()};
}

static void tell_line(progress *bar, const progress_state *state)
{
    const double minute = 60;
    int64_t way = bar->total - bar->first;
    int tenths = way > 0 ? (int)(10 * (state->step - bar->first) / way) : 10;
    if (tenths >= 10 || (tenths <= bar->tenths && state->seconds - bar->shown < minute))
        return;
    print_line(bar, state, false);
    bar->tenths = tenths;
    bar->shown = state->seconds;
}

void progress_update(progress *bar, const progress_state *state)
{
    if (!bar->terminal)
        tell_line(bar, state);
    if (!bar->terminal || (bar->drawn && state->seconds - bar->shown < redraw_seconds))
        return;
    draw(bar, state, false);
    bar->shown = state->seconds;
}

void progress_finish(progress *bar, const progress_state *state)
{
    if (bar->terminal)
        draw(bar, state, true);
    else
        print_line(bar, state, true);
}

void progress_say(progress *bar, const char *format, ...)
{
    progress_erase(bar);
    va_list args;
    va_start(args, format);
    fcl_vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void progress_train(progress *bar, progress_state *state, const fcl_train_progress *now)
{
    *state = (progress_state){.step = now->step,
                              .loss = now->loss,
                              .held_out_loss = now->held_out_loss,
                              .samples_per_second = now->samples_per_second,
                              .seconds = now->seconds,
                              .seconds_left = now->seconds_left};
    progress_update(bar, state);
}

bool progress_stop(progress *bar, bool *told)
{
    bool asked = stop_asked();
    if (asked && !*told)
        progress_say(bar, "stopping; once more to quit without saving");
    *told |= asked;
    return asked;
}
