/* Text to formula, by recursive descent:
 *     sum     = product { (+ | -) product }
 *     product = sign { (* | /) sign }
 *     sign    = (- | +) sign | power
 *     power   = atom [ ^ sign ]
 *     atom    = number | name | function ( sum { , sum } ) | ( sum ) */
#include "base/expression_term.h"

#include "base/error.h"
#include <flowcl/options.h>
#include <flowcl/text.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEEPEST = 64, /* parentheses, signs and powers in one another */
    HEAVIEST = 256, /* by the weights of its terms: with its derivative about a second to compile */
    MOST_NAMES = 64
};

typedef struct parser {
    const char *text, *at;
    const char *const *variables;
    const fcl_parameter *parameters;
    fcl_arena *arena;
    int depth, weight;
    int status; /* of the first mistake; parsing then runs on to nowhere */
} parser;

static const struct {
    const char *name;
    double value;
} constants[] = {{"pi", 3.14159265358979323846}, {"e", 2.71828182845904523536}};
enum { CONSTANTS = sizeof constants / sizeof *constants };

/* What stands for a term after a mistake. */
static const fcl_term nothing = {.op = FCL_EXPRESSION_NUMBER};

static const fcl_term *parse_sum(parser *p);
static const fcl_term *parse_sign(parser *p);

static const fcl_term *fail_at(parser *p, const char *at, const char *what)
{
    if (p->status == FCL_OK)
        p->status =
            fcl_fail(FCL_ERR_ARGUMENT, "\"%.300s\", column %d: %s", p->text, (int)(at - p->text) + 1, what);
    p->at = p->text + strlen(p->text);
    return &nothing;
}

static const fcl_term *fail_expected(parser *p, const char *what)
{
    char *sentence = *p->at ? fcl_format("expected %s, not '%.1s'", what, p->at)
                            : fcl_format("expected %s, but the text ends", what);
    const fcl_term *term = fail_at(p, p->at, sentence);
    free(sentence);
    return term;
}

static void skip_blanks(parser *p)
{
    p->at += strspn(p->at, " \t\r\n");
}

