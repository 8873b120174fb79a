/* The option table: text to values and back, precedence, and the sentences for every mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#include <flowcl/options.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct sample_options {
    int width;
    int64_t steps;
    uint64_t seed;
    float rate, clip;
    double tolerance;
    bool resume;
    fcl_toggle ema;
    const char *solver, *name, *kind, *out;
} sample_options;

static const char *solver_name(int index)
{
    static const char *const names[] = {"euler", "midpoint", "dopri5", NULL};
    return names[index];
}

/* clang-format off */
static const fcl_option table[] = {
    {"width", FCL_OPTION(sample_options, width), .minimum = 1, .maximum = 65536, .fallback = "64",
     .group = "Model", .help = "units of a hidden layer"},
    {"steps", FCL_OPTION(sample_options, steps), .minimum = 1, .maximum = 1e12, .fallback = "5000",
     .group = "Training", .help = "optimiser steps"},
    {"seed", FCL_OPTION(sample_options, seed), .help = "what the random numbers start from"},
    {"lr", FCL_OPTION(sample_options, rate), .minimum = 0, .maximum = 0.999, .fallback = "0.002",
     .help = "learning rate"},
    {"grad-clip", FCL_OPTION(sample_options, clip), .minimum = 0, .maximum = INFINITY, .fallback = "1",
     .flags = FCL_OPTION_CAN_BE_OFF, .help = "largest norm of a gradient"},
    {"tolerance", FCL_OPTION(sample_options, tolerance), .minimum = -1, .maximum = 1, .help = "a double"},
    {"ema", FCL_OPTION(sample_options, ema), .fallback = "yes", .help = "average the weights"},
    {"solver", FCL_OPTION(sample_options, solver), .choice = solver_name, .fallback = "euler",
     .group = "Model", .help = "how the equation is solved"},
    {"name", FCL_OPTION(sample_options, name), .help = "free text"},
    {"resume", FCL_OPTION(sample_options, resume), .flags = FCL_OPTION_COMMAND_LINE, .group = "Run",
     .help = "continue"},
    {"kind", FCL_OPTION(sample_options, kind), .flags = FCL_OPTION_COMMAND_LINE | FCL_OPTION_CAN_BE_BARE,
     .help = "one of many; alone: which there are"},
    {"out", FCL_OPTION(sample_options, out), .flags = FCL_OPTION_COMMAND_LINE | FCL_OPTION_REQUIRED,
     .placeholder = "DIR", .help = "where files go"},
    {0}};
/* clang-format on */

static fcl_options *bind(sample_options *values)
{
    *values = (sample_options){0};
    fcl_options *options = fcl_options_create();
    assert_int_equal(fcl_options_add(options, table, values), FCL_OK);
    return options;
}

static void assert_message(const char *part)
{
    if (!strstr(fcl_error(), part))
        fail_msg("the message \"%s\" lacks \"%s\"", fcl_error(), part);
}

/* --- values --- */

static void test_defaults(void **state)
{
    (void)state;
    sample_options values = {.width = 7};
    for (int again = 0; again < 2; again++) {
        fcl_options_defaults(table, &values);
        assert_int_equal(values.width, 7);
        assert_int_equal(values.steps, 5000);
        assert_true(values.seed == 0);
        assert_true(values.rate == 0.002f && values.clip == 1.0f && values.tolerance == 0);
        assert_int_equal(values.ema, FCL_ON);
        assert_string_equal(values.solver, "euler");
        assert_null(values.name);
        assert_int_equal(fcl_options_check(table, &values), FCL_OK);
    }
}

static void test_off_survives_defaults(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    const char *const texts[] = {"off", "0", "0.0", "OFF"};
    for (int i = 0; i < 4; i++) {
        values.clip = 3;
        assert_int_equal(fcl_options_set(options, "grad-clip", texts[i], FCL_FROM_FILE), FCL_OK);
        fcl_options_defaults(table, &values);
        assert_true(values.clip == FCL_OFF);
    }
    assert_int_equal(fcl_options_set(options, "ema", "no", FCL_FROM_FILE), FCL_OK);
    fcl_options_defaults(table, &values);
    assert_int_equal(values.ema, FCL_OFF);
    fcl_options_destroy(&options);
}

