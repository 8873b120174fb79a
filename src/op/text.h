/* For op->element.write and op->rows.write: the text that stands for a node inside of a generated kernel. */
#ifndef OP_TEXT_H
#define OP_TEXT_H

#include "graph/graph.h"

/* --- the value of element i (compile/generate.c) --- */

fcl_text *fcl_element_text(fcl_element_writer *writer);
/* The number of the argument that an input is read from, at any place: "x0". */
int fcl_element_memory(fcl_element_writer *writer, fcl_tensor *input);
/* Writes the value of an input at element i. */
void fcl_element_operand(fcl_element_writer *writer, const fcl_tensor *node, fcl_tensor *input);
/* Asks for the counters `seed`, `step`, `first_row`. */
void fcl_element_random(fcl_element_writer *writer);

/* --- rows of a block, a tile of BLOCK_VECTORS vectors of them at a time (compile/block_text.c) --- */

fcl_text *fcl_row_text_of(fcl_row_writer *writer);
/* The place of a value's first column: column c of the rows is at tile[(place + c) * BLOCK_VECTORS]. -1: nobody reads it. */
int fcl_row_place(const fcl_row_writer *writer, const fcl_tensor *value);
/* The number of the argument that an input is read from, any rows of it. */
int fcl_row_memory(fcl_row_writer *writer, fcl_tensor *input);
/* Asks for the counters `seed`, `step`, `first_row`. */
void fcl_row_random(fcl_row_writer *writer);
/* A number of each row, (B) of FCL_I32, is an array of BLOCK_ROWS ints: the name of the one that an input is, which is loaded
 * where it comes from outside; of a new one for a node of the block; and the node's is stored where others read it. */
void fcl_row_index_read(fcl_row_writer *writer, fcl_tensor *input, char name[static 16]);
void fcl_row_index_make(fcl_row_writer *writer, fcl_tensor *node, char name[static 16]);
void fcl_row_index_store(fcl_row_writer *writer, fcl_tensor *node);

#endif
