/* The folder of a run: who writes into it, which of its files are the run's, its checkpoints. */
#ifndef TRAIN_FOLDER_H
#define TRAIN_FOLDER_H

#include <flowcl/base.h>

/* A folder belongs to one run at a time, of all processes and threads. The lock is a file with the process's
 * number, which goes with the run; where a process was killed the file stays, but locks nothing. */
typedef struct fcl_run_lock fcl_run_lock;

/* Makes the folder where there is none, takes the lock, and removes what a killed run has left half written.
 * FCL_ERR_FILE names the process that holds it. */
int fcl_run_lock_take(const char *folder, fcl_run_lock **lock);
/* Folders that were made for it, and that nothing was written into, go as well. */
void fcl_run_lock_release(fcl_run_lock **lock);
/* The sentence that the file system has no locks, so that nothing keeps a second run out; NULL where it has.
 */
const char *fcl_run_lock_fault(const fcl_run_lock *lock);

/* "FOLDER/checkpoint-0000005000.safetensors"; released by free. */
char *fcl_checkpoint_path(const char *folder, int64_t step);

/* Removes the oldest checkpoints that a run wrote until `keep` of these are left: other files of a like name
 * stay. */
int fcl_checkpoint_prune(const char *folder, int keep);

#endif