/* Key, text, and a part of the refusal; NULL where the text is accepted. */
static const struct {
    const char *key, *text, *refusal;
} texts[] = {
    {"width", "65536", NULL},
    {"width", "+8", NULL},
    {"width", "65537", "width: \"65537\" is not usable: expected a whole number from 1 to 65536"},
    {"width", "0", "from 1 to 65536"},
    {"width", "", "\"\" is not usable"},
    {"width", "12x", "12x"},
    {"width", "1.5", "whole number"},
    {"width", " 8", "whole number"},
    {"width", "0x10", "whole number"},
    {"width", "99999999999999999999", "whole number"},
    {"steps", "1000000000000", NULL},
    {"steps", "2e3", NULL},
    {"steps", "2.5e-1", "whole number"},
    {"steps", "1e99", "whole number"},
    {"width", "1e10", "whole number"},
    {"seed", "-1e3", "whole number"},
    {"seed", "18446744073709551615", NULL},
    {"seed", "18446744073709551616", "expected a whole number"},
    {"seed", "-1", "expected a whole number"},
    {"seed", "0", NULL},
    {"lr", "1e-4", NULL},
    {"lr", "0.999", NULL}, /* 0.999f is above 0.999 */
    {"lr", "1", "expected a number above 0, at most 0.999"},
    {"lr", "0", "above 0"},
    {"lr", "1e-60", "above 0"}, /* 0 in single precision */
    {"lr", "-0.1", "above 0"},
    {"lr", "nan", "above 0"},
    {"lr", "inf", "above 0"},
    {"lr", "1e999", "above 0"},
    {"lr", "0,5", "above 0"},
    {"lr", "1e", "above 0"},
    {"grad-clip", "1e30", NULL},
    {"grad-clip", "-1", "expected a number above 0, or off"},
    {"tolerance", "0", NULL},
    {"tolerance", "-1", NULL},
    {"tolerance", "-1.0000001", "from -1 to 1"},
    {"ema", "No", NULL},
    {"ema", "TRUE", NULL},
    {"ema", "maybe", "expected yes or no"},
    {"solver", "midpoint", NULL},
    {"solver", "dopri", "one of euler, midpoint, dopri5; did you mean \"dopri5\"?"},
    {"name", "d\xc3\xa9j\xc3\xa0 vu", NULL},
    {"name", "\xff", "UTF-8"},
    {"grad_clip", "2", NULL},
    {"widht", "2", "unknown option widht; did you mean width?"},
    {"qqqqqqqqq", "2", "unknown option qqqqqqqqq"},
};

static void test_texts(void **state)
{
    (void)state;
    sample_options values;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fcl_options *options = bind(&values);
        sample_options before = values;
        int status = fcl_options_set(options, texts[i].key, texts[i].text, FCL_FROM_FILE);
        if (!texts[i].refusal && status != FCL_OK)
            fail_msg("%s = %s: %s", texts[i].key, texts[i].text, fcl_error());
        if (texts[i].refusal) {
            assert_int_equal(status, FCL_ERR_ARGUMENT);
            assert_message(texts[i].refusal);
            assert_memory_equal(&before, &values, sizeof before);
        }
        fcl_options_destroy(&options);
    }
}

static void test_check(void **state)
{
    (void)state;
    assert_int_equal(fcl_options_check(table, &(sample_options){0}), FCL_OK);
    assert_int_equal(fcl_options_check(table, &(sample_options){.clip = FCL_OFF, .rate = 0.999f}), FCL_OK);
    assert_int_equal(fcl_options_check(table, &(sample_options){.width = -3}), FCL_ERR_ARGUMENT);
    assert_message("width: \"-3\" is not usable: expected a whole number from 1 to 65536");
    assert_int_equal(fcl_options_check(table, &(sample_options){.rate = NAN}), FCL_ERR_ARGUMENT);
    assert_message("lr: \"nan\"");
    assert_int_equal(fcl_options_check(table, &(sample_options){.clip = INFINITY}), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_options_check(table, &(sample_options){.ema = 3}), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_options_check(table, &(sample_options){.solver = "rk5"}), FCL_ERR_ARGUMENT);
    assert_message("solver: \"rk5\"");
}

/* --- command line --- */

