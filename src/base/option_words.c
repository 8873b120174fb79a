/* What is told of an option: in its help, and where a value is refused. */
#include "base/option_value.h"

#include "base/error.h"
#include "base/nearest.h"
#include <math.h>

/* "1 to 100" with `from` before it, "above 0", "at least 1" */
static void add_range(const fcl_option *row, const char *from, fcl_text *text)
{
    char minimum[FCL_NUMBER_TEXT], maximum[FCL_NUMBER_TEXT];
    bool not_zero = row->minimum == 0 && (fcl_option_can_be_off(row) || fcl_option_refuses_zero(row));
    bool above = not_zero && fcl_option_is_real(row);
    fcl_number_text(not_zero && !above ? 1 : row->minimum, row->type == FCL_OPTION_FLOAT, minimum);
    fcl_number_text(row->maximum, row->type == FCL_OPTION_FLOAT, maximum);
    if (isinf(row->maximum))
        fcl_text_format(text, "%s %s", above ? "above" : "at least", minimum);
    else if (above)
        fcl_text_format(text, "above 0, at most %s", maximum);
    else
        fcl_text_format(text, "%s%s to %s", from, minimum, maximum);
}

static void add_choices(const fcl_option *row, fcl_text *text)
{
    for (int i = 0; row->choice(i); i++)
        fcl_text_format(text, "%s%s", i ? ", " : "", row->choice(i));
}

void fcl_option_describe(const fcl_option *row, bool with_default, fcl_text *text)
{
    fcl_text facts = {0};
    fcl_text_add(&facts, "");
    fcl_text_add(text, row->help ? row->help : "");
    if (row->choice && !(with_default && row->choice_help)) {
        fcl_text_add(text, ": ");
        add_choices(row, text);
    }
    if (with_default && row->flags & FCL_OPTION_REQUIRED)
        fcl_text_add(&facts, "; required");
    if (with_default && row->fallback && row->type != FCL_OPTION_BOOL)
        fcl_text_format(&facts, "; default %s", row->fallback);
    if (fcl_option_has_range(row)) {
        fcl_text_add(&facts, "; ");
        add_range(row, "", &facts);
    }
    if (fcl_option_can_be_off(row))
        fcl_text_add(&facts, fcl_option_has_range(row) ? ", or off" : "; or off");
    if (facts.length)
        fcl_text_format(text, " (%s)", facts.data + 2);
    fcl_text_free(&facts);
}

/* "a whole number from 1 to 100, or off", "one of euler, heun" */
static void add_expected(const fcl_option *row, fcl_text *text)
{
    if (fcl_option_is_yes_no(row)) {
        fcl_text_add(text, "yes or no");
    } else if (row->type == FCL_OPTION_STRING) {
        fcl_text_add(text, row->choice ? "one of " : "a text");
        if (row->choice)
            add_choices(row, text);
        if (row->flags & FCL_OPTION_FORMULA)
            fcl_text_add(text, ", or a formula (a name alone in parentheses)");
        if (row->flags & FCL_OPTION_PARAMETERS)
            fcl_text_add(text, ", or one with numbers in parentheses");
    } else {
        fcl_text_add(text, fcl_option_is_real(row) ? "a number" : "a whole number");
        if (fcl_option_has_range(row)) {
            fcl_text_add(text, " ");
            add_range(row, "from ", text);
        }
        if (fcl_option_refuses_zero(row) && (row->minimum < 0 || !fcl_option_has_range(row)))
            fcl_text_add(text, ", not 0");
        if (fcl_option_can_be_off(row))
            fcl_text_add(text, ", or off");
    }
}

int fcl_option_refuse(const fcl_option *row, const char *text)
{
    fcl_text expected = {0};
    add_expected(row, &expected);
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
