/* fcl_nearest is for programs, too: options.h declares it. */
#include <flowcl/options.h>
