#include "flow/choice.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/option_value.h"
#include <flowcl/flow.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int find_row(const fcl_choice_table *table, const char *text, size_t length)
{
    for (int i = 0; table->name(i); i++)
        if (strlen(table->name(i)) == length && !strncmp(table->name(i), text, length))
            return i;
    return FCL_CHOICE_FORMULA;
}

/* The end of an argument: the comma or parenthesis that belongs to no call inside it. */
static const char *argument_end(const char *at)
{
    int depth = 0;
    for (; *at && (depth || (*at != ',' && *at != ')')); at++)
        depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
    return at;
}

static int read_argument(const char *begin, const char *end, double *value)
{
    static const char *const no_variables[] = {NULL};
    char *text = fcl_format("%.*s", (int)(end - begin), begin);
    fcl_expression *expression;
    int status = fcl_expression_parse(text, no_variables, NULL, &expression);
    if (status == FCL_OK)
        *value = fcl_expression_value(expression, NULL);
    fcl_expression_destroy(&expression);
    free(text);
    return status;
}

/* `at` stands behind the opening parenthesis. */
static int read_arguments(const fcl_choice_table *table, const char *text, const char *at, fcl_choice *choice)
{
    for (int i = 0;; i++) {
        const char *end = argument_end(at);
        if (!*end)
            return fcl_fail(FCL_ERR_ARGUMENT, "\"%.200s\" is not usable: its ) is missing", text);
        if (!choice->parameter[i].name)
            return fcl_fail(FCL_ERR_ARGUMENT, "\"%.200s\" is not usable: %s takes %s", text,
                            table->name(choice->index),
                            i == 0   ? "no parameter"
                            : i == 1 ? "one parameter"
                                     : "two parameters");
        int status = read_argument(at, end, &choice->parameter[i].value);
        if (status != FCL_OK)
            return fcl_fail_within(status, "\"%.200s\" is not usable", text);
        at = end + 1;
        if (*end == ')')
            break;
    }
    if (*at)
        return fcl_fail(FCL_ERR_ARGUMENT, "\"%.200s\" is not usable: \"%.20s\" stands behind its )", text,
                        at);
    return FCL_OK;
}

static int check_range(const fcl_choice_table *table, const fcl_choice *choice)
{
    const fcl_choice_parameter *row = table->parameters(choice->index);
    for (int i = 0; i < FCL_CHOICE_PARAMETERS && row && row[i].name; i++) {
        double value = choice->parameter[i].value;
        if (isnan(value) && isnan(row[i].fallback))
            return fcl_fail(FCL_ERR_ARGUMENT, "the %s %s needs its parameter %s: %s(%s), between %g and %g",
                            table->what, table->name(choice->index), row[i].name, table->name(choice->index),
                            row[i].name, row[i].minimum, row[i].maximum);
        if (!(value >= row[i].minimum && value <= row[i].maximum))
            return fcl_fail(FCL_ERR_ARGUMENT, "the %s %s takes %s between %g and %g, not %g", table->what,
                            table->name(choice->index), row[i].name, row[i].minimum, row[i].maximum, value);
    }
    return FCL_OK;
}

static void take_defaults(const fcl_choice_table *table, fcl_choice *choice)
{
    const fcl_choice_parameter *row = table->parameters(choice->index);
    for (int i = 0; i < FCL_CHOICE_PARAMETERS && row && row[i].name; i++)
        choice->parameter[i] = (fcl_parameter){row[i].name, row[i].fallback};
}

static int take_beside(const fcl_choice_table *table, const fcl_parameter *beside, fcl_choice *choice)
{
    const fcl_choice_parameter *row = table->parameters(choice->index);
    int i = 0;
    while (choice->parameter[i].name && strcmp(choice->parameter[i].name, beside->name))
        i++;
    if (!choice->parameter[i].name)
        return fcl_fail(FCL_ERR_ARGUMENT, "the %s %s has no %s: %g has no use with it", table->what,
                        table->name(choice->index), beside->name, beside->value);
    double *value = &choice->parameter[i].value;
    if (!isnan(*value) && *value != row[i].fallback && *value != beside->value)
        return fcl_fail(FCL_ERR_ARGUMENT, "the %s %s is given %s twice, as %g and as %g", table->what,
                        table->name(choice->index), beside->name, *value, beside->value);
    *value = beside->value;
    return FCL_OK;
}

int fcl_choice_read(const fcl_choice_table *table, const char *text, const fcl_parameter *beside,
                    fcl_choice *choice)
{
    const fcl_option as_option = {.type = FCL_OPTION_STRING, .choice = table->name};
    *choice = (fcl_choice){0};
    if (!text)
        text = table->name(0);
    size_t length = strcspn(text, "(");
    choice->index = find_row(table, text, length);
    if (choice->index == FCL_CHOICE_FORMULA) {
        return table->formulas && !fcl_word_is_plain(text)
                   ? FCL_OK
                   : fcl_fail_within(fcl_option_refuse(&as_option, text), "%s", table->what);
    }
    take_defaults(table, choice);
    if (text[length])
        FCL_TRY(read_arguments(table, text, text + length + 1, choice));
    if (beside && beside->value != 0)
        FCL_TRY(take_beside(table, beside, choice));
    return check_range(table, choice);
}

const char *fcl_formula_function(int index)
{
    return fcl_expression_function(index);
}

char *fcl_choice_text(const fcl_choice_table *table, const fcl_choice *choice)
{
    fcl_text text = {0};
    fcl_text_add(&text, table->name(choice->index));
    for (int i = 0; choice->parameter[i].name; i++) {
        char number[FCL_NUMBER_TEXT];
        fcl_number_text(choice->parameter[i].value, false, number);
        fcl_text_format(&text, "%s%s = %s", i ? ", " : "(", choice->parameter[i].name, number);
    }
    fcl_text_add(&text, choice->parameter[0].name ? ")" : "");
    return text.data;
}
