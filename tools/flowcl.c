/* flowcl: the program. Finds the subcommand in the table, reads its options, runs it. */
#include "help.h"
#include "stop.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const subcommand *const commands[] = {
    &devices_command,
    &train_command,
    &sample_command,
    &likelihood_command,
    &eval_command,
    &classify_command,
    &info_command,
    &explain_command,
    &bench_command,
    &bench_device_command,
    &tune_command,
    &verify_command,
    &tune_candidate_command,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* --- speaking --- */

/* Of a process alone at once; of several, whose mistake is often the same, once they know whose it is to tell. */
static fcl_ranks *ranks;
static char *untold;

static const char *usage_of; /* the subcommand that was used wrongly; NULL: none was */

static void tell_usage(void)
{
    if (usage_of)
        fprintf(stderr, "See flowcl %s%s.\n", usage_of, strcmp(usage_of, "help") ? " --help" : "");
}

static void complain(const char *sentence)
{
    fflush(stdout);
    if (!ranks) {
        fprintf(stderr, "flowcl: %s\n", sentence);
        return;
    }
    free(untold);
    untold = strdup(sentence);
}

static void complain_plainly(const char *format, va_list args)
{
    char sentence[4096];
    fcl_vsnprintf(sentence, sizeof sentence, format, args);
    complain(tool_plain(sentence));
}

fcl_ranks *tool_ranks(void)
{
    return ranks;
}

bool tool_is_first(void)
{
    return fcl_ranks_number(ranks) == 0;
}

int tool_agree(const char *what, const char *text)
{
    return fcl_ranks_same(ranks, what, text ? strlen(text) : 0, text) == FCL_OK ? EXIT_DONE : tool_fail_library();
}

int tool_open_device(const char *name, fcl_device **device)
{
    const fcl_device_options how = {.local_rank = fcl_ranks_local_number(ranks),
                                    .local_ranks = ranks ? fcl_ranks_local_count(ranks) : 0};
    return fcl_device_open(name, &how, device);
}

static char *const *arguments;

char *const *tool_arguments(void)
{
    return arguments;
}

int tool_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain_plainly(format, args);
    va_end(args);
    return EXIT_FAILED;
}

/* The library's sentences are plain, and may hold the lines of a compiler's log. */
int tool_fail_library(void)
{
    complain(fcl_error());
    return EXIT_FAILED;
}

const char *tool_plain(const char *text)
{
    static char *kept[8];
    static int next;
    next = (next + 1) % 8;
    fcl_free(kept[next]);
    return kept[next] = fcl_plain(text);
}

int tool_fail_usage(const subcommand *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain_plainly(format, args);
    va_end(args);
    usage_of = command ? command->name : "help";
    if (!ranks)
        tell_usage();
    return EXIT_USAGE;
}

static bool watch_stop(void *bar)
{
    (void)bar;
    return stop_asked();
}

static void watch_progress(void *bar, const char *what, double share)
{
    progress_share(bar, what, share);
}

void tool_watch(void *bar)
{
    static fcl_watch watch = {.stop = watch_stop, .progress = watch_progress};
    watch.data = bar;
    stop_watch();
    fcl_watch_set(&watch);
}

double tool_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void tool_print_entry(const char *heading, int indent, char *text)
{
    if (text)
        terminal_print_entry(heading, indent, text);
    free(text);
}

int tool_print_json(json_t *object)
{
    int status = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)) || putchar('\n') == EOF;
    json_decref(object);
    return status ? tool_fail("cannot write to standard output: %s", strerror(errno)) : EXIT_DONE;
}

json_t *tool_text_json(const char *text)
{
    json_t *string = text ? json_string(text) : json_null();
    return string ? string : json_string(tool_plain(text));
}

json_t *tool_real_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *tool_shape_json(fcl_shape shape)
{
    json_t *array = json_array();
    for (int i = 0; i < shape.rank; i++)
        json_array_append_new(array, json_integer(shape.dim[i]));
    return array;
}

void tool_shape_text(fcl_shape shape, char text[TOOL_SHAPE_TEXT])
{
    char *end = text;
    for (int i = 0; i < shape.rank; i++) /* at most 20 digits and a comma each: FCL_MAX_RANK of them fit */
        end += sprintf(end, "%s%" PRId64, i ? ", " : "(", shape.dim[i]);
    strcpy(end, shape.rank ? ")" : "()");
}

/* --- help --- */

