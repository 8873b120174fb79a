/* A tree over the times: a node stands for an interval of them, its children for the halves. It knows which
 * places are taken for all of the interval (`whole`), and which for a part of it (`any`), as runs that do not
 * touch: what is packed tightly is one run, however much it is. */
#include "compile/places.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    size_t begin, end;
} run;

typedef struct runs {
    run *run; /* in ascending order */
    int count, capacity;
} runs;

typedef struct interval {
    runs whole, any;
} interval;

struct fcl_places {
    int width;          /* of the root; a power of 2 */
    interval *interval; /* the root is 1, the halves of i are 2 i and 2 i + 1 */
    int64_t visits;
};

/* What is asked for. */
typedef struct request {
    int first, last;
    size_t size;
} request;

/* The first run that ends behind a place. */
static int find_run(const runs *r, size_t place)
{
    int low = 0, high = r->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (r->run[middle].end > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void add_run(runs *r, size_t begin, size_t end)
{
    int at = find_run(r, begin), behind;
    if (at > 0 && r->run[at - 1].end == begin)
        at--;
    for (behind = at; behind < r->count && r->run[behind].begin <= end; behind++) {
        begin = r->run[behind].begin < begin ? r->run[behind].begin : begin;
        end = r->run[behind].end > end ? r->run[behind].end : end;
    }
    if (r->count == r->capacity) {
        r->capacity = 2 * r->capacity + 4;
        r->run = fcl_grow(r->run, (size_t)r->capacity * sizeof *r->run);
    }
    memmove(r->run + at + 1, r->run + behind, (size_t)(r->count - behind) * sizeof *r->run);
    r->run[at] = (run){begin, end};
    r->count += at + 1 - behind;
}

enum { MOST_SETS = 128 /* four of a level of the tree */ };

/* All that is taken at the times of a request: sets of runs, each with the next run that is not passed. */
typedef struct sweep {
    const runs *runs[MOST_SETS];
    int next[MOST_SETS], sets;
} sweep;

static void add_set(sweep *of, const runs *r)
{
    of->next[of->sets] = 0;
    of->runs[of->sets] = r;
    of->sets += r->count > 0;
}

static void collect(const fcl_places *p, int i, int begin, int width, const request *asked, sweep *of)
{
    if (asked->last < begin || begin + width <= asked->first)
        return;
    if (asked->first <= begin && begin + width - 1 <= asked->last) {
        add_set(of, &p->interval[i].any);
        return;
    }
    add_set(of, &p->interval[i].whole);
    collect(p, 2 * i, begin, width / 2, asked, of);
    collect(p, 2 * i + 1, begin + width / 2, width / 2, asked, of);
}

/* The set whose next run begins first; -1: all runs are passed. */
static int nearest(const sweep *of)
{
    int best = -1;
    size_t begin = SIZE_MAX;
    for (int i = 0; i < of->sets; i++)
        if (of->next[i] < of->runs[i]->count && of->runs[i]->run[of->next[i]].begin < begin) {
            begin = of->runs[i]->run[of->next[i]].begin;
            best = i;
        }
    return best;
}

/* Passes runs, the nearest first, until there is room before the next. */
static size_t lowest_place(fcl_places *p, const request *asked)
{
    sweep of = {.sets = 0};
    size_t place = 0;
    collect(p, 1, 0, p->width, asked, &of);
    p->visits += of.sets;
    for (int i; (i = nearest(&of)) >= 0; p->visits++) {
        const run *next = &of.runs[i]->run[of.next[i]];
        if (next->begin >= place + asked->size)
            break;
        place = next->end > place ? next->end : place;
        of.next[i] = find_run(of.runs[i], place);
    }
    return place;
}

static void take(fcl_places *p, int i, int begin, int width, const request *asked, size_t place)
{
    if (asked->last < begin || begin + width <= asked->first)
        return;
    add_run(&p->interval[i].any, place, place + asked->size);
    if (asked->first <= begin && begin + width - 1 <= asked->last) {
        add_run(&p->interval[i].whole, place, place + asked->size);
        return;
    }
    take(p, 2 * i, begin, width / 2, asked, place);
    take(p, 2 * i + 1, begin + width / 2, width / 2, asked, place);
}

size_t fcl_places_take(fcl_places *p, int first, int last, size_t size)
{
    const request asked = {first, last, size};
    size_t place = lowest_place(p, &asked);
    take(p, 1, 0, p->width, &asked, place);
    return place;
}

int64_t fcl_places_visits(const fcl_places *p)
{
    return p->visits;
}

fcl_places *fcl_places_create(int count)
{
    fcl_places *p = fcl_zalloc(sizeof *p);
    p->width = 1;
    while (p->width < count)
        p->width *= 2;
    p->interval = fcl_zalloc(2 * (size_t)p->width * sizeof *p->interval);
    return p;
}

void fcl_places_destroy(fcl_places **places)
{
    fcl_places *p = *places;
    if (!p)
        return;
    for (int i = 0; i < 2 * p->width; i++) {
        free(p->interval[i].whole.run);
        free(p->interval[i].any.run);
    }
    free(p->interval);
    free(p);
    *places = NULL;
}