static int parse(fcl_options *options, const char *const *arguments, const char **positional, int *count)
{
    int argc = 0;
    while (arguments[argc])
        argc++;
    return fcl_options_parse(options, argc, (char *const *)arguments, positional, count);
}

static void test_command_line(void **state)
{
    (void)state;
    sample_options values;
    const char *positional[16];
    int count;
    fcl_options *options = bind(&values);
    const char *const arguments[] = {"moons",       "--steps", "12",       "--lr=0.5", "--no-ema",
                                     "--tolerance", "-0.5",    "--resume", "-",        "--grad_clip",
                                     "off",         "--",      "--steps",  NULL};
    assert_int_equal(parse(options, arguments, positional, &count), FCL_OK);
    assert_int_equal(count, 3);
    assert_string_equal(positional[0], "moons");
    assert_string_equal(positional[1], "-");
    assert_string_equal(positional[2], "--steps");
    assert_int_equal(values.steps, 12);
    assert_true(values.rate == 0.5f && values.tolerance == -0.5 && values.clip == FCL_OFF);
    assert_true(values.resume);
    assert_int_equal(values.ema, FCL_OFF);
    assert_int_equal(fcl_options_source(options, "lr"), FCL_FROM_COMMAND_LINE);
    assert_int_equal(fcl_options_source(options, "width"), FCL_FROM_DEFAULT);

    const char *const more[] = {"--ema", "yes", "--resume=no", "--steps", "1", "--steps", "2", NULL};
    assert_int_equal(parse(options, more, positional, &count), FCL_OK);
    assert_int_equal(count, 0);
    assert_int_equal(values.ema, FCL_ON);
    assert_false(values.resume);
    assert_int_equal(values.steps, 2);
    fcl_options_destroy(&options);
}

/* Named without a value, at the end and before another option, it is none, and known to be named. */
static void test_bare(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4], *kind;
        int positional;
        bool named;
    } lines[] = {
        {{"--kind"}, NULL, 0, true},
        {{"--kind", "--steps", "3"}, NULL, 0, true},
        {{"--kind="}, NULL, 0, true},
        {{"data", "--kind", "one"}, "one", 1, true},
        {{"--kind=--one"}, "--one", 0, true},
        {{"data"}, NULL, 1, false},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        sample_options values;
        const char *positional[4];
        int count;
        fcl_options *options = bind(&values);
        assert_int_equal(parse(options, lines[i].arguments, positional, &count), FCL_OK);
        assert_int_equal(count, lines[i].positional);
        assert_int_equal(fcl_options_source(options, "kind") == FCL_FROM_COMMAND_LINE, lines[i].named);
        assert_true(lines[i].kind ? !strcmp(values.kind, lines[i].kind) : !values.kind);
        fcl_options_destroy(&options);
    }
}

static void test_command_line_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4], *refusal;
    } mistakes[] = {
        {{"--stesp", "3"}, "unknown option --stesp; did you mean --steps?"},
        {{"--stesp=3"}, "unknown option --stesp; did you mean --steps?"},
        {{"--no-steps"}, "unknown option --no-steps"},
        {{"--steps"}, "--steps needs a value"},
        {{"--name", "--steps", "3"}, "--name needs a value"},
        {{"--steps", "x"}, "--steps: \"x\" is not usable: expected a whole number from 1 to 1e12"},
        {{"--ema=perhaps"}, "--ema: \"perhaps\""},
        {{"-s", "3"}, "unknown option -s"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        sample_options values;
        const char *positional[4];
        int count;
        fcl_options *options = bind(&values);
        assert_int_equal(parse(options, mistakes[i].arguments, positional, &count), FCL_ERR_ARGUMENT);
        assert_message(mistakes[i].refusal);
        fcl_options_destroy(&options);
    }
}

static void test_precedence(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    assert_int_equal(fcl_options_set(options, "steps", "3", FCL_FROM_COMMAND_LINE), FCL_OK);
    assert_int_equal(fcl_options_set(options, "steps", "2", FCL_FROM_FILE), FCL_OK);
    assert_int_equal(fcl_options_set(options, "width", "2", FCL_FROM_CHECKPOINT), FCL_OK);
    assert_int_equal(fcl_options_set(options, "width", "1", FCL_FROM_FILE), FCL_OK);
    assert_int_equal(values.steps, 3);
    assert_int_equal(values.width, 1);
    /* What is overridden is checked nevertheless. */
    assert_int_equal(fcl_options_set(options, "steps", "none", FCL_FROM_FILE), FCL_ERR_ARGUMENT);
    assert_int_equal(values.steps, 3);
    fcl_options_destroy(&options);
}