static void print_overview(FILE *stream)
{
    fputs("usage: flowcl SUBCOMMAND ...\n\n"
          "Trains and samples flow-matching models on any OpenCL device.\n\nSubcommands:\n",
          stream);
    for (int i = 0; i < COMMANDS; i++)
        if (!commands[i]->internal)
            fprintf(stream, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    for (const help_word *word = help_words; word->name; word++)
        fprintf(stream, "  %-10s %s\n", word->name, word->summary);
    fputs("\nflowcl SUBCOMMAND --help lists its options.\n", stream);
}

static int print_version(void)
{
    printf("flowcl %s\n", fcl_version());
    if (strcmp(fcl_version(), FCL_VERSION))
        printf("(the program was built for libflowcl %s)\n", FCL_VERSION);
    return EXIT_DONE;
}

/* --- running --- */

/* Every subcommand has it. It is looked for before anything else is read: no mistake can hide it. */
typedef struct common_settings {
    bool help;
} common_settings;

static const fcl_option common_table[] = {
    {"help", FCL_OPTION(common_settings, help), .flags = FCL_OPTION_COMMAND_LINE, .group = "Help",
     .help = "explain this subcommand; -h for short"},
    {0},
};

static bool asks_for_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

/* The help is of the options that there are with the command line's choice: --model NAME, --model=NAME. */
static int read_chooser(const subcommand *command, fcl_options *options, int argc, char *const *argv)
{
    size_t length = command->chooser ? strlen(command->chooser) : 0;
    for (int i = 0; i < argc && length && strcmp(argv[i], "--"); i++) {
        if (strncmp(argv[i], "--", 2) || strncmp(argv[i] + 2, command->chooser, length))
            continue;
        const char *rest = argv[i] + 2 + length;
        const char *value = *rest == '=' ? rest + 1 : !*rest && i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strncmp(value, "-", 1) && fcl_options_set(options, command->chooser, value, FCL_FROM_COMMAND_LINE))
            return tool_fail_usage(command, "%s", fcl_error());
    }
    return EXIT_DONE;
}

/* How a subcommand is told of, instead of being run, with the words of the line behind its name. */
typedef void telling(const subcommand *command, const fcl_options *options, int argc, char *const *argv);

static void tell_help(const subcommand *command, const fcl_options *options, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    help_print(command, options);
}

static void tell_man(const subcommand *command, const fcl_options *options, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    help_print_man(command, options);
}

static void tell_candidates(const subcommand *command, const fcl_options *options, int argc, char *const *argv)
{
    help_complete(command, options, argc > 1 ? argv[argc - 2] : "", argv[argc - 1]);
}

static int tell(const subcommand *command, const tool_call *call, telling *how, int argc, char *const *argv)
{
    int whole = how == tell_candidates ? argc - 1 : argc; /* words */
    if (read_chooser(command, call->options, whole, argv) != EXIT_DONE)
        return EXIT_USAGE;
    how(command, call->options, argc, argv);
    return EXIT_DONE;
}

static int parse_and_run(const subcommand *command, tool_call *call, telling *how, int argc, char *const *argv)
{
    common_settings common = {0};
    if (command->bind(call->options, call->settings) || fcl_options_add(call->options, common_table, &common))
        return tool_fail_library();
    if (how || asks_for_help(argc, argv))
        return tool_is_first() ? tell(command, call, how ? how : tell_help, argc, argv) : EXIT_DONE;
    if (fcl_options_parse(call->options, argc, argv, call->positional, &call->count))
        return tool_fail_usage(command, "%s", fcl_error());
    if (call->count < command->least)
        return tool_fail_usage(command, "%s needs %s: flowcl %s %s", command->name,
                               command->least == 1 ? "an argument" : "arguments", command->name,
                               command->usage);
    if (call->count > command->most)
        return tool_fail_usage(command, "\"%s\" is an argument too many: flowcl %s %s",
                               call->positional[command->most], command->name, command->usage);
    return command->run(call);
}

static int run(const subcommand *command, telling *how, int argc, char *const *argv)
{
    tool_call call = {.settings = calloc(1, command->size),
                      .options = fcl_options_create(),
                      .positional = calloc((size_t)argc + 1, sizeof *call.positional)};
    int status = call.settings && call.positional ? parse_and_run(command, &call, how, argc, argv)
                                                  : tool_fail("out of memory");
    fcl_options_destroy(&call.options);
    free(call.positional);
    free(call.settings);
    return status;
}

static const subcommand *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static int fail_unknown(const char *name)
{
    const char *names[COMMANDS + 2] = {"help", "version"};
    int count = 2;
    for (int i = 0; i < COMMANDS; i++)
        if (!commands[i]->internal)
            names[count++] = commands[i]->name;
    const char *nearest = fcl_nearest(name, names, count);
    if (nearest)
        return tool_fail_usage(NULL, "unknown subcommand \"%s\"; did you mean %s?", name, nearest);
    return tool_fail_usage(NULL, "unknown subcommand \"%s\"", name);
}

