#include "base/option_value.h"

#include "base/error.h"

#include <flowcl/text.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Room for a value of any type. */
typedef union option_value {
    int64_t integer;
    double real;
    const char *string;
} option_value;

static void *member(const fcl_option *row, const void *values)
{
    return (char *)values + row->offset;
}

bool fcl_option_is_yes_no(const fcl_option *row)
{
    return row->type == FCL_OPTION_BOOL || row->type == FCL_OPTION_TOGGLE;
}

bool fcl_option_is_real(const fcl_option *row)
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

/* "1e+09" to "1e9", "1e-08" to "1e-8". */
static void shorten_exponent(char *text)
{
    char *to = strchr(text, 'e');
    if (!to)
        return;
    const char *from = ++to;
    if (*from == '-')
        to++;
    from += strspn(from, "+-0");
    memmove(to, from, strlen(from) + 1);
}

void fcl_number_text(double number, bool single, char *text)
{
    int most = single ? 9 : 17; /* digits that always suffice */
    int digits = 1;
    for (; digits <= most; digits++) {
        fcl_snprintf(text, FCL_NUMBER_TEXT, "%.*g", digits, number);
        if (single ? fcl_strtof(text, NULL) == (float)number : fcl_strtod(text, NULL) == number)
            break;
    }
    while (fabs(number) >= 1 && fabs(number) < 1e7 && strchr(text, 'e')) /* 100 rather than 1e2 */
        fcl_snprintf(text, FCL_NUMBER_TEXT, "%.*g", ++digits, number);
    shorten_exponent(text);
}

/* Decimal only: "inf", "nan", hexadecimal and surrounding blanks are no numbers of an option. */
static bool read_real(const char *text, bool single, double *number)
{
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    char *end;
    *number = single ? fcl_strtof(text, &end) : fcl_strtod(text, &end);
    return end != text && !*end && isfinite(*number);
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
    case FCL_OPTION_UINT64:
        *(uint64_t *)at = (uint64_t)number;
        break;
    default:
        break; /* not a number */
    }
}

/* "1e6" is a whole number, too, as far as double precision is exact. */
static bool read_power(const fcl_option *row, const char *text, void *at)
{
    double number;
    if (!read_real(text, false, &number) || number != floor(number) || fabs(number) > 9007199254740992.0)
        return false;
    if (row->type == FCL_OPTION_INT && (number < INT_MIN || number > INT_MAX))
        return false;
    if (row->type == FCL_OPTION_UINT64 && number < 0)
        return false;
    store_number(row, number, at);
    return true;
}

