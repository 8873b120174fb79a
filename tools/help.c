/* What stands behind the options in the help of several subcommands. */
#include "terminal.h"
#include "tool.h"

void tool_print_data_sets(void)
{
    puts("\nBuilt-in data:");
    const fcl_dataset_builtin *set;
    for (int i = 0; (set = fcl_dataset_builtin_at(i)); i++)
        printf("  %-20s %s\n", set->name, set->what);
}

void tool_print_grids(void)
{
    puts("\nGrids of fixed steps:");
    for (int i = 0; fcl_grid_name(i); i++) {
        int column = printf("  %-9s ", fcl_grid_name(i));
        terminal_print_wrapped(column, column, fcl_grid_help(i));
    }
}

void tool_print_formulas(void)
{
    char names[512] = "";
    for (int i = 0, length = 0; fcl_formula_function(i); i++)
        length += snprintf(names + length, sizeof names - (size_t)length, " %s", fcl_formula_function(i));
    fputs("\nFormulas:\n  ", stdout);
    terminal_printf_wrapped(2, 2, "numbers, variables, + - * / ^, parentheses, pi, e, and the functions%s", names);
}
