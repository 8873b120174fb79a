/* The solvers. A new Butcher tableau is a new row: test_tableau.c holds it to the order conditions, and
 * test_order.c measures its order on the device. */
#include "flow/flow.h"

#define NUMBERS(...) ((const double[]){__VA_ARGS__})
/* Adams and Bashforth need no table: adams.c computes the weights for whatever steps the grid has. */
#define ADAMS(count, method)                                                                                 \
    .stages = 1, .order = count, .b = NUMBERS(1), .c = NUMBERS(0), .adams = count, .starter = method

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

    {"heun2", .stages = 2, .order = 2, .careful = "midpoint",
     .a = NUMBERS(1),
     .b = NUMBERS(1. / 2, 1. / 2),
     .c = NUMBERS(0, 1),
     .help = "second order, two evaluations a step: the trapezoidal rule, explicit"},

    /* Ralston, "Runge-Kutta methods with minimum error bounds", 1962 */
    {"ralston", .stages = 2, .order = 2,
     .a = NUMBERS(2. / 3),
     .b = NUMBERS(1. / 4, 3. / 4),
     .c = NUMBERS(0, 2. / 3),
     .help = "second order, two evaluations a step: the least error term of its kind"},

    {"heun3", .stages = 3, .order = 3,
     .a = NUMBERS(1. / 3,
                  0, 2. / 3),
     .b = NUMBERS(1. / 4, 0, 3. / 4),
     .c = NUMBERS(0, 1. / 3, 2. / 3),
     .help = "third order, three evaluations a step"},

    {"rk4", .stages = 4, .order = 4, .careful = "heun3",
     .a = NUMBERS(1. / 2,
                  0, 1. / 2,
                  0, 0, 1),
     .b = NUMBERS(1. / 6, 1. / 3, 1. / 3, 1. / 6),
     .c = NUMBERS(0, 1. / 2, 1. / 2, 1),
     .help = "fourth order, four evaluations a step: the classical method"},

    {"rk4-38", .stages = 4, .order = 4, .careful = "heun3",
     .a = NUMBERS(1. / 3,
                  -1. / 3, 1,
                  1, -1, 1),
     .b = NUMBERS(1. / 8, 3. / 8, 3. / 8, 1. / 8),
     .c = NUMBERS(0, 1. / 3, 2. / 3, 1),
     .help = "fourth order, four evaluations a step: Kutta's 3/8 rule"},

    {"ab2", ADAMS(2, "midpoint"),
     .help = "second order, one evaluation a step: Adams-Bashforth, begun by midpoint"},

    {"ab3", ADAMS(3, "heun3"),
     .help = "third order, one evaluation a step: Adams-Bashforth, begun by heun3"},

    {"ab4", ADAMS(4, "rk4"), .careful = "heun3",
     .help = "fourth order, one evaluation a step: Adams-Bashforth, begun by rk4"},

    /* Weak orders, of the marginals. A step's noise is the same at all stages, as in a Stratonovich integral,
     * which for noise that does not depend on x is Ito's (Kloeden and Platen, "Numerical solution of stochastic
     * differential equations", 1992) */
    {"euler-maruyama", .stages = 1, .order = 1, .noise = true, .careful = "euler",
     .a = NULL,
     .b = NUMBERS(1),
     .c = NUMBERS(0),
     .help = "the SDE with the same marginals, first order, one evaluation a step; takes w"},

    {"stochastic-heun", .stages = 2, .order = 2, .noise = true, .careful = "midpoint",
     .a = NUMBERS(1),
     .b = NUMBERS(1. / 2, 1. / 2),
     .c = NUMBERS(0, 1),
     .help = "the SDE with the same marginals, second order, two evaluations a step; takes w"},

    {"adaptive-heun", .stages = 2, .order = 2, .estimate_order = 1,
     .a = NUMBERS(1),
     .b = NUMBERS(1. / 2, 1. / 2),
     .c = NUMBERS(0, 1),
     .b_error = NUMBERS(-1. / 2, 1. / 2),
     .help = "second order, adaptive: heun2 against euler"},

    /* Fehlberg, "Low-order classical Runge-Kutta formulas with stepsize control", 1969: RK1(2), going on with
     * the second order */
    {"fehlberg2", .stages = 3, .order = 2, .estimate_order = 1,
     .a = NUMBERS(1. / 2,
                  1. / 256, 255. / 256),
     .b = NUMBERS(1. / 512, 255. / 256, 1. / 512),
     .c = NUMBERS(0, 1. / 2, 1),
     .b_error = NUMBERS(-1. / 512, 0, 1. / 512),
     .help = "second order, adaptive, three evaluations a step"},

    /* Bogacki and Shampine, "A 3(2) pair of Runge-Kutta formulas", 1989 */
    {"bosh3", .stages = 4, .order = 3, .estimate_order = 2, .fsal = true,
     .a = NUMBERS(1. / 2,
                  0, 3. / 4,
                  2. / 9, 1. / 3, 4. / 9),
     .b = NUMBERS(2. / 9, 1. / 3, 4. / 9, 0),
     .c = NUMBERS(0, 1. / 2, 3. / 4, 1),
     .b_error = NUMBERS(-5. / 72, 1. / 12, 1. / 9, -1. / 8),
     .help = "third order, adaptive: for tolerances about 1e-3"},

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
     .help = "fifth order, adaptive: the usual choice"},

    /* Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
     * 2011 */
    {"tsit5", .stages = 7, .order = 5, .estimate_order = 4, .fsal = true,
     .a = NUMBERS(0.161,
                  -0.008480655492356989, 0.335480655492357,
                  2.8971530571054935, -6.359448489975075, 4.3622954328695815,
                  5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525,
                  5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401,
                      -0.028269050394068383,
                  0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
                      2.324710524099774),
     .b = NUMBERS(0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
                  2.324710524099774, 0),
     .c = NUMBERS(0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1),
     .b_error = NUMBERS(0.00178001105222577714, 0.0008164344596567469, -0.007880878010261995,
                        0.1447110071732629, -0.5823571654525552, 0.45808210592918697, -1. / 66),
     .help = "fifth order, adaptive: as dopri5, with a smaller error term"},

    /* Prince and Dormand, "High order embedded Runge-Kutta formulae", 1981: RK8(7)13M */
    {"dopri8", .stages = 13, .order = 8, .estimate_order = 7,
     .a = NUMBERS(1. / 18,
                  1. / 48, 1. / 16,
                  1. / 32, 0, 3. / 32,
                  5. / 16, 0, -75. / 64, 75. / 64,
                  3. / 80, 0, 0, 3. / 16, 3. / 20,
                  29443841. / 614563906, 0, 0, 77736538. / 692538347, -28693883. / 1125000000,
                      23124283. / 1800000000,
                  16016141. / 946692911, 0, 0, 61564180. / 158732637, 22789713. / 633445777,
                      545815736. / 2771057229, -180193667. / 1043307555,
                  39632708. / 573591083, 0, 0, -433636366. / 683701615, -421739975. / 2616292301,
                      100302831. / 723423059, 790204164. / 839813087, 800635310. / 3783071287,
                  246121993. / 1340847787, 0, 0, -37695042795. / 15268766246, -309121744. / 1061227803,
                      -12992083. / 490766935, 6005943493. / 2108947869, 393006217. / 1396673457,
                      123872331. / 1001029789,
                  -1028468189. / 846180014, 0, 0, 8478235783. / 508512852, 1311729495. / 1432422823,
                      -10304129995. / 1701304382, -48777925059. / 3047939560, 15336726248. / 1032824649,
                      -45442868181. / 3398467696, 3065993473. / 597172653,
                  185892177. / 718116043, 0, 0, -3185094517. / 667107341, -477755414. / 1098053517,
                      -703635378. / 230739211, 5731566787. / 1027545527, 5232866602. / 850066563,
                      -4093664535. / 808688257, 3962137247. / 1805957418, 65686358. / 487910083,
                  403863854. / 491063109, 0, 0, -5068492393. / 434740067, -411421997. / 543043805,
                      652783627. / 914296604, 11173962825. / 925320556, -13158990841. / 6184727034,
                      3936647629. / 1978049680, -160528059. / 685178525, 248638103. / 1413531060, 0),
     .b = NUMBERS(14005451. / 335480064, 0, 0, 0, 0, -59238493. / 1068277825, 181606767. / 758867731,
                  561292985. / 797845732, -1041891430. / 1371343529, 760417239. / 1151165299,
                  118820643. / 751138087, -528747749. / 2220607170, 1. / 4),
     .c = NUMBERS(0, 1. / 18, 1. / 12, 1. / 8, 5. / 16, 3. / 8, 59. / 400, 93. / 200,
                  5490023248. / 9719169821, 13. / 20, 1201146811. / 1299019798, 1, 1),
     .b_error = NUMBERS(14005451. / 335480064 - 13451932. / 455176623, 0, 0, 0, 0,
                        -59238493. / 1068277825 + 808719846. / 976000145,
                        181606767. / 758867731 - 1757004468. / 5645159321,
                        561292985. / 797845732 - 656045339. / 265891186,
                        -1041891430. / 1371343529 + 3867574721. / 1518517206,
                        760417239. / 1151165299 - 465885868. / 322736535,
                        118820643. / 751138087 - 53011238. / 667516719,
                        -528747749. / 2220607170 - 2. / 45, 1. / 4),
     .help = "eighth order, adaptive: for tolerances about 1e-6"},
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

bool fcl_solver_is_stochastic(const char *name)
{
    const fcl_tableau *tableau = fcl_tableau_find(name);
    return tableau && tableau->noise;
}

bool fcl_solver_is_adaptive(const char *name)
{
    const fcl_tableau *tableau = fcl_tableau_find(name);
    return tableau && tableau->b_error;
}

int fcl_solver_order(const char *name, int *estimate)
{
    const fcl_tableau *tableau = fcl_tableau_find(name);
    if (estimate)
        *estimate = tableau ? tableau->estimate_order : 0;
    return tableau ? tableau->order : 0;
}
