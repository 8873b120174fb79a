/* Numbers as text in locales with another decimal point: written and read as in C's own, everywhere on the
 * host. */
#include "foreign.h"
#include "scratch.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static uint64_t seed;

/* Random bits (splitmix64). */
static uint64_t bits(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double any_number(void)
{
    for (;;) {
        uint64_t pattern = bits();
        double number;
        memcpy(&number, &pattern, sizeof number);
        if (isfinite(number))
            return number;
    }
}

static void read_back(const char *path, char text[256])
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, 255, file)] = 0;
    fclose(file);
}

/* --- the functions themselves --- */

static void write_everyhow(double number, const char *wanted)
{
    char text[256];
    assert_int_equal(fcl_snprintf(text, sizeof text, "%.17g", number), strlen(wanted));
    assert_string_equal(text, wanted);
    FILE *file = fopen(scratch_path("number"), "wb");
    assert_int_equal(fcl_fprintf(file, "%.17g", number), strlen(wanted));
    fclose(file);
    read_back(scratch_path("number"), text);
    assert_string_equal(text, wanted);
}

static void numbers_have_a_point(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        char wanted[64], ours[64], *end;
        double number = any_number();
        float single = (float)(number / pow(2, ilogb(number)));
        snprintf(wanted, sizeof wanted, "%.17g", number);
        foreign_enter(i % FOREIGN_LOCALES);
        write_everyhow(number, wanted);
        assert_true(fcl_strtod(wanted, &end) == number);
        assert_int_equal(*end, 0);
        fcl_snprintf(wanted, sizeof wanted, "%.9g;", (double)single);
        assert_true(fcl_strtof(wanted, &end) == single);
        assert_int_equal(*end, ';');
        snprintf(ours, sizeof ours, "%.1f", 0.5);
        assert_null(strchr(ours, '.')); /* the caller's locale is as it was */
        foreign_leave();
    }
}

/* --- who writes and reads them --- */

static void errors_have_a_point(void)
{
    double *times;
    int count;
    assert_status(FCL_ERR_ARGUMENT, fcl_times_read("0,1.5,2", 0, 1.25, &times, &count));
    assert_told("1.5");
    assert_told("1.25");
}

static void formulas_have_a_point(void)
{
    fcl_array *x;
    double energy;
    assert_ok(fcl_array_create(FCL_SHAPE(1, 2), &x));
    x->data[0] = 3, x->data[1] = 0.5f;
    assert_ok(fcl_importance_energy("0.25*x1^2 + 1.5e-1*x2 + .125", x, &energy));
    assert_true(fabs(energy - 2.45) < 1e-12);
    assert_status(FCL_ERR_ARGUMENT, fcl_importance_energy("0,25*x1", x, &energy));
    fcl_array_destroy(&x);
}

static void times_have_a_point(void)
{
    static const double wanted[] = {0, 0.125, 0.75, 1};
    double *times;
    int count;
    assert_ok(fcl_times_read("0,0.125,.75,1", 0, 1, &times, &count));
    assert_int_equal(count, 4);
    assert_memory_equal(times, wanted, sizeof wanted);
    fcl_free(times);
    char *explanation;
    assert_ok(fcl_solver_explain(&(fcl_solver_options){.steps = 4, .grid = "edm:7.5"}, &explanation));
    assert_non_null(strstr(explanation, "edm:7.5"));
    fcl_free(explanation);
    assert_ok(fcl_solver_explain(&(fcl_solver_options){.grid = "0,0.25,0.5,1"}, &explanation));
    fcl_free(explanation);
}

/* Two points of each set: k(a, a') + k(b, b') - half the sum of the four k(a, b), k = exp(-d^2/(2 h^2)). */
static void bandwidths_have_a_point(void)
{
    fcl_array *a, *b;
    fcl_distance mmd;
    fcl_distance_options options = {.bandwidth = "0.75"};
    assert_ok(fcl_array_create(FCL_SHAPE(2, 1), &a));
    assert_ok(fcl_array_create(FCL_SHAPE(2, 1), &b));
    a->data[1] = 1, b->data[0] = 0.5f, b->data[1] = 2;
    assert_ok(fcl_distance_measure("mmd", a, b, &options, &mmd));
    double scale = -1 / (2 * 0.75 * 0.75), within = exp(scale) + exp(2.25 * scale);
    double across = 2 * exp(0.25 * scale) + exp(4 * scale) + exp(scale);
    assert_true(fabs(mmd.value - (within - across / 2)) < 1e-6);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
}