static void test_finish(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    assert_int_equal(fcl_options_finish(options), FCL_ERR_ARGUMENT);
    assert_message("--out is required: where files go");
    assert_int_equal(fcl_options_set(options, "out", "runs/a", FCL_FROM_COMMAND_LINE), FCL_OK);
    assert_int_equal(fcl_options_finish(options), FCL_OK);
    assert_int_equal(values.steps, 5000);
    fcl_options_destroy(&options);
    assert_null(options);
    fcl_options_destroy(&options);
}

static void test_two_tables(void **state)
{
    (void)state;
    sample_options values, other = {0};
    static const fcl_option extra[] = {{"more", FCL_OPTION(sample_options, width), .help = "another"}, {0}};
    fcl_options *options = bind(&values);
    assert_int_equal(fcl_options_add(options, extra, &other), FCL_OK);
    assert_int_equal(fcl_options_set(options, "more", "9", FCL_FROM_FILE), FCL_OK);
    assert_int_equal(other.width, 9);
    assert_int_equal(values.width, 0);
    assert_int_equal(fcl_options_add(options, extra, &other), FCL_ERR_ARGUMENT);
    fcl_options_destroy(&options);
}

/* --- files --- */

static const char *write_file(const char *content, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/flowcl-options-%ld.yaml", (long)getpid());
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void test_yaml(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    const char *text =
        "# a run\nsteps: 77\nlr: 1e-3 # slow\n\"name\": 'it''s: # new'\nema: no\ngrad_clip: off\n";
    assert_int_equal(fcl_options_read_yaml(options, write_file(text, strlen(text))), FCL_OK);
    assert_int_equal(values.steps, 77);
    assert_true(values.rate == 1e-3f && values.clip == FCL_OFF && values.ema == FCL_OFF);
    assert_string_equal(values.name, "it's: # new");
    assert_int_equal(fcl_options_source(options, "steps"), FCL_FROM_FILE);
    assert_int_equal(fcl_options_read_yaml(options, write_file("", 0)), FCL_OK);
    assert_int_equal(fcl_options_read_yaml(options, write_file("# nothing\n", 10)), FCL_OK);
    assert_int_equal(fcl_options_read_yaml(options, "/nonexistent/run.yaml"), FCL_ERR_FILE);
    assert_message("/nonexistent/run.yaml");
    unlink(write_file("", 0));
    fcl_options_destroy(&options);
}

/* A preset comes before all but the defaults, whenever it is read. */
static void test_preset(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    const char *text = "steps: 77\nlr: 1e-3\nwidth: 8\nname: begun\n";
    assert_int_equal(fcl_options_set(options, "steps", "3", FCL_FROM_COMMAND_LINE), FCL_OK);
    assert_int_equal(fcl_options_set(options, "width", "2", FCL_FROM_CHECKPOINT), FCL_OK);
    assert_int_equal(fcl_options_read_preset(options, write_file(text, strlen(text))), FCL_OK);
    assert_int_equal(fcl_options_source(options, "lr"), FCL_FROM_PRESET);
    assert_int_equal(fcl_options_set(options, "lr", "0.5", FCL_FROM_FILE), FCL_OK);
    assert_int_equal(values.steps, 3);
    assert_int_equal(values.width, 2);
    assert_true(values.rate == 0.5f);
    assert_string_equal(values.name, "begun");
    assert_int_equal(fcl_options_clear(options, "name"), FCL_OK); /* then anybody may set it, or its default holds */
    assert_int_equal(fcl_options_clear(options, "steps"), FCL_OK);
    assert_true(!values.name && values.steps == 0);
    assert_int_equal(fcl_options_source(options, "steps"), FCL_FROM_DEFAULT);
    assert_int_equal(fcl_options_read_preset(options, write_file("name: again\n", 12)), FCL_OK);
    assert_string_equal(values.name, "again");
    assert_int_equal(fcl_options_clear(options, "stesp"), FCL_ERR_ARGUMENT);
    assert_message("did you mean steps?");
    text = "lr: 2\n"; /* what is overridden is checked nevertheless */
    assert_int_equal(fcl_options_read_preset(options, write_file(text, strlen(text))), FCL_ERR_ARGUMENT);
    assert_message(":1:5: lr");
    unlink(write_file("", 0));
    fcl_options_destroy(&options);
}

static void test_yaml_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
        const char *refusal;
    } mistakes[] = {
        {"steps: 1\nstesp: 2\n", FCL_ERR_ARGUMENT, ".yaml:2:1: unknown option stesp; did you mean steps?"},
        {"steps: 1\nlr: fast\n", FCL_ERR_ARGUMENT, ".yaml:2:5: lr: \"fast\" is not usable"},
        {"steps: 1\nsteps: 1\n", FCL_ERR_FORMAT, ".yaml:2:1: \"steps\" stands already in line 1"},
        {"grad-clip: 1\ngrad_clip: 1\n", FCL_ERR_FORMAT, "stands already in line 1"},
        {"training:\n  steps: 1\n", FCL_ERR_ARGUMENT, ".yaml:1:1: unknown option training"},
        {"steps:\n  many: 1\n", FCL_ERR_FORMAT, ".yaml:2:3: this value is nested"},
        {"steps: [1, 2]\n", FCL_ERR_FORMAT, ".yaml:1:8: this value is nested"},
        {"? [steps]\n: 1\n", FCL_ERR_FORMAT, "this key is nested"},
        {"steps: &a 1\n", FCL_ERR_FORMAT, "this value has an anchor"},
        {"steps: *a\n", FCL_ERR_FORMAT, "this value is an alias"},
        {"steps: !!int 1\n", FCL_ERR_FORMAT, "this value has a tag"},
        {"name: \"a\\0b\"\n", FCL_ERR_FORMAT, "this value contains a NUL character"},
        {"- steps\n", FCL_ERR_FORMAT, ".yaml:1:1: expected a flat list"},
        {"steps\n", FCL_ERR_FORMAT, ".yaml:1:1: expected a flat list"},
        {"steps: 1\n---\nsteps: 2\n", FCL_ERR_FORMAT, ".yaml:2:1: a second document"},
        {"steps: \"1\n", FCL_ERR_FORMAT, ".yaml:2:1: "},
        {"\tsteps: 1\n", FCL_ERR_FORMAT, ".yaml:1:"},
        {"steps: \x01\n", FCL_ERR_FORMAT, ".yaml: byte 7"},
        {"resume: yes\n", FCL_ERR_ARGUMENT, "\"resume\" belongs on the command line (--resume)"},
        {"steps:\n", FCL_ERR_ARGUMENT, "steps: \"\" is not usable"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        sample_options values;
        fcl_options *options = bind(&values);
        const char *path = write_file(mistakes[i].text, strlen(mistakes[i].text));
        int status = fcl_options_read_yaml(options, path);
        if (status != mistakes[i].status)
            fail_msg("%s: status %d, %s", mistakes[i].text, status, fcl_error());
        assert_message(mistakes[i].refusal);
        fcl_options_destroy(&options);
    }
    unlink(write_file("", 0));
}

