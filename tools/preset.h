/* Presets: files of train's options that come with flowcl, <name>.yaml each, which begin with a comment that says in one
 * line what it is and then what it reaches. They lie in the folder `presets` beside the program, where it was built, or in
 * share/flowcl/presets, where it was installed, wherever that was moved to. */
#ifndef PRESET_H
#define PRESET_H

#include "tool.h"

/* Prints their names, what each is, and where they lie. Returns an exit status. */
int preset_list(void);
/* Takes up the options of one, FCL_FROM_PRESET; where another model is chosen already, *replaced, without what it says of its
 * own and of how that learns. Returns an exit status. */
int preset_read(fcl_options *options, const char *name, const char *model, bool *replaced);
/* Tells how its data are had, which are not there. Returns an exit status. */
int preset_fail_data(const char *name, const char *data);
/* Prints for a shell's completion those whose names begin with `word`: the name behind `before`, a tab, what it is. */
void preset_offer(const char *before, const char *word);

#endif
