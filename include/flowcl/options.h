/* flowcl/options.h: options described once, as rows of a table, read from everywhere.
 *
 * Options are a struct whose zero is the default. One const row describes each member: its key, range,
 * default and help. From the rows come the command line, YAML files, JSON, help texts and error messages.
 *
 *     typedef struct walk_options { int64_t steps; float rate, clip; fcl_toggle ema; } walk_options;
 *     static const fcl_option walk_table[] = {
 *         {"steps", FCL_OPTION(walk_options, steps), .minimum = 1, .maximum = 1e9, .fallback = "5000",
 *          .group = "Training", .help = "optimiser steps"},
 *         {"lr", FCL_OPTION(walk_options, rate), .minimum = 0, .maximum = 1, .fallback = "0.002",
 *          .help = "learning rate"},
 *         {"clip", FCL_OPTION(walk_options, clip), .minimum = 0, .maximum = 1e6, .fallback = "1",
 *          .flags = FCL_OPTION_CAN_BE_OFF, .help = "largest global norm of a gradient"},
 *         {"ema", FCL_OPTION(walk_options, ema), .fallback = "yes", .help = "average the weights"},
 *         {0}};
 *
 *     int walk(const walk_options *given)
 *     {
 *         walk_options options = *given;
 *         fcl_options_defaults(walk_table, &options);        // a zero member takes its default
 *         ... fcl_options_check(walk_table, &options) ...    // refuses what is out of range
 *
 * Zero is the default, at every entrance, however often defaults are filled. So a value of 0 needs other
 * means where the default is not 0:
 *   - a row with FCL_OPTION_CAN_BE_OFF knows `off`: FCL_OFF (-1) in C, "off" or "0" in text;
 *   - a yes/no with default yes is an fcl_toggle: FCL_ON, FCL_OFF, or 0 for the default;
 *   - any other row whose default is not 0 refuses 0 as text ("above 0", where the minimum is 0).
 *
 * fcl_options binds tables to structs, owns the strings it puts into them, and remembers who set a value:
 *
 *     walk_options walk = {0};
 *     fcl_options *options = fcl_options_create();
 *     fcl_options_add(options, walk_table, &walk);
 *     fcl_options_parse(options, argc - 1, argv + 1, positional, &count);   // the command line
 *     fcl_options_read_yaml(options, "run.yaml");     // does not override what the command line set
 *     fcl_options_finish(options);                    // fills the defaults, checks everything
 *     ... walk ...
 *     fcl_options_destroy(&options);                  // frees the strings in `walk`
 */
#ifndef FLOWCL_OPTIONS_H
#define FLOWCL_OPTIONS_H

#include <flowcl/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A yes/no whose default may be yes. */
typedef signed char fcl_toggle;
#define FCL_ON  1
#define FCL_OFF (-1)

typedef enum fcl_option_type {
    FCL_OPTION_INT,    /* int */
    FCL_OPTION_INT64,  /* int64_t */
    FCL_OPTION_UINT64, /* uint64_t */
    FCL_OPTION_FLOAT,  /* float */
    FCL_OPTION_DOUBLE, /* double */
    FCL_OPTION_BOOL,   /* bool; its default is no */
    FCL_OPTION_TOGGLE, /* fcl_toggle */
    FCL_OPTION_STRING  /* const char *; a choice where the row has names */
} fcl_option_type;

enum {
    FCL_OPTION_CAN_BE_OFF = 1,   /* a number that knows "off", stored as FCL_OFF; its default is not 0 */
    FCL_OPTION_COMMAND_LINE = 2, /* belongs to one call, not to a configuration: neither read from nor written
                                    to YAML and JSON */
    FCL_OPTION_REQUIRED = 4,     /* fcl_options_finish refuses its absence */
    FCL_OPTION_FORMULA = 8,      /* a choice that takes other text too, unless it is a plain word ("t^2", "mode(1)");
                                    who uses the option reads it */
    FCL_OPTION_PARAMETERS = 16,  /* a choice that takes its names with numbers, too ("huber(2)"), and no formula */
    FCL_OPTION_CAN_BE_BARE = 32  /* a string that the command line may name without a value, last or before another
                                    option: it is no string then, and fcl_options_source tells that it was named */
};

/* An option that a choice reads, and its default there; NULL: the row's own. */
typedef struct fcl_option_use {
    const char *key, *fallback;
} fcl_option_use;

