/* Which tensors of a file are a model's, where another program has named them: by our names, as they are or
 * as a list of the user's gives them, or by the order of their own. */
#ifndef TRAIN_NAMING_H
#define TRAIN_NAMING_H

#include "base/memory.h"
#include "train/checkpoint.h"
#include "learn/safetensors.h"

/* A tensor or a slice by its name. Those of one layer share the stem, what is before the last point. */
typedef struct fcl_named {
    const char *name;
    size_t stem; /* its length; that of the whole name where there is no point */
    fcl_shape shape;
    int index; /* of the file's tensors, or of the model's slices */
} fcl_named;

fcl_named fcl_named_make(const char *name, fcl_shape shape, int index);
/* For qsort: by stems, numbers in them by their value; what shares a stem stands together. */
int fcl_named_compare(const void *a, const void *b);
/* Whether stems differ in numbers only. */
bool fcl_named_same_row(const fcl_named *one, const fcl_named *two);

/* Below 0, 0, or above: by letters, and by the value of numbers, "net.2" before "net.10". */
int fcl_natural_compare(const char *a, size_t a_length, const char *b, size_t b_length);

/* The names of a file's tensors (naming.c). */
typedef struct fcl_naming {
    const fcl_safetensors *file;
    const char *list;  /* path of the user's list; NULL: none */
    fcl_named *tensor; /* (file->count) by our name where the list has one; in natural order */
    fcl_arena strings;
} fcl_naming;

/* `list` is a YAML mapping of our names to the file's, or NULL. The file is borrowed. FCL_ERR_FILE,
 * FCL_ERR_FORMAT of the list; FCL_ERR_ARGUMENT: it names a tensor that `where` has not, or one twice, or what
 * is none of `params`. */
int fcl_naming_create(const fcl_safetensors *file, const char *list, const char *where,
                      const fcl_params *params, fcl_naming *naming);
void fcl_naming_free(fcl_naming *naming);
/* By our name; NULL: none. */
const fcl_named *fcl_naming_find(const fcl_naming *naming, const char *name);

/* What is found for a model (pairing.c). */
typedef struct fcl_pairing {
    const fcl_naming *naming;
    const fcl_params *params;
    int *tensor[FCL_STATES]; /* (slices) of the file's tensors; -1: none. States but the weights: NULL, or
                                whole */
    bool *used;              /* (file->count) */
    int missing, left;       /* slices without a tensor of their shape; tensors without a slice */
    bool by_order;
    char *doubt; /* by order: why layers of one shape cannot be told apart; NULL: they can */
} fcl_pairing;

/* Our names where all are there. Without a list also by order: layers whose tensors have the same shapes are
 * taken in the order of the numbers in their names, where these differ in nothing else, and only if there are
 * as many as the model has. The way that leaves less open. */
void fcl_pairing_make(const fcl_naming *naming, const fcl_params *params, fcl_pairing *pairing);
void fcl_pairing_free(fcl_pairing *pairing);

/* The samples and classes that a file's tensors are of (guess.c): checkpoint->info has them, checkpoint->model is of them, and
 * *naming, to be freed, has the file's names. `names` as `list` above. FCL_ERR_ARGUMENT, or as fcl_naming_create. */
int fcl_guess_samples(fcl_checkpoint *checkpoint, const char *names, fcl_naming *naming);

/* Whether it can be used: nothing is missing, nothing left over but what a list of the user's leaves. */
bool fcl_pairing_is_whole(const fcl_pairing *pairing);

/* In words, to be released by free: what is missing or left over, all with shapes; and how names were paired.
 */
char *fcl_pairing_faults(const fcl_pairing *pairing);
char *fcl_pairing_text(const fcl_pairing *pairing);

#endif
