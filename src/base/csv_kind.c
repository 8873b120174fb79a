/* What a cell of a table is. */
#include "base/csv_cell.h"

#include "base/memory.h"

#include <flowcl/text.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct span {
    const char *at, *end;
} span;

static bool take_one(span *s, char either, char or)
{
    bool there = s->at < s->end && (*s->at == either || *s->at == or);
    s->at += there;
    return there;
}

static size_t take_digits(span *s, size_t most)
{
    size_t count = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9' && count < most; s->at++)
        count++;
    return count;
}

/* [+-] digits [mark digits] [e [+-] digits]; *whole where it is digits alone, *marked where the mark is
 * there. */
static bool is_number(span s, char mark, bool *whole, bool *marked)
{
    bool sign = take_one(&s, '+', '-');
    size_t before = take_digits(&s, SIZE_MAX), behind = 0;
    *whole = before && !sign && s.at == s.end;
    *marked = take_one(&s, mark, mark);
    if (*marked)
        behind = take_digits(&s, SIZE_MAX);
    if ((!before && !behind) || (*marked && mark == ',' && !behind))
        return false;
    if (take_one(&s, 'e', 'E')) {
        take_one(&s, '+', '-');
        if (!take_digits(&s, SIZE_MAX))
            return false;
    }
    return s.at == s.end;
}

/* Between two groups of a number: a comma, point, apostrophe, space, or one of Unicode's two that do not
 * break. */
static size_t group_mark(const span *s)
{
    size_t left = (size_t)(s->end - s->at);
    if (left >= 2 && memcmp(s->at, "\xc2\xa0", 2) == 0)
        return 2;
    if (left >= 3 && (memcmp(s->at, "\xe2\x80\xaf", 3) == 0 || memcmp(s->at, "\xe2\x80\x99", 3) == 0))
        return 3;
    return left && strchr(",.' ", *s->at) ? 1 : 0;
}

/* 1,234 or 1 234 567,8 or 1.234,5: groups of three behind one to three digits, the same mark between them. */
static bool is_thousands(span s)
{
    take_one(&s, '+', '-');
    const char *first = s.at, *mark = NULL;
    size_t length = 0;
    if (!take_digits(&s, 3) || *first == '0')
        return false;
    for (;;) {
        size_t here = group_mark(&s);
        if (!here || (mark && (here != length || memcmp(mark, s.at, here) != 0)))
            break;
        span group = {s.at + here, s.end};
        if (take_digits(&group, 4) != 3)
            break;
        mark = s.at;
        length = here;
        s = group;
    }
    if (mark && s.at < s.end && take_one(&s, ',', '.'))
        take_digits(&s, SIZE_MAX);
    return mark && s.at == s.end;
}

static bool is_among(span s, const char *const *words, bool any_case)
{
    size_t length = (size_t)(s.end - s.at);
    for (; *words; words++)
        if (strlen(*words) == length &&
            (any_case ? strncasecmp(*words, s.at, length) : strncmp(*words, s.at, length)) == 0)
            return true;
    return false;
}

/* 2020-01-31, 1/2/2020, 31.01.2020, 12:30, 2020-01-31T12:30:00Z, 31-Jan-2020 */
static bool is_date(span s)
{
    static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                         "aug", "sep", "oct", "nov", "dec", NULL};
    int marks = 0, letters = 0;
    bool clock = false, month = false, digit = s.at < s.end && isdigit((unsigned char)*s.at);
    for (const char *at = s.at; at < s.end; at++) {
        clock |= *at == ':';
        marks += strchr("-/.", *at) != NULL;
        if (s.end - at >= 3 && is_among((span){at, at + 3}, months, true)) {
            month = true;
            at += 2;
            continue;
        }
        letters += isalpha((unsigned char)*at) && !strchr("TZ", *at);
        digit = digit && (isalnum((unsigned char)*at) || strchr("-/.:+ ,", *at));
    }
    bool point = s.at < s.end && memchr(s.at, '.', (size_t)(s.end - s.at));
    return digit && letters == 0 && (clock || month || marks > 1 || (marks == 1 && !point));
}

static unsigned number_kind(span s)
{
    bool whole, point, comma, unused;
    unsigned kind = 0;
    if (is_number(s, '.', &whole, &point))
        kind |= FCL_CSV_POINT | (whole ? FCL_CSV_WHOLE : 0);
    if (is_number(s, ',', &unused, &comma))
        kind |= FCL_CSV_COMMA;
    bool plain = (kind & FCL_CSV_POINT) && (kind & FCL_CSV_COMMA);
    return plain || !is_thousands(s) ? kind : kind | FCL_CSV_THOUSANDS;
}

unsigned fcl_csv_cell_kind(const fcl_csv_cell *cell)
{
    /* what pandas takes for a missing value, and two marks of statistics' old tables */
    static const char *const missing[] = {"",     "NA",   "N/A", "n/a",  "#NA",  "#N/A",
                                          "<NA>", "NaN",  "nan", "-nan", "-NaN", "NULL",
                                          "null", "None", "NaT", "?",    ".",    NULL};
    static const char *const infinities[] = {"inf",       "+inf",      "-inf", "infinity",
                                             "+infinity", "-infinity", NULL};
    static const char *const booleans[] = {"true", "false", "yes", "no", NULL};
    span s = {cell->text, cell->text + cell->length};
    unsigned kind = number_kind(s);
    if (kind)
        return kind;
    if (is_among(s, missing, false))
        return FCL_CSV_MISSING;
    if (is_among(s, infinities, true))
        return FCL_CSV_POINT | FCL_CSV_COMMA | FCL_CSV_INFINITE;
    return is_among(s, booleans, true) ? FCL_CSV_BOOLEAN : is_date(s) ? FCL_CSV_DATE : 0;
}

float fcl_csv_cell_number(const fcl_csv_cell *cell, char decimal)
{
    const char *comma = decimal == ',' ? memchr(cell->text, ',', cell->length) : NULL;
    if (!comma)
        return fcl_strtof(cell->text, NULL); /* it ends where the cell does */
    char *text = fcl_format("%.*s", (int)cell->length, cell->text);
    text[comma - cell->text] = '.';
    float value = fcl_strtof(text, NULL);
    free(text);
    return value;
}
