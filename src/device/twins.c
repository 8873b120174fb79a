/* One card through two drivers: which of its entries in the list is the one to take. */
#include "device/choose.h"

#include "base/memory.h"

#include <flowcl/text.h>
#include <stdlib.h>
#include <string.h>

/* Drivers for the cards of others. The vendor's own is before them: it is the faster one. */
static const char *const translators[] = {"rusticl", "Portable Computing Language", "clvk", "Clover",
                                          "OpenCLOn12"};

static bool is_own_driver(const fcl_device_info *info)
{
    for (size_t i = 0; i < sizeof translators / sizeof *translators; i++)
        if (strcasestr(info->platform_name, translators[i]))
            return false;
    return true;
}

/* Parts of one card (MIG, sub-devices) have its address, too, and are devices of one platform. */
static bool is_same_card(const fcl_device_info *a, const fcl_device_info *b)
{
    return a->platform != b->platform && a->card[0] && strcmp(a->card, b->card) == 0;
}

/* An old translator tells no address. That the vendor's driver offers a GPU of the brand says enough to take
 * that. */
static bool may_be_same_card(const fcl_device_info *a, const fcl_device_info *b)
{
    return a->platform != b->platform && (!a->card[0] || !b->card[0]) &&
           is_own_driver(a) != is_own_driver(b) && a->type == FCL_DEVICE_GPU && b->type == FCL_DEVICE_GPU &&
           a->unified_memory == b->unified_memory && fcl_device_brand(a) != FCL_BRAND_OTHER &&
           fcl_device_brand(a) == fcl_device_brand(b);
}

/* Of two entries of one card: without a fault, then by the vendor's own driver, then the first in the list.
 */
static bool is_better(const fcl_device_info *a, const fcl_device_info *b)
{
    if (!a->warning[0] != !b->warning[0])
        return !a->warning[0];
    return is_own_driver(a) && !is_own_driver(b);
}

/* The entry that is to be taken instead of entry i; i itself where there is none. */
static int better_twin(const fcl_device_info *list, int count, int i)
{
    int best = i;
    for (int j = 0; j < count; j++)
        if (list[j].usable && (is_same_card(&list[i], &list[j]) || may_be_same_card(&list[i], &list[j])) &&
            (is_better(&list[j], &list[best]) || (j < best && !is_better(&list[best], &list[j]))))
            best = j;
    return best;
}

static void warn(fcl_device_info *twin, const fcl_device_info *best)
{
    char known[sizeof twin->warning];
    fcl_snprintf(known, sizeof known, "%s", twin->warning);
    fcl_snprintf(twin->warning, sizeof twin->warning, "%s%s%sthe same card as %d:%d, %s", known,
                 *known ? "; " : "", is_same_card(twin, best) ? "" : "perhaps ", best->platform, best->index,
                 is_own_driver(best) && !is_own_driver(twin) ? "which its vendor's own driver offers"
                                                             : "through another driver");
    twin->twin = true;
}

/* First all are found, since a warning changes what is better. */
void fcl_device_find_twins(fcl_device_info *list, int count)
{
    int *best = fcl_zalloc((size_t)count * sizeof *best + 1);
    for (int i = 0; i < count; i++)
        best[i] = list[i].usable ? better_twin(list, count, i) : i;
    for (int i = 0; i < count; i++)
        if (best[i] != i)
            warn(&list[i], &list[best[i]]);
    free(best);
}
