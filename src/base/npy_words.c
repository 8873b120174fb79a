/* Text in NumPy's arrays: elements of a fixed length, zeros behind what is shorter. */
#include "base/npy.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 4 }; /* of a letter in UTF-8 */

/* Appends a letter's UTF-8; what is no letter becomes U+FFFD. */
static size_t add_letter(uint32_t letter, char *to)
{
    if (letter > 0x10ffff || (letter >= 0xd800 && letter < 0xe000))
        letter = 0xfffd;
    if (letter < 0x80)
        return to[0] = (char)letter, 1;
    size_t more = letter < 0x800 ? 1 : letter < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, letter >>= 6)
        to[i] = (char)(0x80 | (letter & 0x3f));
    to[0] = (char)(((0xff00u >> (more + 1)) & 0xff) | letter);
    return more + 1;
}

static uint32_t letter_at(const fcl_npy *npy, const uint8_t *element)
{
    uint32_t letter = 0;
    for (int i = 0; i < 4; i++)
        letter = letter << 8 | element[npy->big_endian ? i : 3 - i];
    return letter;
}

static size_t element_text(const fcl_npy *npy, const uint8_t *element, char *text)
{
    size_t length = 0;
    int step = npy->kind == 'U' ? 4 : 1;
    for (int at = 0; at < npy->item_size; at += step) {
        uint32_t letter = step == 4 ? letter_at(npy, element + at) : element[at];
        if (letter == 0)
            break;
        if (step == 4)
            length += add_letter(letter, text + length);
        else
            text[length++] = (char)letter;
    }
    return length;
}

int fcl_npy_words(const fcl_npy *npy, const char *where, int most, fcl_words *words)
{
    size_t item = (size_t)npy->item_size, count = (size_t)fcl_shape_size(npy->shape);
    uint8_t *elements = malloc(count * item + 1);
    char *text = malloc(item + MOST_BYTES);
    int status = elements && text ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its text", where);
    if (status == FCL_OK)
        fcl_npy_copy(npy, elements);
    for (size_t i = 0; i < count && status == FCL_OK; i++)
        status = fcl_words_add(words, text, element_text(npy, elements + i * item, text), most);
    if (status == FCL_ERR_ARGUMENT)
        status = fcl_fail_within(status, "%s", where);
    free(elements);
    free(text);
    return status;
}

/* --- and back --- */

/* The letter of UTF-8 that begins at *at, which moves on; a byte that is out of place stands for itself. */
static uint32_t take_letter(const char **at)
{
    const unsigned char *byte = (const unsigned char *)*at;
    size_t more = byte[0] >= 0xf0 ? 3 : byte[0] >= 0xe0 ? 2 : byte[0] >= 0xc0 ? 1 : 0, had = 0;
    uint32_t letter = more ? byte[0] & (0x3fu >> more) : byte[0];
    for (; had < more && (byte[had + 1] & 0xc0) == 0x80; had++)
        letter = letter << 6 | (byte[had + 1] & 0x3f);
    *at += had == more ? more + 1 : 1;
    return had == more ? letter : byte[0];
}

static size_t letters_of(const char *word)
{
    size_t count = 0;
    for (; *word; count++)
        take_letter(&word);
    return count;
}

static void write_word(const char *word, uint32_t *letters)
{
    for (size_t i = 0; *word; i++)
        letters[i] = take_letter(&word);
}

int fcl_npy_encode_labels(int64_t count, const int32_t *number, const char *const *word, uint8_t **bytes,
                          size_t *size)
{
    char header[FCL_NPY_HEADER_SIZE];
    size_t letters = 1;
    for (int64_t i = 0; word && i < count; i++)
        letters = letters_of(word[number[i]]) > letters ? letters_of(word[number[i]]) : letters;
    size_t head = fcl_npy_header(word ? 'U' : 'i', word ? (int)letters : 4, FCL_SHAPE(count), header);
    *size = head + (size_t)count * letters * sizeof(uint32_t);
    *bytes = calloc(1, *size);
    if (!*bytes)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %lld labels", (long long)count);
    memcpy(*bytes, header, head);
    uint32_t *to = (uint32_t *)(void *)(*bytes + head); /* a multiple of 64 bytes from the begin */
    if (!word)
        memcpy(to, number, (size_t)count * sizeof *number);
    for (int64_t i = 0; word && i < count; i++)
        write_word(word[number[i]], to + (size_t)i * letters);
    return FCL_OK;
}