static const char *const hard_names[] = {NULL,
                                         "plain",
                                         "yes",
                                         "NULL",
                                         "~",
                                         "12",
                                         "a: b",
                                         "a #b",
                                         " x ",
                                         "tab\tline\nend",
                                         "'",
                                         "\"",
                                         "-",
                                         "- a",
                                         "{a}",
                                         "*a",
                                         "&a",
                                         "!t",
                                         "%",
                                         "@x",
                                         "\\n",
                                         "d\xc3\xa9j\xc3\xa0",
                                         "\xf0\x9f\x98\x80",
                                         "/a b/c",
                                         "\x7f"};

static void assert_same(const sample_options *a, const sample_options *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->steps, b->steps);
    assert_true(a->seed == b->seed);
    assert_memory_equal(&a->rate, &b->rate, sizeof a->rate);
    assert_memory_equal(&a->clip, &b->clip, sizeof a->clip);
    assert_memory_equal(&a->tolerance, &b->tolerance, sizeof a->tolerance);
    assert_int_equal(a->ema, b->ema);
    assert_string_equal(a->solver, b->solver);
    assert_int_equal(!a->name, !b->name);
    if (a->name)
        assert_string_equal(a->name, b->name);
}

/* Writing and reading gives every value back exactly, in YAML and in JSON. */
static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hard_names / sizeof *hard_names; i++) {
        sample_options values, yaml, json;
        fcl_options *options = bind(&values), *yaml_options = bind(&yaml), *json_options = bind(&json);
        values = (sample_options){.steps = 123456789012,
                                  .seed = UINT64_MAX - i,
                                  .rate = 0.1f / (float)(i + 1),
                                  .clip = i % 2 ? FCL_OFF : 1.0f / 3,
                                  .tolerance = 1.0 / (3.0 + (double)i),
                                  .ema = FCL_OFF,
                                  .solver = solver_name(2),
                                  .name = hard_names[i]};
        fcl_options_defaults(table, &values);
        char *text = fcl_options_to_json(options);
        assert_int_equal(fcl_options_read_json(json_options, text), FCL_OK);
        assert_same(&values, &json);
        assert_int_equal(fcl_options_source(json_options, "steps"), FCL_FROM_CHECKPOINT);
        fcl_free(text);

        const char *path = write_file("", 0);
        assert_int_equal(fcl_options_write_yaml(options, path), FCL_OK);
        if (fcl_options_read_yaml(yaml_options, path) != FCL_OK)
            fail_msg("%s", fcl_error());
        assert_same(&values, &yaml);
        unlink(path);
        fcl_options_destroy(&options);
        fcl_options_destroy(&yaml_options);
        fcl_options_destroy(&json_options);
    }
}

