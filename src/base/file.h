/* Whole files, in and out.
 *
 * Writing. A file appears under its name complete or not at all: it is written aside in the same folder,
 * synced, and renamed over the old one, whose mode and owner it takes. Every writer of the library goes this way.
 *
 *     fcl_file file;
 *     FCL_TRY(fcl_file_create(path, &file));
 *     fcl_file_write(&file, bytes, size);             // remembers a failure; no need to check each one
 *     return fcl_file_commit(&file);                  // tells it: "cannot write PATH: No space left on
 * device"
 *
 * Where the path is a link, what it leads to is replaced and the link stays. A path that names a device, a pipe or an
 * open descriptor (/dev/stdout) is written in place. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <flowcl/base.h>
#include <stdio.h>

typedef struct fcl_file {
    FILE *stream; /* written to by the functions below only: they keep the cause of a failure */
    char *path;   /* the file's name, links followed */
    char *aside;  /* where it is written until commit; NULL where it is written in place */
    int failure;  /* the first errno met, 0 while all is well */
} fcl_file;

/* On failure nothing is left open and nothing is left on disk. */
int fcl_file_create(const char *path, fcl_file *file);
void fcl_file_write(fcl_file *file, const void *bytes, size_t size);
void fcl_file_format(fcl_file *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fcl_file_commit(fcl_file *file);   /* ends the file either way; on failure the old file is untouched */
void fcl_file_abandon(fcl_file *file); /* ends it without a trace; a second call is harmless */

/* The length of NAME where `name` is that of a file that is written aside, NAME.PROCESS-ATTEMPT.part; else 0. */
size_t fcl_file_aside_of(const char *name);

/* Reads a regular file whole; *bytes is released by free and has one spare byte at its end. */
int fcl_file_read(const char *path, uint8_t **bytes, size_t *size);

/* Makes a folder, and those above it, where they do not exist. FCL_ERR_FILE also where it cannot be written into. */
int fcl_folder_make(const char *path);

/* FCL_OK where `path` is a regular file that can be opened for reading, else the sentence that says why not.
 */
int fcl_file_check(const char *path);

/* FCL_OK where nobody else can have written a file of ours or put it there: it and its folder, and a link that leads
 * to either, belong to this user, and not everybody may write to them. FCL_ERR_FILE with the sentence. */
int fcl_file_check_owner(const char *path);

/* FCL_OK where a file may be written under that name, asked before long work; else the sentence that says why
 * not. */
int fcl_file_check_place(const char *path);

/* Whether the name ends in `ending` (".npy"), in any case. */
bool fcl_file_ends_with(const char *path, const char *ending);

#endif
