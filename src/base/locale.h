/* What stands between enter and leave has C's own locale, in the calling thread only. */
#ifndef BASE_LOCALE_H
#define BASE_LOCALE_H

#include <locale.h>

typedef struct fcl_locale {
    locale_t ours, callers;
} fcl_locale;

static inline fcl_locale fcl_locale_enter(void)
{
    locale_t ours = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant of the C library: it costs nothing */
    return (fcl_locale){ours, uselocale(ours)};
}

static inline void fcl_locale_leave(fcl_locale locale)
{
    uselocale(locale.callers);
    freelocale(locale.ours);
}

#endif
