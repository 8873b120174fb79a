/* What a training's data were, so that a resumed run knows them again wherever they lie. */
#ifndef TRAIN_FINGERPRINT_H
#define TRAIN_FINGERPRINT_H

#include "base/memory.h"

#include <flowcl/data.h>

/* "300 samples of (2,), checksum 1a2b3c4d": of a set's content, and of nothing else: not of its name, its
 * place or its file's format. The checksum is CRC-32 of the rows as float32, each followed by its label where
 * `labels`: of all rows of a set of up to 4 million numbers, else of at most 65536 rows, which depend on its
 * size alone. Pictures of a folder are decoded for it, so that it is the same whether they are streamed or not. *text is kept
 * in `strings`; NULL for no set. FCL_ERR_FILE, FCL_ERR_FORMAT: one of these cannot be read. */
int fcl_fingerprint(const fcl_dataset *data, bool labels, fcl_arena *strings, const char **text);

#endif
