/* Losses: the distance of the velocity v from the target u. */
#include "flow/flow.h"

static const fcl_loss losses[] = {
    {"squared", fcl_cfm_loss, "mean of the squared differences"},
};
enum { COUNT = sizeof losses / sizeof *losses };

const char *fcl_loss_name(int index)
{
    return index >= 0 && index < COUNT ? losses[index].name : NULL;
}

const char *fcl_loss_help(int index)
{
    return index >= 0 && index < COUNT ? losses[index].help : NULL;
}

const fcl_loss *fcl_loss_find(const char *name)
{
    int index = fcl_row_index(fcl_loss_name, name);
    return index < 0 ? NULL : &losses[index];
}
