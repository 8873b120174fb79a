#include "base/option_value.h"

#include "base/error.h"
#include "base/nearest.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *member(const fcl_option *row, const void *values)
{
    return (char *)values + row->offset;
}

bool fcl_option_is_yes_no(const fcl_option *row)
{
    return row->type == FCL_OPTION_BOOL || row->type == FCL_OPTION_TOGGLE;
}

static bool is_real(const fcl_option *row)
{
    return row->type == FCL_OPTION_FLOAT || row->type == FCL_OPTION_DOUBLE;
}

/* Any numeric member as a double, exact but for integers above 2^53, where only the range is asked. */
static double number_of(const fcl_option *row, const void *values)
{
    const void *at = member(row, values);
    switch (row->type) {
    case FCL_OPTION_INT:
        return *(const int *)at;
    case FCL_OPTION_INT64:
        return (double)*(const int64_t *)at;
    case FCL_OPTION_UINT64:
        return (double)*(const uint64_t *)at;
    case FCL_OPTION_FLOAT:
        return *(const float *)at;
    case FCL_OPTION_DOUBLE:
        return *(const double *)at;
    case FCL_OPTION_BOOL:
        return *(const bool *)at;
    case FCL_OPTION_TOGGLE:
        return *(const fcl_toggle *)at;
    case FCL_OPTION_STRING:
        break;
    }
    return 0;
}

bool fcl_option_is_zero(const fcl_option *row, const void *values)
{
    if (row->type == FCL_OPTION_STRING)
        return !*(const char **)member(row, values);
    return number_of(row, values) == 0;
}

/* --- numbers as text --- */

void fcl_number_text(double number, bool single, char *text)
{
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t before = uselocale(c_locale);
    int most = single ? 9 : 17; /* digits that always suffice */
    for (int digits = 1; digits <= most; digits++) {
        snprintf(text, FCL_NUMBER_TEXT, "%.*g", digits, number);
        if (single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number)
            break;
    }
    uselocale(before);
    freelocale(c_locale);
}

/* Decimal only: "inf", "nan", hexadecimal and surrounding blanks are no numbers of an option. */
static bool read_real(const char *text, bool single, double *number)
{
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t before = uselocale(c_locale);
    char *end;
    *number = single ? strtof(text, &end) : strtod(text, &end);
    uselocale(before);
    freelocale(c_locale);
    return end != text && !*end && isfinite(*number);
}

static bool read_integer(const fcl_option *row, const char *text, void *at)
{
    if (!*text || text[strspn(text, "0123456789+-")])
        return false;
    char *end;
    errno = 0;
    if (row->type == FCL_OPTION_UINT64) {
        if (*text == '-') /* strtoull would wrap it around */
            return false;
        *(uint64_t *)at = strtoull(text, &end, 10);
        return end != text && !*end && !errno;
    }
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return false;
    if (row->type == FCL_OPTION_INT64)
        return *(int64_t *)at = number, true;
    if (number < INT_MIN || number > INT_MAX)
        return false;
    return *(int *)at = (int)number, true;
}

/* --- ranges --- */

static bool has_range(const fcl_option *row)
{
    return row->minimum != 0 || row->maximum != 0;
}

static bool in_range(const fcl_option *row, double number)
{
    if (!has_range(row))
        return true;
    if (row->type == FCL_OPTION_FLOAT) /* a bound of 0.999 is a little less than 0.999f */
        return number >= (float)row->minimum && number <= (float)row->maximum;
    return number >= row->minimum && number <= row->maximum;
}

static bool can_be_off(const fcl_option *row)
{
    return row->flags & FCL_OPTION_CAN_BE_OFF;
}

/* 0 in the struct means the default, so as a wish of its own it must be told apart or be refused. */
static bool zero_is_refused(const fcl_option *row)
{
    double fallback = 0;
    return row->fallback && !can_be_off(row) && read_real(row->fallback, false, &fallback) && fallback != 0;
}