static void test_yaml_text(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    char *text = fcl_options_to_yaml(options);
    assert_non_null(strstr(text, "# Model\nwidth: 64 "));
    assert_non_null(strstr(text, "# units of a hidden layer (1 to 65536)\n"));
    assert_non_null(strstr(text, "\n\n# Training\nsteps: 5000 "));
    assert_null(strstr(text, "resume"));
    fcl_free(text);
    fcl_options_destroy(&options);
}

static void test_json_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *refusal;
    } mistakes[] = {
        {"{\"steps\": 1", "not JSON"},
        {"[1]", "not a JSON object"},
        {"{\"steps\": 1, \"steps\": 2}", "duplicate"},
        {"{\"steps\": [1]}", "steps: a nested value"},
        {"{\"steps\": 1.5}", "steps: \"1.5\""},
        {"{\"stesp\": 1}", "did you mean steps?"},
        {"{\"out\": \"a\"}", "unknown option out"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        sample_options values;
        fcl_options *options = bind(&values);
        assert_int_not_equal(fcl_options_read_json(options, mistakes[i].text), FCL_OK);
        assert_message(mistakes[i].refusal);
        fcl_options_destroy(&options);
    }
}

/* --- help --- */

static void test_help(void **state)
{
    (void)state;
    sample_options values;
    fcl_options *options = bind(&values);
    for (int width = 20; width <= 100; width += 16) {
        char *text = fcl_options_help(options, width);
        assert_non_null(strstr(text, "Model:\n  --width N"));
        assert_non_null(strstr(text, "\n\nRun:\n  --resume"));
        assert_non_null(strstr(text, "--ema yes|no"));
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            assert_true((int)strlen(line) <= (width < 70 ? 70 : width));
        fcl_free(text);
    }
    char *wide = fcl_options_help(options, 1000);
    assert_non_null(strstr(wide, "learning rate (default 0.002; above 0, at most 0.999)\n"));
    assert_non_null(strstr(wide, "how the equation is solved: euler, midpoint, dopri5 (default euler)\n"));
    assert_non_null(strstr(wide, "(default 1; above 0, or off)\n"));
    assert_non_null(strstr(wide, "where files go (required)\n"));
    fcl_free(wide);
    fcl_options_destroy(&options);
}

/* A program whose locale writes "0,5" reads and writes options with a point all the same. */
static void test_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        skip();
    sample_options values;
    fcl_options *options = bind(&values);
    assert_int_equal(fcl_options_set(options, "lr", "0.5", FCL_FROM_FILE), FCL_OK);
    char *text = fcl_options_to_yaml(options);
    assert_non_null(strstr(text, "lr: 0.5 "));
    fcl_free(text);
    fcl_options_destroy(&options);
    setlocale(LC_NUMERIC, "C");
}

