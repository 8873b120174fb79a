/* What is known of a folder while its pictures are read. */
#ifndef DATA_FOLDER_H
#define DATA_FOLDER_H

#include "data/pictures.h"
#include "data/tree.h"

/* A file that was looked at: its picture's header, or why it has none. */
typedef struct fcl_looked {
    fcl_picture head;
    int status;
    char *fault;
} fcl_looked;

typedef struct fcl_folder {
    const fcl_reading *of;
    fcl_tree tree;
    fcl_looked *looked;     /* (tree.count) */
    fcl_pictures *pictures; /* those that are read */
    fcl_picture *head;      /* (pictures->count) */
    int64_t others, damaged,
        spare;   /* files that are no pictures; pictures passed over; rows of other files */
    char *fault; /* of the first that was passed over */
} fcl_folder;

/* Whether a picture of the folder has colours, its own or those of what lies below it. */
bool fcl_folder_is_coloured(const fcl_folder *r, const fcl_picture *head);

/* --- folder_note.c --- */

/* What was made of the files, in a few words, released by free; NULL: nothing is to be told. */
char *fcl_folder_describe(const fcl_folder *r, const fcl_dataset *dataset);

#endif
