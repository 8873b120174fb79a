#include "base/json.h"

#include "base/locale.h"

json_t *fcl_json_read(const void *text, size_t size, json_error_t *error)
{
    fcl_locale locale = fcl_locale_enter();
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, error);
    fcl_locale_leave(locale);
    return json;
}

char *fcl_json_text(const json_t *json, size_t flags)
{
    fcl_locale locale = fcl_locale_enter();
    char *text = json_dumps(json, flags);
    fcl_locale_leave(locale);
    return text;
}
