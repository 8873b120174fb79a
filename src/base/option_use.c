/* Tables in which a choice says which of the options there are. */
#include "base/option_value.h"

#include "base/error.h"

#include <string.h>

/* The row that says it; NULL: the table has none. */
static const fcl_option *find_chooser(const fcl_option *table)
{
    const fcl_option *row = table;
    while (row->key && !row->uses)
        row++;
    return row->key ? row : NULL;
}

static const fcl_option_use *find_use(const fcl_option_use *list, const char *key)
{
    for (; list->key; list++)
        if (strcmp(list->key, key) == 0)
            return list;
    return NULL;
}

bool fcl_option_in_use(const fcl_option *table, const fcl_option *row, const void *values, fcl_option *as_used)
{
    const fcl_option *chooser = find_chooser(table);
    const fcl_option_use *list = chooser ? chooser->uses(values).list : NULL;
    const fcl_option_use *use = list ? find_use(list, row->key) : NULL;
    const char *own = row->fallback_of ? row->fallback_of(values, row->key) : NULL;
    *as_used = *row;
    if (own && own != fcl_option_later)
        as_used->fallback = own;
    if (use && use->fallback)
        as_used->fallback = use->fallback;
    return !list || use;
}

const char fcl_option_later[] = "";

bool fcl_option_is_later(const fcl_option *row, const void *values)
{
    return row->fallback_of && row->fallback_of(values, row->key) == fcl_option_later;
}

bool fcl_option_is_open(const fcl_option *table, const fcl_option *row, const void *values)
{
    const fcl_option *chooser = find_chooser(table);
    bool unchosen = chooser && !chooser->uses(values).list;
    return fcl_option_is_zero(row, values) && (unchosen || fcl_option_is_later(row, values));
}

int fcl_option_refuse_unused(const fcl_option *table, const fcl_option *row, const void *values)
{
    const fcl_option *chooser = find_chooser(table);
    fcl_option_uses uses = chooser->uses(values);
    fcl_text list = {0};
    for (const fcl_option_use *use = uses.list; use->key; use++)
        if (strcmp(use->key, chooser->key) != 0)
            fcl_text_format(&list, "%s%s", list.length ? ", " : "", use->key);
    int status = fcl_fail(FCL_ERR_ARGUMENT, "%s has no use with the %s %s, which reads %s", row->key, chooser->key,
                          uses.name, list.length ? list.data : "no option of this kind");
    fcl_text_free(&list);
    return status;
}