/* --- a choice that says which of the options there are --- */

typedef struct shape_options {
    const char *shape;
    float radius, height;
    int corners;
    bool filled;
} shape_options;

static const char *shape_name(int index)
{
    static const char *const names[] = {"circle", "cone", "star", NULL};
    return names[index];
}

static fcl_option_uses shape_uses(const void *values)
{
    static const fcl_option_use circle[] = {{"shape"}, {"radius", "1"}, {"filled"}, {0}};
    static const fcl_option_use cone[] = {{"shape"}, {"radius", "0.5"}, {"height", "2"}, {0}};
    static const fcl_option_use star[] = {{"shape"}, {"corners", "5"}, {0}};
    const char *shape = ((const shape_options *)values)->shape;
    if (!shape || !strcmp(shape, "circle"))
        return (fcl_option_uses){"circle", circle};
    return strcmp(shape, "cone") ? (fcl_option_uses){"star", star} : (fcl_option_uses){"cone", cone};
}

static const fcl_option shape_table[] = {
    {"radius", FCL_OPTION(shape_options, radius), .minimum = 0, .maximum = 10, .group = "Shape",
     .help = "half its width"},
    {"shape", FCL_OPTION(shape_options, shape), .choice = shape_name, .fallback = "circle", .uses = shape_uses,
     .help = "what is drawn"},
    {"height", FCL_OPTION(shape_options, height), .minimum = 0, .maximum = 10, .help = "above the ground"},
    {"corners", FCL_OPTION(shape_options, corners), .minimum = 0, .maximum = 99, .help = "points of a star"},
    {"filled", FCL_OPTION(shape_options, filled), .help = "with colour"},
    {0}};

