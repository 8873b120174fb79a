/* The optimiser's options, of any struct that has these members: learners and trainings take the same. */
#ifndef LEARN_OPTIONS_H
#define LEARN_OPTIONS_H

#include <flowcl/learn.h>

/* `by`: what gives some of them another default (fcl_option.fallback_of), or NULL. */
/* clang-format off */
#define FCL_OPTIMISER_ROWS(structure, by)                                                                               \
    {"lr", FCL_OPTION(structure, lr), .minimum = 0, .maximum = 1e6, .fallback = "0.005", .fallback_of = by,             \
     .help = "learning rate"},                                                                                          \
    {"schedule", FCL_OPTION(structure, schedule), .fallback = "cosine", .fallback_of = by,                              \
     .choice = fcl_schedule_name, .help = "how the learning rate changes"},                                             \
    {"warmup", FCL_OPTION(structure, warmup), .minimum = 0, .maximum = 1e9,                                             \
     .help = "steps of linear warm-up; 0: none, or a tenth of all for \"warmup\""},                                     \
    {"weight-decay", FCL_OPTION(structure, weight_decay), .minimum = 0, .maximum = 1e3,                                 \
     .help = "decoupled weight decay"},                                                                                 \
    {"beta1", FCL_OPTION(structure, beta1), .minimum = 0, .maximum = 0.9999999, .fallback = "0.9",                      \
     .flags = FCL_OPTION_CAN_BE_OFF, .help = "decay of the gradient's mean"},                                           \
    {"beta2", FCL_OPTION(structure, beta2), .minimum = 0, .maximum = 0.9999999, .fallback = "0.999",                    \
     .fallback_of = by, .flags = FCL_OPTION_CAN_BE_OFF, .help = "decay of the squared gradient's mean"},                \
    {"epsilon", FCL_OPTION(structure, epsilon), .minimum = 0, .maximum = 1, .fallback = "1e-8",                         \
     .help = "added to the root of the squared gradient's mean"},                                                       \
    {"clip", FCL_OPTION(structure, clip), .minimum = 0, .maximum = 1e30, .fallback = "1", .fallback_of = by,            \
     .flags = FCL_OPTION_CAN_BE_OFF, .help = "largest global norm of the gradient"},                                    \
    {"ema", FCL_OPTION(structure, ema), .fallback = "0.999", .fallback_of = by, .placeholder = "D,...",                 \
     .help = "decay of the averaged weights, or of up to four averages, as 0.999,0.9999; off: none"},                   \
    {"on-nan", FCL_OPTION(structure, on_nan), .fallback = "stop", .choice = fcl_on_nan_name,                            \
     .help = "what becomes of a step whose loss or gradient is not finite: stop, or skip it; 50 in a row end the run"}
/* clang-format on */

/* clang-format off */
#define FCL_BUCKETS_ROW(structure, how)                                                                                 \
    {"buckets", FCL_OPTION(structure, buckets), .fallback = "auto", .flags = how, .choice = fcl_buckets_name,           \
     .choice_help = fcl_buckets_help,                                                                                   \
     .help = "of several processes: sum the gradient in buckets of 4 MiB while the backward pass goes on"}
/* clang-format on */

typedef enum fcl_buckets { FCL_BUCKETS_AUTO, FCL_BUCKETS_YES, FCL_BUCKETS_NO, FCL_BUCKETS } fcl_buckets;

const char *fcl_buckets_name(int index);
const char *fcl_buckets_help(int index);
fcl_buckets fcl_buckets_of(const fcl_learner_options *options);
/* Whether there is anybody to exchange them with. */
int fcl_buckets_check(const fcl_learner_options *options);

/* Of options with their defaults. */
int fcl_learner_check_together(const fcl_learner_options *options);
/* "stop", "skip". */
const char *fcl_on_nan_name(int index);
bool fcl_skips_nan(const fcl_learner_options *options);
/* The table's own text of a schedule's name. */
const char *fcl_schedule_own_name(const char *name);

#endif