/* What is chosen, and the list of what it reads, which ends with {0}. The list NULL: all that the table has, as where
 * nothing is chosen yet. */
typedef struct fcl_option_uses {
    const char *name;
    const fcl_option_use *list;
} fcl_option_uses;

typedef struct fcl_option {
    const char *key; /* "batch-size"; '-' and '_' are the same where a key is read */
    fcl_option_type type;
    size_t offset;
    double minimum, maximum;          /* of a number; both 0: what the type holds */
    const char *fallback;             /* the default as text; NULL: 0, no, or no string */
    unsigned flags;                   /* FCL_OPTION_CAN_BE_OFF | ... */
    const char *(*choice)(int index); /* the names a string may have: the index-th, NULL past the last */
    const char *(*choice_help)(int index); /* what the index-th name is, for the help; NULL: the names alone */
    const char *placeholder;          /* what the help calls the value ("FILE"); NULL: by type */
    const char *group;                /* heading in the help; NULL: the one of the row before */
    const char *help;                 /* one sentence fragment, lower case, no full stop */
    /* Of the one row of a table, a choice, that says which of the table's options there are, itself included, by what the
     * struct holds: the others have no default, stand in no help and no file, and who sets one is told so. */
    fcl_option_uses (*uses)(const void *values);
    /* The default of a key where it follows from what the struct holds; NULL, or giving NULL: `fallback`. It is of the same
     * kind, so that 0 keeps its meaning. Giving fcl_option_later: what it follows from is not known yet, and 0 stays. */
    const char *(*fallback_of)(const void *values, const char *key);
} fcl_option;

/* A row's type and offset, from the struct's member, so that they cannot disagree with it. */
#ifndef __cplusplus
#define FCL_OPTION(structure, member)                                                                        \
    _Generic(((structure *)0)->member,                                                                      \
        int: FCL_OPTION_INT,                                                                                \
        int64_t: FCL_OPTION_INT64,                                                                          \
        uint64_t: FCL_OPTION_UINT64,                                                                        \
        float: FCL_OPTION_FLOAT,                                                                            \
        double: FCL_OPTION_DOUBLE,                                                                          \
        bool: FCL_OPTION_BOOL,                                                                              \
        fcl_toggle: FCL_OPTION_TOGGLE,                                                                      \
        const char *: FCL_OPTION_STRING),                                                                   \
        offsetof(structure, member)
#else
#define FCL_OPTION(structure, member)                                                                        \
    fcl_option_type_of((decltype(((structure *)0)->member) *)0), offsetof(structure, member)
extern "C++" {
constexpr fcl_option_type fcl_option_type_of(int *) { return FCL_OPTION_INT; }
constexpr fcl_option_type fcl_option_type_of(int64_t *) { return FCL_OPTION_INT64; }
constexpr fcl_option_type fcl_option_type_of(uint64_t *) { return FCL_OPTION_UINT64; }
constexpr fcl_option_type fcl_option_type_of(float *) { return FCL_OPTION_FLOAT; }
constexpr fcl_option_type fcl_option_type_of(double *) { return FCL_OPTION_DOUBLE; }
constexpr fcl_option_type fcl_option_type_of(bool *) { return FCL_OPTION_BOOL; }
constexpr fcl_option_type fcl_option_type_of(fcl_toggle *) { return FCL_OPTION_TOGGLE; }
constexpr fcl_option_type fcl_option_type_of(const char **) { return FCL_OPTION_STRING; }
}
#endif

/* --- a table and a struct: for functions that take options --- */

/* What a row's fallback_of gives where nobody can say yet; a text without meaning, known by its address. */
FCL_API extern const char fcl_option_later[];

/* Gives each member that is 0 or NULL its default. Strings point to the table's own text. */
FCL_API void fcl_options_defaults(const fcl_option *table, void *values);

/* FCL_ERR_ARGUMENT where a number is out of range, a choice has no such name, or an option is set that the choice of
 * another does not read; the message names the key, the value and what is allowed. Values of 0 or NULL pass: they are
 * defaults. */
FCL_API int fcl_options_check(const fcl_option *table, const void *values);

/* A row's value as text that fcl_options_set reads back exactly ("0.002", "yes", "off"; "" for no string).
 * Released by fcl_free. */
FCL_API char *fcl_option_text(const fcl_option *row, const void *values);

/* --- tables bound to structs: for programs --- */

typedef struct fcl_options fcl_options;