static void tables_have_a_point(void)
{
    static const float values[] = {0.5f, -1.25f, 1.5e-30f, 3};
    char text[256];
    fcl_array *array;
    fcl_dataset *data;
    assert_ok(fcl_array_create(FCL_SHAPE(2, 2), &array));
    memcpy(array->data, values, sizeof values);
    assert_ok(fcl_samples_write(scratch_path("table.csv"), array, NULL));
    fcl_array_destroy(&array);
    read_back(scratch_path("table.csv"), text);
    assert_non_null(strstr(text, "0.5,-1.25\n1.5"));
    assert_ok(fcl_dataset_open(scratch_path("table.csv"), NULL, &data));
    assert_int_equal(data->count, 2);
    assert_memory_equal(data->values, values, sizeof values);
    fcl_dataset_destroy(&data);
}

static const fcl_train_options wanted = {.data = "moons",
                                         .lr = 0.0015f,
                                         .beta2 = 0.9875f,
                                         .steps = 7,
                                         .objective = {.sigma = 0.125f, .weight = "1/(0.5 + t)"}};

static void assert_wanted(fcl_options *options, const fcl_train_options *read)
{
    assert_ok(fcl_options_finish(options));
    assert_true(read->lr == wanted.lr && read->beta2 == wanted.beta2 && read->steps == wanted.steps);
    assert_true(read->objective.sigma == wanted.objective.sigma);
    assert_string_equal(read->objective.weight, wanted.objective.weight);
    fcl_options_destroy(&options);
}

static fcl_options *bind(fcl_train_options *values)
{
    fcl_options *options = fcl_options_create();
    assert_ok(fcl_train_options_bind(options, values));
    return options;
}

static void options_have_a_point(void)
{
    fcl_train_options values = wanted, read = {0};
    fcl_options *options = bind(&values);
    char *json = fcl_options_to_json(options);
    assert_non_null(strstr(json, "\"lr\": 0.0015,"));
    assert_ok(fcl_options_write_yaml(options, scratch_path("config.yaml")));
    fcl_options_destroy(&options);

    options = bind(&read);
    assert_ok(fcl_options_read_yaml(options, scratch_path("config.yaml")));
    assert_wanted(options, &read);
    read = (fcl_train_options){0};
    options = bind(&read);
    assert_ok(fcl_options_read_json(options, json));
    assert_wanted(options, &read);
    fcl_free(json);

    read = (fcl_train_options){.data = "moons"};
    options = bind(&read);
    assert_ok(fcl_options_set(options, "model", "mlp", FCL_FROM_COMMAND_LINE));
    assert_ok(fcl_options_set(options, "lr", "2.5e-1", FCL_FROM_COMMAND_LINE));
    assert_true(read.lr == 0.25f);
    assert_status(FCL_ERR_ARGUMENT, fcl_options_set(options, "lr", "0,25", FCL_FROM_COMMAND_LINE));
    char *help = fcl_options_help(options, 80);
    assert_non_null(strstr(help, "(default 0.005;"));
    fcl_free(help);
    fcl_options_destroy(&options);
}

static void (*const everything[])(void) = {errors_have_a_point,     formulas_have_a_point,
                                           times_have_a_point,      tables_have_a_point,
                                           bandwidths_have_a_point, options_have_a_point};
enum { EVERYTHING = sizeof everything / sizeof *everything };

static void whatever_the_locale(void **state)
{
    (void)state;
    for (int i = 0; i < FOREIGN_LOCALES; i++) {
        foreign_enter(i);
        for (int k = 0; k < EVERYTHING; k++)
            everything[k]();
        foreign_leave();
    }
}

/* --- another thread changes the locale meanwhile --- */

static atomic_bool done;

static void *change_locale(void *unused)
{
    for (int i = 0; !done; i++)
        setlocale(LC_NUMERIC, i % 3 < FOREIGN_LOCALES ? foreign_locales[i % 3] : "C");
    return unused;
}

static void whatever_another_thread_sets(void **state)
{
    (void)state;
    pthread_t thread;
    done = false;
    assert_int_equal(pthread_create(&thread, NULL, change_locale, NULL), 0);
    for (int i = 0; i < 50; i++)
        for (int k = 0; k < EVERYTHING; k++)
            everything[k]();
    done = true;
    pthread_join(thread, NULL);
    foreign_leave();
}

static int teardown(void **state)
{
    (void)state;
    foreign_leave();
    return 0;
}

int main(void)
{
    const char *given = getenv("FCL_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("FCL_TEST_SEED=%llu\n", (unsigned long long)seed);
    if (!setlocale(LC_ALL, foreign_locales[0]))
        return 77; /* localedef, or its sources, are not installed */
    foreign_leave();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(numbers_have_a_point, teardown),
        cmocka_unit_test_teardown(whatever_the_locale, teardown),
        cmocka_unit_test_teardown(whatever_another_thread_sets, teardown),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