/* Whether the next character is `c`; it is taken. */
static bool take(parser *p, char c)
{
    skip_blanks(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static const fcl_term *make3(parser *p, fcl_expression_op op, const fcl_term *a, const fcl_term *b,
                             const fcl_term *c)
{
    p->weight += fcl_term_weight(op, b);
    if (p->weight > HEAVIEST)
        return fail_at(p, p->at, "the formula is too long: its kernel would take more than a second to compile");
    return p->status ? &nothing : fcl_term_make(p->arena, op, a, b, c);
}

static const fcl_term *make(parser *p, fcl_expression_op op, const fcl_term *a, const fcl_term *b)
{
    return make3(p, op, a, b, NULL);
}

/* --- numbers and names --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int number_length(const char *at)
{
    int length = (int)strspn(at, "0123456789.");
    if (at[length] == 'e' || at[length] == 'E') {
        int sign = at[length + 1] == '-' || at[length + 1] == '+';
        int digits = (int)strspn(at + length + 1 + sign, "0123456789");
        length += digits ? 1 + sign + digits : 0;
    }
    return length;
}

static const fcl_term *parse_number(parser *p)
{
    const char *begin = p->at;
    int length = number_length(begin);
    char *digits = fcl_format("%.*s", length, begin), *end;
    double value = fcl_strtod(digits, &end);
    bool usable = !*end && end != digits && isfinite(value);
    free(digits);
    if (!usable)
        return fail_at(p, begin, "not a number");
    p->at += length;
    return fcl_term_number(p->arena, value);
}

static bool is_called(const char *name, const char *text, int length)
{
    return name && !strncmp(name, text, (size_t)length) && !name[length];
}

static fcl_expression_op find_function(const char *text, int length)
{
    fcl_expression_op op = FCL_EXPRESSION_NUMBER;
    while (op < FCL_EXPRESSION_OPS && !is_called(fcl_term_function(op), text, length))
        op++;
    return op;
}

static const fcl_term *fail_unknown(parser *p, const char *text, int length)
{
    const char *names[MOST_NAMES];
    int count = 0;
    for (int i = 0; p->variables[i] && count < MOST_NAMES; i++)
        names[count++] = p->variables[i];
    for (int i = 0; p->parameters && p->parameters[i].name && count < MOST_NAMES; i++)
        names[count++] = p->parameters[i].name;
    for (int op = 0; op < FCL_EXPRESSION_OPS && count < MOST_NAMES; op++)
        if (fcl_term_function((fcl_expression_op)op))
            names[count++] = fcl_term_function((fcl_expression_op)op);
    fcl_text sentence = {0};
    char *name = fcl_format("%.*s", length > 80 ? 80 : length, text);
    const char *nearest = fcl_nearest(name, names, count);
    fcl_text_format(&sentence, "\"%s\" is not known here", name);
    if (nearest)
        fcl_text_format(&sentence, "; did you mean \"%s\"?", nearest);
    else if (p->variables[0])
        fcl_text_format(&sentence, "; the variables are %s", p->variables[0]);
    for (int i = 1; !nearest && p->variables[0] && p->variables[i]; i++)
        fcl_text_format(&sentence, ", %s", p->variables[i]);
    const fcl_term *term = fail_at(p, text, sentence.data);
    fcl_text_free(&sentence);
    free(name);
    return term;
}

static const fcl_term *parse_call(parser *p, fcl_expression_op op)
{
    const fcl_term *part[3] = {NULL};
    int count = fcl_term_parts(op);
    if (!take(p, '('))
        return fail_expected(p, "( after a function's name");
    for (int i = 0; i < count; i++) {
        part[i] = parse_sum(p);
        if (!take(p, i + 1 < count ? ',' : ')'))
            return fail_expected(p, i + 1 < count ? "a comma and the function's next argument"
                                                  : ") after the function's last argument");
    }
    return make3(p, op, part[0], part[1], part[2]);
}

static const fcl_term *parse_name(parser *p)
{
    const char *name = p->at;
    int length = 0;
    while (is_letter(name[length]) || is_digit(name[length]))
        length++;
    p->at += length;
    for (int i = 0; p->variables[i]; i++)
        if (is_called(p->variables[i], name, length))
            return fcl_term_variable(p->arena, i);
    for (int i = 0; p->parameters && p->parameters[i].name; i++)
        if (is_called(p->parameters[i].name, name, length))
            return fcl_term_number(p->arena, p->parameters[i].value);
    for (int i = 0; i < CONSTANTS; i++)
        if (is_called(constants[i].name, name, length))
            return fcl_term_number(p->arena, constants[i].value);
    fcl_expression_op op = find_function(name, length);
    return op < FCL_EXPRESSION_OPS ? parse_call(p, op) : fail_unknown(p, name, length);
}

/* --- the grammar --- */

static const fcl_term *parse_atom(parser *p)
{
    skip_blanks(p);
    if (is_digit(*p->at) || *p->at == '.')
        return parse_number(p);
    if (is_letter(*p->at))
        return parse_name(p);
    if (!take(p, '('))
        return fail_expected(p, "a number, a name or (");
    const fcl_term *inside = parse_sum(p);
    return take(p, ')') ? inside : fail_expected(p, "an operator or )");
}

static const fcl_term *parse_power(parser *p)
{
    const fcl_term *base = parse_atom(p);
    return take(p, '^') ? make(p, FCL_EXPRESSION_POW, base, parse_sign(p)) : base;
}

static const fcl_term *parse_sign(parser *p)
{
    if (++p->depth > DEEPEST)
        return fail_at(p, p->at, "the formula is nested too deeply");
    const fcl_term *term;
    if (take(p, '-'))
        term = make(p, FCL_EXPRESSION_NEG, parse_sign(p), NULL);
    else
        term = take(p, '+') ? parse_sign(p) : parse_power(p);
    p->depth--;
    return term;
}

static const fcl_term *parse_product(parser *p)
{
    const fcl_term *term = parse_sign(p);
    for (;;)
        if (take(p, '*'))
            term = make(p, FCL_EXPRESSION_MUL, term, parse_sign(p));
        else if (take(p, '/'))
            term = make(p, FCL_EXPRESSION_DIV, term, parse_sign(p));
        else
            return term;
}

static const fcl_term *parse_sum(parser *p)
{
    const fcl_term *term = parse_product(p);
    for (;;)
        if (take(p, '+'))
            term = make(p, FCL_EXPRESSION_ADD, term, parse_product(p));
        else if (take(p, '-'))
            term = make(p, FCL_EXPRESSION_SUB, term, parse_product(p));
        else
            return term;
}

/* One formula from where the parser stands, as a new expression; NULL after a mistake. */
static fcl_expression *parse_expression(parser *p)
{
    fcl_expression *made = fcl_expression_create(p->variables);
    p->arena = &made->arena;
    p->weight = 0;
    const fcl_term *root = parse_sum(p);
    if (p->status)
        fcl_expression_destroy(&made);
    else
        fcl_expression_finish(made, root);
    return made;
}

int fcl_expression_parse(const char *text, const char *const *variables, const fcl_parameter *parameters,
                         fcl_expression **expression)
{
    parser p = {.text = text, .at = text, .variables = variables, .parameters = parameters};
    *expression = parse_expression(&p);
    skip_blanks(&p);
    if (*p.at)
        fail_expected(&p, "an operator or the end");
    if (p.status)
        fcl_expression_destroy(expression);
    return p.status;
}

/* --- lists: "alpha = t, sigma = 1 - t" --- */

static int find_key(parser *p, const char *const *keys)
{
    const char *name = p->at;
    int length = 0, i = 0;
    while (is_letter(name[length]) || is_digit(name[length]))
        length++;
    while (keys[i] && !is_called(keys[i], name, length))
        i++;
    if (keys[i])
        p->at += length;
    return i;
}

static void parse_pair(parser *p, const char *const *keys, fcl_expression **expressions)
{
    skip_blanks(p);
    const char *begin = p->at;
    int i = find_key(p, keys);
    char *sentence = NULL;
    if (!keys[i])
        sentence = fcl_format("expected \"%s = ...\"", keys[0]);
    else if (expressions[i])
        sentence = fcl_format("\"%s\" is given a second time", keys[i]);
    if (sentence)
        fail_at(p, begin, sentence);
    else if (!take(p, '='))
        fail_expected(p, "=");
    else
        expressions[i] = parse_expression(p);
    free(sentence);
}

int fcl_expression_parse_list(const char *text, const char *const *keys, const char *const *variables,
                              const fcl_parameter *parameters, fcl_expression **expressions)
{
    parser p = {.text = text, .at = text, .variables = variables, .parameters = parameters};
    for (int i = 0; keys[i]; i++)
        expressions[i] = NULL;
    do
        parse_pair(&p, keys, expressions);
    while (take(&p, ','));
    if (*p.at)
        fail_expected(&p, "an operator, a comma or the end");
    for (int i = 0; keys[i] && !p.status; i++)
        if (!expressions[i])
            p.status = fcl_fail(FCL_ERR_ARGUMENT, "\"%.300s\" lacks \"%s = ...\"", text, keys[i]);
    for (int i = 0; keys[i] && p.status; i++)
        fcl_expression_destroy(&expressions[i]);
    return p.status;
}
