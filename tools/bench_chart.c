/* The results as bars: a panel for each measurement that has a number on some device. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MOST = 16, PANELS_MOST = 64 };

/* Products and their shapes are for the table; a chart shows the machine and what users wait for. */
static bool is_shown(const json_t *record)
{
    return !strcmp(bench_text(record, "record"), "measure") &&
           strcmp(bench_text(record, "group"), "products") && isfinite(bench_number(record, "median"));
}

static int index_of(const char *device, const char *const *devices, int count)
{
    int index = 0;
    while (index < count && strcmp(devices[index], device))
        index++;
    return index;
}

static void name_panel(const json_t *record, char title[128])
{
    const char *model = bench_text(record, "model"), *less = bench_text(record, "better");
    snprintf(title, 128, "%s%s%s, %s%s", bench_text(record, "what"), model ? " of " : "", model ? model : "",
             bench_text(record, "unit"), strcmp(less, "less") ? "" : " (less is better)");
}

typedef struct picture {
    fcl_bar_chart chart;
    fcl_bar_panel panels[PANELS_MOST];
    char titles[PANELS_MOST][128];
    fcl_bar bars[PANELS_MOST][DEVICES_MOST];
    const char *devices[DEVICES_MOST], *names[DEVICES_MOST];
    char labels[DEVICES_MOST][160];
} picture;

static void add_device(picture *p, const json_t *record)
{
    int count = p->chart.bar_count;
    if (count == DEVICES_MOST || bench_text(record, "failed"))
        return;
    const char *name = bench_text(record, "name"), *platform = bench_text(record, "platform");
    p->devices[count] = bench_text(record, "device");
    snprintf(p->labels[count], sizeof p->labels[count], "%s  %s%s%s", p->devices[count], name ? name : "",
             platform ? ", " : "", platform ? platform : "");
    p->names[count] = p->labels[count];
    p->chart.bar_count++;
}

static void add_measure(picture *p, const json_t *record)
{
    char title[128];
    int panel = 0, device = index_of(bench_text(record, "device"), p->devices, p->chart.bar_count);
    name_panel(record, title);
    while (panel < p->chart.panel_count && strcmp(p->titles[panel], title))
        panel++;
    if (panel == PANELS_MOST || device == p->chart.bar_count)
        return;
    if (panel == p->chart.panel_count) {
        p->chart.panel_count++;
        strcpy(p->titles[panel], title);
        for (int i = 0; i < DEVICES_MOST; i++)
            p->bars[panel][i].value = NAN;
        p->panels[panel] = (fcl_bar_panel){p->titles[panel], p->bars[panel]};
    }
    p->bars[panel][device] =
        (fcl_bar){bench_number(record, "median"), bench_number(record, "p10"), bench_number(record, "p90")};
}

int bench_chart_write(const char *path, const json_t *records)
{
    picture *p = calloc(1, sizeof *p);
    size_t i;
    json_t *record;
    if (!p)
        return tool_fail("no memory for the chart");
    json_array_foreach(records, i, record)
    {
        if (!strcmp(bench_text(record, "record"), "device"))
            add_device(p, record);
        else if (is_shown(record))
            add_measure(p, record);
    }
    p->chart.title = "flowcl bench";
    p->chart.bar = p->names;
    p->chart.panel = p->panels;
    int status = fcl_bar_chart_write(path, &p->chart) == FCL_OK ? EXIT_DONE : tool_fail_library();
    free(p);
    return status;
}
