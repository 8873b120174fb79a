/* Formula to text, with the parentheses that reading it back needs. */
#include "base/expression_term.h"
#include "base/option_value.h"

#include <math.h>
#include <stdlib.h>

/* How tightly a term holds together: a looser one inside a tighter one stands in parentheses. */
enum { SUM = 1, PRODUCT, SIGN, POWER, ATOM };

/* A small multiple of pi/2 is written as one: 3 for 3 pi/2; 0: it is none. */
static int halves_of_pi(double number)
{
    const double half = acos(0);
    double count = nearbyint(number / half);
    return fabs(count) <= 16 && count * half == number ? (int)count : 0;
}

static int tightness(const fcl_term *term)
{
    switch (term->op) {
    case FCL_EXPRESSION_ADD:
    case FCL_EXPRESSION_SUB:
        return SUM;
    case FCL_EXPRESSION_MUL:
    case FCL_EXPRESSION_DIV:
        return PRODUCT;
    case FCL_EXPRESSION_NEG:
        return SIGN;
    case FCL_EXPRESSION_POW:
        return POWER;
    case FCL_EXPRESSION_NUMBER:
        return halves_of_pi(term->number) ? PRODUCT : term->number < 0 ? SIGN : ATOM;
    default:
        return ATOM;
    }
}

static void add_term(fcl_text *text, char *const *variables, const fcl_term *term, int least);

static void add_number(fcl_text *text, double number)
{
    char digits[FCL_NUMBER_TEXT];
    int halves = halves_of_pi(number);
    fcl_number_text(halves % 2 ? halves : halves ? halves / 2 : number, false, digits);
    if (halves == 2 || halves == 1)
        fcl_text_add(text, "pi");
    else
        fcl_text_format(text, halves ? "%s*pi" : "%s", digits);
    fcl_text_add(text, halves % 2 ? "/2" : "");
}

static void add_infix(fcl_text *text, char *const *variables, const fcl_term *term, const char *sign,
                      int left, int right)
{
    add_term(text, variables, term->part[0], left);
    fcl_text_add(text, sign);
    add_term(text, variables, term->part[1], right);
}

static void add_call(fcl_text *text, char *const *variables, const fcl_term *term)
{
    fcl_text_format(text, "%s(", fcl_term_function(term->op));
    for (int i = 0; i < fcl_term_parts(term->op); i++) {
        fcl_text_add(text, i ? ", " : "");
        add_term(text, variables, term->part[i], SUM);
    }
    fcl_text_add(text, ")");
}

static void add_bare(fcl_text *text, char *const *variables, const fcl_term *term)
{
    switch (term->op) {
    case FCL_EXPRESSION_NUMBER:
        add_number(text, term->number);
        break;
    case FCL_EXPRESSION_VARIABLE:
        fcl_text_add(text, variables[term->variable]);
        break;
    case FCL_EXPRESSION_ADD:
        add_infix(text, variables, term, " + ", SUM, PRODUCT);
        break;
    case FCL_EXPRESSION_SUB:
        add_infix(text, variables, term, " - ", SUM, PRODUCT);
        break;
    case FCL_EXPRESSION_MUL:
        add_infix(text, variables, term, "*", PRODUCT, SIGN);
        break;
    case FCL_EXPRESSION_DIV:
        add_infix(text, variables, term, "/", PRODUCT, SIGN);
        break;
    case FCL_EXPRESSION_POW:
        add_infix(text, variables, term, "^", ATOM, POWER);
        break;
    case FCL_EXPRESSION_NEG:
        fcl_text_add(text, "-");
        add_term(text, variables, term->part[0], SIGN);
        break;
    default:
        add_call(text, variables, term);
    }
}

static void add_term(fcl_text *text, char *const *variables, const fcl_term *term, int least)
{
    bool loose = tightness(term) < least;
    fcl_text_add(text, loose ? "(" : "");
    add_bare(text, variables, term);
    fcl_text_add(text, loose ? ")" : "");
}

char *fcl_expression_text(const fcl_expression *expression)
{
    fcl_text text = {0};
    fcl_text_add(&text, "");
    add_term(&text, expression->variables, fcl_expression_root(expression), SUM);
    return text.data;
}