static bool read_integer(const fcl_option *row, const char *text, void *at)
{
    if (strpbrk(text, "eE"))
        return read_power(row, text, at);
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

/* --- what is allowed --- */

bool fcl_option_has_range(const fcl_option *row)
{
    return row->minimum != 0 || row->maximum != 0;
}

static bool in_range(const fcl_option *row, double number)
{
    if (!fcl_option_has_range(row))
        return true;
    if (row->type == FCL_OPTION_FLOAT) /* a bound of 0.999 is a little less than 0.999f */
        return number >= (float)row->minimum && number <= (float)row->maximum;
    return number >= row->minimum && number <= row->maximum;
}

bool fcl_option_can_be_off(const fcl_option *row)
{
    return row->flags & FCL_OPTION_CAN_BE_OFF;
}

/* 0 in the struct means the default, so as a wish of its own it must be told apart or be refused. */
bool fcl_option_refuses_zero(const fcl_option *row)
{
    double fallback = 0;
    return row->fallback && row->type != FCL_OPTION_STRING && !fcl_option_can_be_off(row) &&
           read_real(row->fallback, false, &fallback) && fallback != 0;
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

static bool read_number(const fcl_option *row, const char *text, void *at)
{
    double number = 0;
    if (fcl_option_can_be_off(row) &&
        ((read_real(text, false, &number) && number == 0) || !strcasecmp(text, "off"))) {
        store_number(row, FCL_OFF, at);
        return true;
    }
    if (fcl_option_is_real(row)) {
        if (!read_real(text, row->type == FCL_OPTION_FLOAT, &number))
            return false;
        store_number(row, number, at);
    } else if (!read_integer(row, text, at)) {
        return false;
    }
    number = number_of(&(fcl_option){.type = row->type}, at);
    return in_range(row, number) &&
           !(number == 0 && (fcl_option_refuses_zero(row) || fcl_option_can_be_off(row)));
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool fcl_word_is_plain(const char *text)
{
    return strspn(text, LETTERS) >= 2 && !text[strspn(text, LETTERS "0123456789_-")];
}

static bool read_string(const fcl_option *row, const char *text, const char **at, fcl_arena *strings)
{
    *at = NULL; /* "" and no string are the same, so that text can express both */
    if (!*text)
        return !row->choice || !row->fallback;
    if (!row->choice || (row->flags & (FCL_OPTION_FORMULA | FCL_OPTION_PARAMETERS) && !fcl_word_is_plain(text)))
        return *at = strings ? fcl_arena_format(strings, "%s", text) : text, true;
    for (int i = 0; row->choice(i); i++)
        if (!strcmp(row->choice(i), text))
            return *at = row->choice(i), true;
    return false;
}

static const size_t sizes[] = {
    [FCL_OPTION_INT] = sizeof(int),           [FCL_OPTION_INT64] = sizeof(int64_t),
    [FCL_OPTION_UINT64] = sizeof(uint64_t),   [FCL_OPTION_FLOAT] = sizeof(float),
    [FCL_OPTION_DOUBLE] = sizeof(double),     [FCL_OPTION_BOOL] = sizeof(bool),
    [FCL_OPTION_TOGGLE] = sizeof(fcl_toggle), [FCL_OPTION_STRING] = sizeof(char *),
};

void fcl_option_clear(const fcl_option *row, void *values)
{
    memset(member(row, values), 0, sizes[row->type]);
}

int fcl_option_read(const fcl_option *row, void *values, const char *text, fcl_arena *strings)
{
    /* Read aside: a refused text leaves the old value. */
    option_value fresh = {0};
    bool read;
    if (row->type == FCL_OPTION_STRING)
        read = read_string(row, text, &fresh.string, strings);
    else if (fcl_option_is_yes_no(row))
        read = read_yes_no(row, text, &fresh);
    else
        read = read_number(row, text, &fresh);
    if (!read)
        return fcl_option_refuse(row, text);
    memcpy(member(row, values), &fresh, sizes[row->type]);
    return FCL_OK;
}

/* --- writing and checking --- */

/* The default, in the same spelling as any other value. */
static char *zero_text(const fcl_option *row)
{
    if (row->fallback) {
        fcl_option plain = *row;
        option_value fresh = {0};
        plain.offset = 0;
        if (fcl_option_read(&plain, &fresh, row->fallback, NULL) == FCL_OK &&
            !fcl_option_is_zero(&plain, &fresh))
            return fcl_option_text(&plain, &fresh);
    }
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
    if (fcl_option_can_be_off(row) && number_of(row, values) == FCL_OFF)
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
    return isfinite(number) && (in_range(row, number) || (fcl_option_can_be_off(row) && number == FCL_OFF));
}

int fcl_options_check(const fcl_option *table, const void *values)
{
    for (const fcl_option *given = table; given->key; given++) {
        fcl_option row;
        bool used = fcl_option_in_use(table, given, values, &row);
        if (!used && !fcl_option_is_zero(given, values))
            return fcl_option_refuse_unused(table, given, values);
        if (!used || is_allowed(&row, values))
            continue;
        char *text = fcl_option_text(&row, values);
        int status = fcl_option_refuse(&row, text);
        fcl_free(text);
        return fcl_fail_within(status, "%s", row.key);
    }
    return FCL_OK;
}

void fcl_options_defaults(const fcl_option *table, void *values)
{
    for (const fcl_option *given = table; given->key; given++) {
        fcl_option row;
        bool used = fcl_option_in_use(table, given, values, &row);
        bool known = used && row.fallback && !fcl_option_is_later(&row, values);
        if (known && fcl_option_is_zero(&row, values)) {
            int status = fcl_option_read(&row, values, row.fallback, NULL);
            assert(status == FCL_OK);
            (void)status;
        }
    }
}