static void add_range(const fcl_option *row, fcl_text *text)
{
    if (!has_range(row))
        return;
    char minimum[FCL_NUMBER_TEXT], maximum[FCL_NUMBER_TEXT];
    fcl_number_text(row->minimum, row->type == FCL_OPTION_FLOAT, minimum);
    fcl_number_text(row->maximum, row->type == FCL_OPTION_FLOAT, maximum);
    if (!is_real(row)) {
        snprintf(minimum, sizeof minimum, "%.0f", row->minimum);
        snprintf(maximum, sizeof maximum, "%.0f", row->maximum);
    }
    bool above = is_real(row) && row->minimum == 0 && (can_be_off(row) || zero_is_refused(row));
    if (isinf(row->maximum))
        fcl_text_format(text, "%s %s", above ? "above" : "at least", minimum);
    else if (above)
        fcl_text_format(text, "above 0, at most %s", maximum);
    else
        fcl_text_format(text, "%s to %s", minimum, maximum);
}

static void add_choices(const fcl_option *row, fcl_text *text)
{
    for (int i = 0; row->choice(i); i++)
        fcl_text_format(text, "%s%s", i ? ", " : "", row->choice(i));
}

void fcl_option_hint(const fcl_option *row, fcl_text *text)
{
    if (row->type == FCL_OPTION_STRING && row->choice)
        add_choices(row, text);
    if (row->type == FCL_OPTION_STRING || fcl_option_is_yes_no(row))
        return;
    add_range(row, text);
    if (can_be_off(row))
        fcl_text_add(text, has_range(row) ? ", or off" : "or off");
}

void fcl_option_expected(const fcl_option *row, fcl_text *text)
{
    if (fcl_option_is_yes_no(row)) {
        fcl_text_add(text, "yes or no");
    } else if (row->type == FCL_OPTION_STRING) {
        fcl_text_add(text, row->choice ? "one of " : "a text");
        if (row->choice)
            add_choices(row, text);
    } else {
        fcl_text_add(text, is_real(row) ? "a number" : "a whole number");
        if (has_range(row)) {
            fcl_text_add(text, isinf(row->maximum) || (is_real(row) && row->minimum == 0) ? " " : " from ");
            add_range(row, text);
        } else if (zero_is_refused(row)) {
            fcl_text_add(text, " other than 0");
        }
        if (can_be_off(row))
            fcl_text_add(text, ", or off");
    }
}

/* --- reading --- */

bool fcl_option_read_yes_no(const char *text, bool *yes)
{
    static const char *const words[] = {"yes", "no", "true", "false", "on", "off"};
    for (int i = 0; i < 6; i++)
        if (!strcasecmp(text, words[i]))
            return *yes = i % 2 == 0, true;
    return false;
}

static bool read_yes_no(const fcl_option *row, const char *text, void *at)
{
    bool yes;
    if (!fcl_option_read_yes_no(text, &yes))
        return false;
    if (row->type == FCL_OPTION_BOOL)
        *(bool *)at = yes;
    else
        *(fcl_toggle *)at = yes ? FCL_ON : FCL_OFF;
    return true;
}

static void store_number(const fcl_option *row, double number, void *at)
{
    switch (row->type) {
    case FCL_OPTION_INT:
        *(int *)at = (int)number;
        break;
    case FCL_OPTION_INT64:
        *(int64_t *)at = (int64_t)number;
        break;
    case FCL_OPTION_FLOAT:
        *(float *)at = (float)number;
        break;
    case FCL_OPTION_DOUBLE:
        *(double *)at = number;
        break;
    default:
        break; /* an unsigned number or a non-number has no -1 for "off" */
    }
}

static bool read_number(const fcl_option *row, const char *text, void *at)
{
    double number = 0;
    if (can_be_off(row) && ((read_real(text, false, &number) && number == 0) || !strcasecmp(text, "off"))) {
        store_number(row, FCL_OFF, at);
        return true;
    }
    if (is_real(row)) {
        if (!read_real(text, row->type == FCL_OPTION_FLOAT, &number))
            return false;
        store_number(row, number, at);
    } else if (!read_integer(row, text, at)) {
        return false;
    }
    number = number_of(&(fcl_option){.type = row->type}, at);
    return in_range(row, number) && !(number == 0 && (zero_is_refused(row) || can_be_off(row)));
}

static bool read_string(const fcl_option *row, const char *text, const char **at, fcl_arena *strings)
{
    if (row->choice) {
        for (int i = 0; row->choice(i); i++)
            if (!strcmp(row->choice(i), text))
                return *at = row->choice(i), true;
        return false;
    }
    /* "" and no string are the same, so that text can express both. */
    *at = !*text ? NULL : strings ? fcl_arena_format(strings, "%s", text) : text;
    return true;
}