/* Who set a value. A later source is never overridden by an earlier one, whatever the order of the calls. */
typedef enum fcl_option_source {
    FCL_FROM_DEFAULT,
    FCL_FROM_PRESET, /* a file that others wrote as a beginning */
    FCL_FROM_CHECKPOINT,
    FCL_FROM_FILE,
    FCL_FROM_COMMAND_LINE
} fcl_option_source;

FCL_API fcl_options *fcl_options_create(void);
/* Frees the strings that it put into the structs; the structs are the caller's. */
FCL_API void fcl_options_destroy(fcl_options **options);

/* Binds a table to a struct; both are kept until destroy. FCL_ERR_ARGUMENT where a key exists already. */
FCL_API int fcl_options_add(fcl_options *options, const fcl_option *table, void *values);

/* Sets one value from text. FCL_ERR_ARGUMENT: an unknown key (the message names the nearest one), or a value
 * that is not usable (the message names what is allowed). A value set by a later source stays. */
FCL_API int fcl_options_set(fcl_options *options, const char *key, const char *text,
                            fcl_option_source source);

/* Who set the key's value; FCL_FROM_DEFAULT also for a key that does not exist. */
FCL_API fcl_option_source fcl_options_source(const fcl_options *options, const char *key);

/* Gives a value its default again, as if nobody had set it. FCL_ERR_ARGUMENT: an unknown key. */
FCL_API int fcl_options_clear(fcl_options *options, const char *key);

/* Reads command line arguments (without the program's name): --key value, --key=value, --flag, --no-flag;
 * "--" ends the options. The other arguments go to positional[0 .. *count), which has room for argc. */
FCL_API int fcl_options_parse(fcl_options *options, int argc, char *const *argv, const char **positional,
                              int *count);

/* Reads a flat YAML mapping of keys to values, source FCL_FROM_FILE. Messages begin with file:line:column.
 * FCL_ERR_FILE, FCL_ERR_FORMAT (not YAML, or not flat), FCL_ERR_ARGUMENT (a key, or a value). */
FCL_API int fcl_options_read_yaml(fcl_options *options, const char *path);

/* The same, source FCL_FROM_PRESET: those that come with flowcl lie in share/flowcl/presets, options of training each
 * (train.h). */
FCL_API int fcl_options_read_preset(fcl_options *options, const char *path);

/* The values as YAML, with the help as comments: reading it gives every value back exactly. The text is
 * released by fcl_free; the file is written aside and renamed. */
FCL_API char *fcl_options_to_yaml(const fcl_options *options);
FCL_API int fcl_options_write_yaml(const fcl_options *options, const char *path);

/* The same as one flat JSON object, for a checkpoint's metadata. Reading has source FCL_FROM_CHECKPOINT. */
FCL_API char *fcl_options_to_json(const fcl_options *options);
FCL_API int fcl_options_read_json(fcl_options *options, const char *text);

/* Fills the defaults and checks every value, also that required ones are there. What a choice does not read is refused
 * where the command line or a file has set it, and dropped where a checkpoint or a preset has. */
FCL_API int fcl_options_finish(fcl_options *options);

/* The one of `words` that somebody who wrote `word` most likely meant, by edit distance (case does not count;
 * a beginning of a word is near it), or NULL where none is near enough: for "did you mean ...?". */
FCL_API const char *fcl_nearest(const char *word, const char *const *words, int count);

/* The options by group, with default and range, wrapped to `width` columns: those that there are by what is set so far.
 * Released by fcl_free. */
FCL_API char *fcl_options_help(const fcl_options *options, int width);

/* The same as subsections of a man page, in the macros of man(7); and any text for one: a line without requests and escapes.
 * Released by fcl_free. */
FCL_API char *fcl_options_man(const fcl_options *options);
FCL_API char *fcl_man_text(const char *words);

/* For a shell's completion: what `word`, the part of a word that is typed, may become behind the word `previous` ("" for none),
 * a line each, "candidate<tab>what it is": keys ("--steps"), or the values that an option knows by name. A line of one of the
 * following alone says what else may stand there. Released by fcl_free. */
#define FCL_COMPLETE_FILES    "<file>"
#define FCL_COMPLETE_FOLDERS  "<folder>"
#define FCL_COMPLETE_ARGUMENT "<argument>" /* no option and no option's value */
FCL_API char *fcl_options_complete(const fcl_options *options, const char *previous, const char *word);

#ifdef __cplusplus
}
#endif

#endif