static int fail_surplus(const char *argument, const char *usage)
{
    return tool_fail_usage(NULL, "\"%s\" is an argument too many: flowcl %s", argument, usage);
}

static const help_word *find_word(const char *name)
{
    for (const help_word *word = help_words; word->name; word++)
        if (!strcmp(word->name, name))
            return word;
    return NULL;
}

static int explain(int argc, char **argv)
{
    if (argc > 1)
        return fail_surplus(argv[1], "help [SUBCOMMAND]");
    if (argc == 0)
        return print_overview(stdout), EXIT_DONE;
    const subcommand *command = find(argv[0]);
    if (command)
        return run(command, tell_help, 0, NULL);
    const help_word *word = find_word(argv[0]);
    if (!word)
        return fail_unknown(argv[0]);
    printf("usage: flowcl %s%s\n\n%c%s.\n", word->name, word->usage, word->summary[0] - 'a' + 'A', word->summary + 1);
    return EXIT_DONE;
}

/* flowcl man [SUBCOMMAND]: what the build makes pages of. */
static int print_man(int argc, char **argv)
{
    const subcommand *command = argc ? find(argv[0]) : NULL;
    if (argc > 1)
        return fail_surplus(argv[1], "man [SUBCOMMAND]");
    if (argc && !command && find_word(argv[0]))
        return tool_fail_usage(NULL, "%s has no page of its own: that of flowcl tells of it", argv[0]);
    if (argc && !command)
        return fail_unknown(argv[0]);
    if (command)
        return run(command, tell_man, 0, NULL);
    help_print_man_overview(commands, COMMANDS);
    return EXIT_DONE;
}

/* flowcl complete WORD...: what shells ask. Words that make no sense have no candidates; of a choice that there
 * is not, as a model, a sentence on standard error and the status tell, too. */
static int complete(int argc, char **argv)
{
    const subcommand *command = argc > 1 ? find(argv[0]) : NULL;
    if (command)
        return run(command, tell_candidates, argc - 1, argv + 1);
    if (argc < 2 || (argc == 2 && strcmp(argv[0], "help") == 0))
        help_complete_name(commands, COMMANDS, argc ? argv[argc - 1] : "");
    return EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return print_overview(stderr), EXIT_USAGE;
    const char *name = argv[1];
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        return explain(argc - 2, argv + 2);
    if (!strcmp(name, "version") || !strcmp(name, "--version"))
        return argc > 2 ? fail_surplus(argv[2], "version") : print_version();
    if (!strcmp(name, "man"))
        return print_man(argc - 2, argv + 2);
    if (!strcmp(name, "complete"))
        return complete(argc - 2, argv + 2);
    const subcommand *command = find(name);
    return command ? run(command, NULL, argc - 2, argv + 2) : fail_unknown(name);
}

/* A subcommand that ranks do not share is the first one's. */
static int dispatch_rank(int argc, char **argv)
{
    const subcommand *command = argc > 1 ? find(argv[1]) : NULL;
    return tool_is_first() || (command && command->shared) ? dispatch(argc, argv) : EXIT_DONE;
}

/* With the sentence, and the status, of the one rank whose it is to tell: a launcher ends all at the first one that fails,
 * and that one may have to speak yet. */
static int part(int status)
{
    int number = fcl_ranks_number(ranks);
    if (!ranks)
        return status;
    bool tells = fcl_ranks_leave(&ranks, status == EXIT_DONE ? FCL_OK : FCL_ERR_ARGUMENT);
    if (tells && untold) {
        fprintf(stderr, "flowcl: rank %d: %s\n", number, untold);
        tell_usage();
    }
    free(untold);
    return tells ? status : EXIT_DONE;
}

/* A stream that whoever started the program has closed leaves its number to the next file that is opened, and what is
 * said on the stream would be written into that file. The null device takes the number first. */
static bool open_streams(void)
{
    for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
        if (fcntl(number, F_GETFD) < 0 && open("/dev/null", O_RDWR) != number)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (!open_streams())
        return tool_fail("a standard stream is closed, and /dev/null cannot be opened for it: %s", strerror(errno));
    /* A reader that has left, or a limit of a file's size, is an error of the write, not the end of a training. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    arguments = argv;
    int joined = fcl_ranks_join(&ranks);
    if (joined != FCL_OK)
        return joined == FCL_ERR_RANK ? EXIT_FAILED : tool_fail_library();
    int status = dispatch_rank(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && status == EXIT_DONE)
        status =
            errno == EPIPE ? EXIT_FAILED : tool_fail("cannot write to standard output: %s", strerror(errno));
    return part(status);
}
