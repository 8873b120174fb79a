/* Locales whose decimal point is none: tests/meson.build makes them. */
#ifndef TESTS_FOREIGN_H
#define TESTS_FOREIGN_H

#include "status.h"

#include <locale.h>
#include <stdlib.h>

/* A comma, and the two bytes of U+066B. */
static const char *const foreign_locales[] = {"de_DE.UTF-8", "ps_AF.UTF-8"};
enum { FOREIGN_LOCALES = 2 };

static inline void foreign_enter(int i)
{
    if (!setlocale(LC_ALL, foreign_locales[i]))
        fail_msg("there is no locale %s in LOCPATH=%s", foreign_locales[i], getenv("LOCPATH"));
    assert_string_not_equal(localeconv()->decimal_point, ".");
}

static inline void foreign_leave(void)
{
    setlocale(LC_ALL, "C");
}

#endif
