/* Preloaded into the program: it begins in the environment's locale, as a program with a window does. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void enter(void)
{
    if (!setlocale(LC_ALL, "") || localeconv()->decimal_point[0] == '.') {
        fputs("there is no locale with another decimal point\n", stderr);
        exit(77);
    }
}
