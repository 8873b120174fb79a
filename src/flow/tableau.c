/* The Runge-Kutta methods. A new one is a new row; test_flow.c measures every row's orders. */
#include "flow/flow.h"

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

/* clang-format off */
static const fcl_tableau tableaux[] = {
    {"euler", .stages = 1, .order = 1,
     .a = NULL,
     .b = NUMBERS(1),
     .c = NUMBERS(0),
     .help = "first order, one evaluation a step"},

    {"midpoint", .stages = 2, .order = 2,
     .a = NUMBERS(1. / 2),
     .b = NUMBERS(0, 1),
     .c = NUMBERS(0, 1. / 2),
     .help = "second order, two evaluations a step"},

    {"heun", .stages = 2, .order = 2,
     .a = NUMBERS(1),
     .b = NUMBERS(1. / 2, 1. / 2),
     .c = NUMBERS(0, 1),
     .help = "second order, two evaluations a step: the trapezoidal rule, explicit"},

    {"rk4", .stages = 4, .order = 4,
     .a = NUMBERS(1. / 2,
                  0, 1. / 2,
                  0, 0, 1),
     .b = NUMBERS(1. / 6, 1. / 3, 1. / 3, 1. / 6),
     .c = NUMBERS(0, 1. / 2, 1. / 2, 1),
     .help = "fourth order, four evaluations a step: the classical method"},

    /* Dormand and Prince, "A family of embedded Runge-Kutta formulae", 1980: RK5(4)7M */
    {"dopri5", .stages = 7, .order = 5, .estimate_order = 4, .fsal = true,
     .a = NUMBERS(1. / 5,
                  3. / 40, 9. / 40,
                  44. / 45, -56. / 15, 32. / 9,
                  19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729,
                  9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656,
                  35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84),
     .b = NUMBERS(35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84, 0),
     .c = NUMBERS(0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1),
     .b_error = NUMBERS(71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40),
     .help = "fifth order, adaptive: each sample takes the steps that its tolerance needs"},
};
/* clang-format on */
enum { COUNT = sizeof tableaux / sizeof *tableaux };

const char *fcl_solver_name(int index)
{
    return index >= 0 && index < COUNT ? tableaux[index].name : NULL;
}

const char *fcl_solver_help(int index)
{
    return index >= 0 && index < COUNT ? tableaux[index].help : NULL;
}

const fcl_tableau *fcl_tableau_find(const char *name)
{
    int index = fcl_row_index(fcl_solver_name, name);
    return index < 0 ? NULL : &tableaux[index];
}

bool fcl_solver_is_adaptive(const char *name)
{
    const fcl_tableau *tableau = fcl_tableau_find(name);
    return tableau && tableau->b_error;
}