static int refuse(const fcl_option *row, const char *text)
{
    fcl_text expected = {0};
    fcl_option_expected(row, &expected);
    if (row->type == FCL_OPTION_STRING && row->choice) {
        const char *names[64];
        int count = 0;
        while (count < 64 && (names[count] = row->choice(count)))
            count++;
        const char *nearest = fcl_nearest(text, names, count);
        if (nearest)
            fcl_text_format(&expected, "; did you mean \"%s\"?", nearest);
    }
    int status = fcl_fail(FCL_ERR_ARGUMENT, "\"%.200s\" is not usable: expected %s", text, expected.data);
    fcl_text_free(&expected);
    return status;
}

int fcl_option_read(const fcl_option *row, void *values, const char *text, fcl_arena *strings)
{
    /* Read aside: a refused text leaves the old value. */
    union {
        int64_t integer;
        double real;
        const char *string;
    } fresh = {0};
    static const size_t sizes[] = {
        [FCL_OPTION_INT] = sizeof(int),           [FCL_OPTION_INT64] = sizeof(int64_t),
        [FCL_OPTION_UINT64] = sizeof(uint64_t),   [FCL_OPTION_FLOAT] = sizeof(float),
        [FCL_OPTION_DOUBLE] = sizeof(double),     [FCL_OPTION_BOOL] = sizeof(bool),
        [FCL_OPTION_TOGGLE] = sizeof(fcl_toggle), [FCL_OPTION_STRING] = sizeof(char *),
    };
    bool read;
    if (row->type == FCL_OPTION_STRING)
        read = read_string(row, text, &fresh.string, strings);
    else if (fcl_option_is_yes_no(row))
        read = read_yes_no(row, text, &fresh);
    else
        read = read_number(row, text, &fresh);
    if (!read)
        return refuse(row, text);
    memcpy(member(row, values), &fresh, sizes[row->type]);
    return FCL_OK;
}

/* --- writing and checking --- */

static char *zero_text(const fcl_option *row)
{
    if (row->fallback)
        return fcl_strdup(row->fallback);
    if (row->type == FCL_OPTION_STRING)
        return fcl_strdup("");
    return fcl_strdup(fcl_option_is_yes_no(row) ? "no" : "0");
}

char *fcl_option_text(const fcl_option *row, const void *values)
{
    const void *at = member(row, values);
    char number[FCL_NUMBER_TEXT];
    if (fcl_option_is_zero(row, values))
        return zero_text(row);
    if (row->type == FCL_OPTION_STRING)
        return fcl_strdup(*(const char *const *)at);
    if (fcl_option_is_yes_no(row))
        return fcl_strdup(number_of(row, values) > 0 ? "yes" : "no");
    if (can_be_off(row) && number_of(row, values) == FCL_OFF)
        return fcl_strdup("off");
    if (row->type == FCL_OPTION_UINT64)
        return fcl_format("%llu", (unsigned long long)*(const uint64_t *)at);
    if (row->type == FCL_OPTION_INT64)
        return fcl_format("%lld", (long long)*(const int64_t *)at);
    if (row->type == FCL_OPTION_INT)
        return fcl_format("%d", *(const int *)at);
    fcl_number_text(number_of(row, values), row->type == FCL_OPTION_FLOAT, number);
    return fcl_strdup(number);
}

static bool is_allowed(const fcl_option *row, const void *values)
{
    if (fcl_option_is_zero(row, values))
        return true;
    double number = number_of(row, values);
    if (row->type == FCL_OPTION_STRING) {
        const char *name;
        return !row->choice || read_string(row, *(const char **)member(row, values), &name, NULL);
    }
    if (row->type == FCL_OPTION_TOGGLE)
        return number == FCL_ON || number == FCL_OFF;
    return isfinite(number) && (in_range(row, number) || (can_be_off(row) && number == FCL_OFF));
}

int fcl_options_check(const fcl_option *table, const void *values)
{
    for (const fcl_option *row = table; row->key; row++) {
        if (is_allowed(row, values))
            continue;
        char *text = fcl_option_text(row, values);
        int status = refuse(row, text);
        fcl_free(text);
        return fcl_fail_within(status, "%s", row->key);
    }
    return FCL_OK;
}

void fcl_options_defaults(const fcl_option *table, void *values)
{
    for (const fcl_option *row = table; row->key; row++) {
        if (row->fallback && fcl_option_is_zero(row, values)) {
            int status = fcl_option_read(row, values, row->fallback, NULL);
            assert(status == FCL_OK);
            (void)status;
        }
    }
}
