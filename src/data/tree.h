/* The files below a folder. */
#ifndef DATA_TREE_H
#define DATA_TREE_H

#include <flowcl/base.h>

typedef struct fcl_tree {
    int64_t count;
    char **name;    /* (count) paths below the folder, in the order of their bytes */
    int64_t hidden; /* files and folders passed over since their names begin with a dot */
    int64_t again;  /* links passed over: what they lead to is there without them */
    int64_t broken; /* links that lead nowhere, and what is neither file nor folder */
} fcl_tree;

/* Subfolders are entered, and links followed, both once: a folder that is reached by itself is not entered by
 * a link, nor a file taken twice. FCL_ERR_FILE: a folder cannot be read. */
int fcl_tree_list(const char *folder, fcl_tree *tree);
void fcl_tree_free(fcl_tree *tree);

#endif