/* What groff would take for a request, an escape or a typographer's dash is written out. */
static void test_man(void **state)
{
    static const struct {
        const char *words, *man;
    } rows[] = {{"", ""}, {".npy or 'a'", "\\&.npy or 'a'"}, {"'a'", "\\&'a'"}, {"a\\b --c", "a\\eb \\-\\-c"},
                {"t^2 ~ 1", "t\\(ha2 \\(ti 1"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *man = fcl_man_text(rows[i].words);
        assert_string_equal(man, rows[i].man);
        fcl_free(man);
    }
}

static void test_choice_of_options_in_a_struct(void **state)
{
    (void)state;
    shape_options circle = {0}, cone = {.shape = "cone", .height = 3}, star = {.shape = "star", .radius = 1};
    fcl_options_defaults(shape_table, &circle);
    assert_true(circle.radius == 1 && circle.height == 0 && circle.corners == 0);
    assert_int_equal(fcl_options_check(shape_table, &circle), FCL_OK);
    fcl_options_defaults(shape_table, &cone);
    assert_true(cone.radius == 0.5f && cone.height == 3 && cone.corners == 0);
    fcl_options_defaults(shape_table, &star);
    assert_true(star.corners == 5);
    assert_int_equal(fcl_options_check(shape_table, &star), FCL_ERR_ARGUMENT);
    assert_message("radius has no use with the shape star, which reads corners");
    assert_int_equal(fcl_options_check(shape_table, &(shape_options){.shape = "cube", .corners = 4}), FCL_ERR_ARGUMENT);
}

/* Sets what the lines say, "key value" each, and finishes. */
static fcl_options *choose(shape_options *values, fcl_option_source source, int count, const char *const (*pairs)[2],
                           int status)
{
    *values = (shape_options){0};
    fcl_options *options = fcl_options_create();
    assert_int_equal(fcl_options_add(options, shape_table, values), FCL_OK);
    for (int i = 0; i < count; i++)
        assert_int_equal(fcl_options_set(options, pairs[i][0], pairs[i][1], source), FCL_OK);
    assert_int_equal(fcl_options_finish(options), status);
    return options;
}

static void test_choice_of_options_bound(void **state)
{
    (void)state;
    shape_options values;
    static const char *const cone[][2] = {{"height", "4"}, {"shape", "cone"}};
    static const char *const wrong[][2] = {{"corners", "4"}, {"shape", "cone"}};
    static const char *const dropped[][2] = {{"shape", "star"}, {"filled", "yes"}, {"radius", "2"}};
    fcl_options *options = choose(&values, FCL_FROM_COMMAND_LINE, 2, cone, FCL_OK);
    assert_true(values.height == 4 && values.radius == 0.5f && values.corners == 0);
    char *json = fcl_options_to_json(options), *yaml = fcl_options_to_yaml(options);
    char *help = fcl_options_help(options, 80);
    assert_string_equal(json, "{\n  \"radius\": 0.5,\n  \"shape\": \"cone\",\n  \"height\": 4\n}");
    assert_non_null(strstr(yaml, "height: 4"));
    assert_null(strstr(yaml, "corners"));
    assert_null(strstr(yaml, "filled"));
    assert_non_null(strstr(help, "default 0.5"));
    assert_non_null(strstr(help, "default 2"));
    assert_null(strstr(help, "--corners"));
    fcl_options_destroy(&options);

    options = fcl_options_create(); /* what was written is read back */
    shape_options again = {0};
    assert_int_equal(fcl_options_add(options, shape_table, &again), FCL_OK);
    assert_int_equal(fcl_options_read_json(options, json), FCL_OK);
    assert_int_equal(fcl_options_finish(options), FCL_OK);
    assert_true(again.height == 4 && again.radius == 0.5f && !strcmp(again.shape, "cone"));
    fcl_options_destroy(&options);
    fcl_free(json);
    fcl_free(yaml);
    fcl_free(help);

    options = choose(&values, FCL_FROM_FILE, 2, wrong, FCL_ERR_ARGUMENT);
    assert_message("corners has no use with the shape cone, which reads radius, height");
    fcl_options_destroy(&options);
    for (fcl_option_source source = FCL_FROM_PRESET; source <= FCL_FROM_CHECKPOINT; source++) {
        options = choose(&values, source, 3, dropped, FCL_OK); /* another shape was asked for beside it */
        assert_true(values.radius == 0 && !values.filled && values.corners == 5);
        fcl_options_destroy(&options);
    }
    options = choose(&values, FCL_FROM_COMMAND_LINE, 1, (const char *const[][2]){{"radius", "0"}}, FCL_ERR_ARGUMENT);
    assert_message("radius: \"0\" is not usable: expected a number above 0"); /* it would be taken for the default, 1 */
    fcl_options_destroy(&options);
    options = choose(&values, FCL_FROM_FILE, 2, (const char *const[][2]){{"shape", "star"}, {"corners", "0"}},
                     FCL_ERR_ARGUMENT);
    assert_message("corners: \"0\" is not usable: expected a whole number from 1 to 99");
    fcl_options_destroy(&options);
}

/* A default that reads as a number makes no number of a text: an empty one is the default, as of every text. */
static void test_text_of_digits(void **state)
{
    (void)state;
    const char *average = NULL;
    const fcl_option rows[] = {{"ema", FCL_OPTION_STRING, .fallback = "0.999", .help = "decays"}, {0}};
    for (fcl_option_source source = FCL_FROM_PRESET; source <= FCL_FROM_COMMAND_LINE; source++) {
        fcl_options *options = fcl_options_create();
        assert_int_equal(fcl_options_add(options, rows, &average), FCL_OK);
        assert_int_equal(fcl_options_set(options, "ema", "", source), FCL_OK);
        assert_int_equal(fcl_options_finish(options), FCL_OK);
        assert_string_equal(average, "0.999");
        average = NULL;
        fcl_options_destroy(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_off_survives_defaults),
        cmocka_unit_test(test_texts),         cmocka_unit_test(test_check),
        cmocka_unit_test(test_command_line),  cmocka_unit_test(test_command_line_mistakes),
        cmocka_unit_test(test_precedence),    cmocka_unit_test(test_finish),
        cmocka_unit_test(test_two_tables),    cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_yaml_mistakes), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_yaml_text),     cmocka_unit_test(test_json_mistakes),
        cmocka_unit_test(test_help),          cmocka_unit_test(test_locale),
        cmocka_unit_test(test_bare),          cmocka_unit_test(test_preset),
        cmocka_unit_test(test_man),           cmocka_unit_test(test_choice_of_options_in_a_struct),
        cmocka_unit_test(test_choice_of_options_bound), cmocka_unit_test(test_text_of_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
