/* What the subcommands of flowcl share: how one is described, and how it speaks to the terminal. */
#ifndef TOOL_H
#define TOOL_H

#include <flowcl/flowcl.h>
#include <jansson.h>
#include <stdio.h>

/* Ends a function of the library's kind with the status of what failed in it. */
#define TRY(call)                                                                                            \
    do {                                                                                                     \
        int try_status = (call);                                                                             \
        if (try_status != FCL_OK)                                                                            \
            return try_status;                                                                               \
    } while (0)

/* What the shell is told. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct tool_call {
    void *settings; /* the subcommand's own struct, filled from the command line */
    fcl_options *options;
    const char **positional; /* between `least` and `most` of them */
    int count;
} tool_call;

/* A list behind the options in a help: its index-th entry, false past the last. An entry without a name is its text alone. */
typedef struct help_entry {
    const char *name, *text;
} help_entry;
typedef struct help_list {
    const char *heading;
    bool (*at)(int index, help_entry *entry);
} help_list;

extern const help_list help_data_sets, help_grids, help_formulas; /* built-in sets, grids of fixed steps, what a formula knows */

/* A subcommand is a row of the table in flowcl.c and a file of its own. */
typedef struct subcommand {
    const char *name;
    const char *usage;      /* what follows the name */
    const char *summary;    /* one line, for the list of subcommands */
    const char *about;      /* a paragraph for its help, lines broken; or NULL */
    const help_list *const *lists; /* after the options in its help; ends with NULL; or NULL */
    bool shared;            /* among ranks that mpirun started; others are the first one's alone */
    bool internal;          /* started by the program itself: not listed */
    const char *chooser;    /* an option that says which others there are: help looks at it. NULL: none does */
    int least, most;        /* positional arguments */
    size_t size;            /* of its settings, zeroed before `bind` */
    int (*bind)(fcl_options *options, void *settings); /* adds its option tables */
    int (*run)(const tool_call *call);                 /* returns an exit status */
} subcommand;

extern const subcommand devices_command, explain_command, train_command, sample_command, likelihood_command,
    eval_command, classify_command, info_command, bench_command, bench_device_command, tune_command, tune_candidate_command,
    verify_command;

/* "flowcl: sentence" on standard error; returns EXIT_FAILED, so that a subcommand can end with it. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with the library's message. */
int tool_fail_library(void);
/* For wrong usage: points at the subcommand's help, too. Returns EXIT_USAGE. */
int tool_fail_usage(const subcommand *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the option device, where several share samples. */
#define TOOL_DEVICES_HELP \
    "P:D, cpu, gpu or a piece of a name, /N.K after it: part K of N; several, as 0:0,1:0, share the samples; " \
    "$FLOWCL_DEVICE, else the best one"

/* The processes that share the work; NULL: this one is alone. */
fcl_ranks *tool_ranks(void);

/* Whether this process tells and writes: it is alone, or the first of several. */
bool tool_is_first(void);

/* What the first one alone reads, as a path to write to, has to be the same on all: `what` it is, as "folders (--out)". */
int tool_agree(const char *what, const char *text);

/* fcl_device_open, of several processes each one's own device. */
int tool_open_device(const char *name, fcl_device **device);

/* What the program was started with, main's argv. */
char *const *tool_arguments(void);

/* Text that came from a file, an argument or a driver, for printf: see fcl_plain. Good until the eighth call after. */
const char *tool_plain(const char *text);

/* A text in JSON, what is no UTF-8 in it written out; null for NULL. */
json_t *tool_text_json(const char *text);

/* During what follows Ctrl-C ends the library's long calls with FCL_ERR_STOPPED, and on a terminal `bar` (a progress of
 * terminal.h) tells how far they are. Once, before any device is opened. */
void tool_watch(void *bar);

/* Seconds on a clock that only goes forward. */
double tool_now(void);

/* Prints one JSON object on standard output and releases it. Returns an exit status. */
int tool_print_json(json_t *object);

/* A number, null where it is NaN or infinite. */
json_t *tool_real_json(double value);

/* A shape as [2000, 2], and as "(2000, 2)". */
json_t *tool_shape_json(fcl_shape shape);
enum { TOOL_SHAPE_TEXT = 160 };
void tool_shape_text(fcl_shape shape, char text[TOOL_SHAPE_TEXT]);

/* fcl_checkpoint_open_with. FCL_ERR_ARGUMENT with the sentence in `fault`, else empty: the options are given, and the
 * checkpoint has no use for them. */
enum { TOOL_FAULT = 512 };
int tool_open_checkpoint(const char *path, const fcl_foreign_options *foreign, fcl_checkpoint **checkpoint,
                         char fault[TOOL_FAULT]);
/* Whether a path is that of a checkpoint or of a run's folder, and not of samples: a folder is, unless there are picture
 * files in it and nothing of a run. */
bool tool_is_model(const char *path);
/* Whether any is given: then the sentence, about the checkpoint at `path`. */
bool tool_foreign_is_unused(const fcl_foreign_options *foreign, const char *path, char fault[TOOL_FAULT]);
/* A line on standard error of how weights of another program were taken; nothing for our own. */
void tool_print_foreign(const fcl_checkpoint_info *info);

/* A paragraph behind its heading, see terminal_print_entry; `text` is freed, and nothing printed where it is NULL. */
void tool_print_entry(const char *heading, int indent, char *text);
/* What numbers are normalised by, and the range of pictures; NULL where there is nothing to tell. To be freed. */
char *tool_normalisation_text(const fcl_normalisation *by);
/* Which classes there are, their shares of the samples, and which have none; counts: see fcl_class_counts; and for which
 * share of samples the training leaves them out. To be freed. */
char *tool_classes_text(int classes, const char *const *names, const int64_t *counts, double label_drop);

/* Whether samples are drawn with guidance; how, behind a solver's name (", guidance 2"), and into a JSON object. */
bool tool_is_guided(const fcl_sample_options *options);
void tool_print_guidance(const fcl_sample_options *options);
void tool_add_guidance(const fcl_sample_options *options, json_t *object);

/* The decay of the average that samples are drawn with, NULL: the weights themselves; in words, "average 0.999"; and into a
 * JSON object. */
const char *tool_average(const fcl_checkpoint_info *info, const fcl_sample_options *options);
void tool_print_average(const fcl_checkpoint_info *info, const fcl_sample_options *options);
void tool_add_average(const fcl_checkpoint_info *info, const fcl_sample_options *options, json_t *object);

/* The set or file that holds the test pictures of DATA, "fashion-mnist-test" of "fashion-mnist"; NULL: none is known. To be
 * freed. */
char *tool_test_part(const char *data);

/* A line on standard error of what was made of a file beyond the plain (fcl_dataset.note); nothing for NULL. */
void tool_print_note(const char *name, const char *note);

#endif
