/* One option's value: the member of a struct that a row of an option table describes. */
#ifndef BASE_OPTION_VALUE_H
#define BASE_OPTION_VALUE_H

#include "base/memory.h"
#include <flowcl/options.h>

/* True where the member is 0 or NULL: the default is meant. */
bool fcl_option_is_zero(const fcl_option *row, const void *values);

/* Sets it to that. */
void fcl_option_clear(const fcl_option *row, void *values);

/* True for what looks like a misspelt name and no formula: letters, digits, - and _, beginning with two letters. */
bool fcl_word_is_plain(const char *text);

/* True for bool and toggle: what the command line may give without a value. */
bool fcl_option_is_yes_no(const fcl_option *row);

/* True, and *yes set, where the text is yes, no, true, false, on or off in any case. */
bool fcl_option_read_yes_no(const char *text, bool *yes);

/* Sets the member from text. A string is copied into `strings`; without an arena the text itself is kept.
 * FCL_ERR_ARGUMENT with a message that opens with the value ('"abc" is not usable: expected ...'). */
int fcl_option_read(const fcl_option *row, void *values, const char *text, fcl_arena *strings);

bool fcl_option_is_real(const fcl_option *row);
bool fcl_option_has_range(const fcl_option *row);
bool fcl_option_can_be_off(const fcl_option *row);
/* True where 0 would be taken for the default, which is another value: 0 must be refused as text. */
bool fcl_option_refuses_zero(const fcl_option *row);

/* Whether there is such an option beside the values as they are; then *as_used is the row, with the default that it has
 * there. The row is one of the table, which may be a copy of it alone. */
bool fcl_option_in_use(const fcl_option *table, const fcl_option *row, const void *values, fcl_option *as_used);
/* Whether its default is not known yet: fcl_option_later. */
bool fcl_option_is_later(const fcl_option *row, const void *values);
/* Whether its value is to follow from a choice that nobody has made yet: no file says it. */
bool fcl_option_is_open(const fcl_option *table, const fcl_option *row, const void *values);
/* FCL_ERR_ARGUMENT: who does not read it, and what that reads. */
int fcl_option_refuse_unused(const fcl_option *table, const fcl_option *row, const void *values);

/* What the help calls the value. */
const char *fcl_option_placeholder(const fcl_option *row);

/* FCL_ERR_ARGUMENT, with the sentence on the text and on what is allowed. */
int fcl_option_refuse(const fcl_option *row, const char *text);

/* Adds the help with names, range and default: "how the rate changes: constant, cosine (default cosine)". */
void fcl_option_describe(const fcl_option *row, bool with_default, fcl_text *text);

/* The shortest decimal that reads back as exactly this number, in single or in double precision. `text` has
 * room for FCL_NUMBER_TEXT bytes. */
enum { FCL_NUMBER_TEXT = 32 };
void fcl_number_text(double number, bool single, char *text);

#endif
