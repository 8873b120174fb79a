/* Text from files and arguments as text for a person's terminal, which obeys control characters. */
#include <flowcl/text.h>

#include "base/memory.h"

#include <string.h>

/* The code point at `text` and its length; -1 and 1 where the bytes are no UTF-8. */
static long decode(const unsigned char *text, int *length)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    int count = *text < 0x80                     ? 1
                : *text >= 0xc2 && *text <= 0xdf ? 2
                : (*text & 0xf0) == 0xe0         ? 3
                : *text >= 0xf0 && *text <= 0xf4 ? 4
                                                 : 0;
    long code = count == 1 ? *text : *text & (0x7f >> count);
    bool right = count > 0;
    for (int i = 1; i < count && right; i++) { /* a text's end is none of these bytes */
        right = (text[i] & 0xc0) == 0x80;
        code = code << 6 | (text[i] & 0x3f);
    }
    right = right && code >= least[count] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    *length = right ? count : 1;
    return right ? code : -1;
}

/* Control characters, separators of lines, and what turns the direction of writing. */
static bool is_control(long code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void add_escaped(fcl_text *plain, long code, unsigned char byte)
{
    if (code == '\n' || code == '\t' || code == '\r')
        fcl_text_add(plain, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
    else if (code < 0x80)
        fcl_text_format(plain, "\\x%02x", byte);
    else
        fcl_text_format(plain, "\\u%04lx", (unsigned long)code);
}

char *fcl_plain(const char *text)
{
    fcl_text plain = {0};
    const char *begin = text;
    fcl_text_add(&plain, "");
    for (int length; *text; text += length) {
        long code = decode((const unsigned char *)text, &length);
        if (code >= 0 && !is_control(code))
            continue;
        fcl_text_format(&plain, "%.*s", (int)(text - begin), begin);
        add_escaped(&plain, code, (unsigned char)*text);
        begin = text + length;
    }
    fcl_text_add(&plain, begin);
    return plain.data;
}
