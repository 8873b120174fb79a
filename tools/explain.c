/* flowcl explain: a configuration in formulas, before anything is computed. */
#include "terminal.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct explain_settings {
    fcl_train_options train;
    fcl_solver_options solver;
    const char *config;         /* of weights of another program; their names are train.names */
    fcl_checkpoint *checkpoint; /* that is explained; NULL: options alone are */
} explain_settings;

/* clang-format off */
static const fcl_option table[] = {
    {"config", FCL_OPTION(explain_settings, config), .flags = FCL_OPTION_COMMAND_LINE, .placeholder = "FILE",
     .group = "Weights of another program", .help = "of CHECKPOINT without flowcl's metadata: YAML file of train's options"},
    {"solver", FCL_OPTION(explain_settings, solver.solver), .choice = fcl_solver_name, .choice_help = fcl_solver_help,
     .fallback = "euler", .group = "Sampling", .help = "how the flow's equation is solved"},
    {"sampling-steps", FCL_OPTION(explain_settings, solver.steps), .minimum = 0, .maximum = 1e6,
     .help = "of a solver with fixed steps: sample's --steps; 0: 100"},
    {"grid", FCL_OPTION(explain_settings, solver.grid), .placeholder = "GRID",
     .help = "of fixed steps: uniform, edm[:RHO], shifted[:S], times, or a file of them"},
    {"rtol", FCL_OPTION(explain_settings, solver.rtol), .minimum = 0, .maximum = 1, .help = "of an adaptive solver; 0: 1e-5"},
    {"atol", FCL_OPTION(explain_settings, solver.atol), .minimum = 0, .maximum = 1e6, .help = "of an adaptive solver; 0: 1e-5"},
    {"max-steps", FCL_OPTION(explain_settings, solver.max_steps), .minimum = 0, .maximum = 1e9, .help = "of an adaptive solver; 0: 10000"},
    {"sde-w", FCL_OPTION(explain_settings, solver.w), .placeholder = "W", .help = "noise of a stochastic solver, a formula in t, alpha and sigma"},
    {0},
};
/* clang-format on */

static int bind(fcl_options *options, void *values)
{
    explain_settings *settings = values;
    int status = fcl_train_options_bind(options, &settings->train);
    return status ? status : fcl_options_add(options, table, settings);
}

static bool is_yaml(const char *path)
{
    const char *ending = strrchr(path, '.');
    return ending && (!strcmp(ending, ".yaml") || !strcmp(ending, ".yml"));
}

static int read_checkpoint(const tool_call *call, char fault[TOOL_FAULT])
{
    explain_settings *settings = call->settings;
    fcl_foreign_options foreign = {.config = settings->config, .names = settings->train.names};
    int status = tool_open_checkpoint(call->positional[0], &foreign, &settings->checkpoint, fault);
    if (status != FCL_OK)
        return status;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(settings->checkpoint);
    settings->train.objective.least_alpha = info->options->objective.least_alpha;
    return fcl_options_read_json(call->options, info->config);
}

/* Formulas need no data, but training does: its name is not asked for here. */
static int read_configuration(const tool_call *call)
{
    const explain_settings *settings = call->settings;
    int status = FCL_OK;
    char fault[TOOL_FAULT] = "";
    bool yaml = call->count && is_yaml(call->positional[0]);
    if ((yaml || !call->count) && (settings->config || settings->train.names))
        return tool_fail_usage(&explain_command, "--config and --names are of weights of another program: CHECKPOINT is "
                                                 "not given");
    if (call->count)
        status = yaml ? fcl_options_read_yaml(call->options, call->positional[0]) : read_checkpoint(call, fault);
    if (fault[0])
        return tool_fail("%s", fault);
    if (status == FCL_OK)
        status = fcl_options_set(call->options, "data", "data", FCL_FROM_DEFAULT);
    if (status == FCL_OK && !settings->train.model.model) /* the data would choose it */
        status = fcl_options_set(call->options, "model", fcl_model_name(0), FCL_FROM_DEFAULT);
    if (status != FCL_OK)
        return tool_fail_library();
    if (fcl_options_finish(call->options) || fcl_train_options_check(&settings->train))
        return tool_fail_usage(&explain_command, "%s", fcl_error());
    return EXIT_DONE;
}

enum { HEADING = 12, INDENT = 14 };

/* A line at a time, each behind its name in the first columns. */
static void print_lines(const char *text)
{
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char *line = strndup(text, (size_t)(end - text));
        if (line)
            terminal_print_wrapped(0, INDENT, line);
        free(line);
    }
}

/* What the formulas' x are: of a checkpoint the numbers, else the rule. */
static void print_normalisation(const explain_settings *settings)
{
    const char *how = settings->train.normalise;
    const char *help = "";
    for (int i = 0; fcl_normalise_name(i); i++)
        if (!strcmp(fcl_normalise_name(i), how))
            help = fcl_normalise_help(i);
    terminal_printf_wrapped(0, INDENT, "%-12s%s%s%s", "normalise", how, *help ? ": " : "", help);
    if (!settings->checkpoint)
        return;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(settings->checkpoint);
    tool_print_foreign(info);
    tool_print_entry("", HEADING, tool_normalisation_text(info->normalisation));
    if (info->classes)
        tool_print_entry("labels", HEADING,
                         tool_classes_text(info->classes, info->class_names, info->class_counts,
                                           (double)info->options->label_drop));
}

static int explain(const tool_call *call)
{
    explain_settings *settings = call->settings;
    char *training = NULL, *sampling = NULL;
    fcl_solver_options *solver = &settings->solver;
    int read = read_configuration(call);
    if (read != EXIT_DONE)
        return read;
    solver->path = settings->train.objective.path;
    solver->path_width = (double)settings->train.objective.sigma;
    int status = fcl_cfm_explain(&settings->train.objective, &training);
    if (status == FCL_OK)
        status = fcl_solver_explain(solver, &sampling);
    if (status == FCL_OK) {
        print_lines(training);
        printf("%-12s%s\n", "source", tool_plain(settings->train.source));
        print_normalisation(settings);
        print_lines(sampling);
    }
    fcl_free(training);
    fcl_free(sampling);
    if (status == FCL_ERR_ARGUMENT)
        return tool_fail_usage(&explain_command, "%s", fcl_error());
    return status == FCL_OK ? EXIT_DONE : tool_fail_library();
}

static int run(const tool_call *call)
{
    int status = explain(call);
    fcl_checkpoint_close(&((explain_settings *)call->settings)->checkpoint);
    return status;
}

static const help_list *const lists[] = {&help_grids, &help_formulas, NULL};

const subcommand explain_command = {
    .name = "explain",
    .usage = "[CONFIG.yaml|CHECKPOINT|DIR] [options]",
    .summary = "print the formulas of a configuration's training and sampling",
    .about = "Without a configuration, that of the options: all that train has, and those of\n"
             "sampling. Whatever would be refused before training is refused here, too.",
    .lists = lists,
    .chooser = "model",
    .most = 1,
    .size = sizeof(explain_settings),
    .bind = bind,
    .run = run,
};
