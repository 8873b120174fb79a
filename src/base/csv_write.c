#include "base/csv.h"

#include "base/file.h"
#include "base/error.h"

#include <string.h>

int fcl_csv_write(const char *path, const fcl_array *array)
{
    return fcl_csv_write_headed(path, NULL, array, NULL);
}

/* A word is quoted where it would be taken for more than one cell, or for a part of another line. */
static void write_word(fcl_file *file, const char *word)
{
    bool quoted = strpbrk(word, ",;\t\"\r\n#") || !*word;
    fcl_file_format(file, quoted ? ",\"" : ",");
    for (; *word; word++)
        fcl_file_format(file, *word == '"' ? "\"\"" : "%c", *word);
    fcl_file_format(file, quoted ? "\"" : "");
}

int fcl_csv_write_headed(const char *path, const char *heading, const fcl_array *array,
                         const char *const *last)
{
    fcl_file file;
    FCL_TRY(fcl_file_create(path, &file));
    if (heading)
        fcl_file_format(&file, "%s\n", heading);
    int64_t rows = array->shape.rank > 0 ? array->shape.dim[0] : 1;
    int64_t columns = rows > 0 ? fcl_shape_size(array->shape) / rows : 0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++)
            fcl_file_format(&file, c ? ",%.9g" : "%.9g", (double)array->data[i * columns + c]);
        if (last)
            write_word(&file, last[i]);
        fcl_file_format(&file, "\n");
    }
    return fcl_file_commit(&file);
}
