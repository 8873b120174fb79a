#include "base/npz.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

struct fcl_npz {
    zip_t *archive;
    char *path;
    off_t file_size;
    char **names; /* of the arrays: the entries' names without ".npy" */
    int64_t *entries;
    int count;
};

static int index_of(const fcl_npz *npz, const char *name)
{
    for (int i = 0; i < npz->count; i++) {
        if (strcmp(npz->names[i], name) == 0)
            return i;
    }
    return -1;
}

/* The arrays among the entries. libzip finds by a name the first entry that has it; NumPy takes the last. */
static void list_arrays(fcl_npz *npz)
{
    int64_t total = zip_get_num_entries(npz->archive, 0);
    npz->names = fcl_zalloc((size_t)total * sizeof *npz->names);
    npz->entries = fcl_zalloc((size_t)total * sizeof *npz->entries);
    int *place = fcl_zalloc((size_t)total * sizeof *place); /* of an entry among the arrays */
    for (int64_t i = 0; i < total; i++) {
        const char *name = zip_get_name(npz->archive, (zip_uint64_t)i, 0);
        if (!name || !fcl_file_ends_with(name, ".npy"))
            continue;
        int64_t first = zip_name_locate(npz->archive, name, 0);
        if (first >= 0 && first < i) {
            npz->entries[place[first]] = i;
            continue;
        }
        place[i] = npz->count;
        npz->names[npz->count] = fcl_format("%.*s", (int)(strlen(name) - 4), name);
        npz->entries[npz->count++] = i;
    }
    free(place);
}

int fcl_npz_open(const char *path, fcl_npz **npz)
{
    *npz = NULL;
    FCL_TRY(fcl_file_check(path));
    struct stat info = {0};
    stat(path, &info);
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        int status =
            fcl_fail(FCL_ERR_FORMAT, "%s is not a .npz archive: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    *npz = fcl_zalloc(sizeof **npz);
    **npz = (fcl_npz){.archive = archive, .path = fcl_strdup(path), .file_size = info.st_size};
    list_arrays(*npz);
    if ((*npz)->count > 0)
        return FCL_OK;
    fcl_npz_close(npz);
    return fcl_fail(FCL_ERR_FORMAT, "%s holds no array (no entry that ends in .npy)", path);
}

void fcl_npz_close(fcl_npz **npz)
{
    if (!*npz)
        return;
    for (int i = 0; i < (*npz)->count; i++)
        free((*npz)->names[i]);
    zip_discard((*npz)->archive);
    free((*npz)->names);
    free((*npz)->entries);
    free((*npz)->path);
    free(*npz);
    *npz = NULL;
}

const char *fcl_npz_name_at(const fcl_npz *npz, int index)
{
    return index < npz->count ? npz->names[index] : NULL;
}

bool fcl_npz_holds(const fcl_npz *npz, const char *name)
{
    return index_of(npz, name) >= 0;
}

/* Reads an entry of `size` bytes as its directory claims; the end of the entry checks its CRC. */
static int read_entry(const fcl_npz *npz, int64_t entry, const char *where, uint8_t *bytes, size_t size)
{
    zip_file_t *file = zip_fopen_index(npz->archive, (zip_uint64_t)entry, 0);
    if (!file)
        return fcl_fail(FCL_ERR_FORMAT, "%s cannot be unpacked: %s", where, zip_strerror(npz->archive));
    uint8_t spare;
    zip_int64_t got = zip_fread(file, bytes, size);
    zip_int64_t more = got < 0 ? got : zip_fread(file, &spare, 1); /* the read past the end checks the sum */
    int status = FCL_OK;
    if (more < 0)
        status = fcl_fail(FCL_ERR_FORMAT, "%s is damaged: %s", where, zip_file_strerror(file));
    else if ((size_t)got != size || more > 0)
        status = fcl_fail(FCL_ERR_FORMAT, "%s is damaged: it claims %zu bytes, %s are there", where, size,
                          more > 0 ? "more" : "fewer");
    zip_fclose(file);
    return status;
}

/* How many bytes a packed one becomes at most: a larger claim is a lie that is not worth its memory. Deflate
 * makes 258 of two bits; bzip2 makes 46 MB of zeros into 37 bytes, and nothing else goes further. */
static zip_uint64_t most_of_a_byte(const zip_stat_t *stat)
{
    bool known = stat->valid & ZIP_STAT_COMP_METHOD;
    return known && stat->comp_method == ZIP_CM_STORE     ? 1
           : known && stat->comp_method == ZIP_CM_DEFLATE ? 1032
                                                          : 1 << 21;
}

static bool size_believable(const fcl_npz *npz, const zip_stat_t *stat)
{
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    return (stat->valid & needed) == needed && stat->comp_size <= (zip_uint64_t)npz->file_size &&
           stat->size / most_of_a_byte(stat) <= stat->comp_size && stat->size < PTRDIFF_MAX;
}

int fcl_npz_load(const fcl_npz *npz, const char *name, fcl_npy *npy, uint8_t **bytes)
{
    *bytes = NULL;
    int64_t entry = npz->entries[index_of(npz, name)];
    char *where = fcl_format("%s, array %s,", npz->path, name);
    int status;
    zip_stat_t stat;
    if (zip_stat_index(npz->archive, (zip_uint64_t)entry, 0, &stat) != 0 || !size_believable(npz, &stat))
        status = fcl_fail(FCL_ERR_FORMAT, "%s is damaged: the archive does not tell its true size", where);
    else if (!(*bytes = malloc((size_t)stat.size + 1)))
        status = fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its %zu bytes", where, (size_t)stat.size);
    else if ((status = read_entry(npz, entry, where, *bytes, (size_t)stat.size)) == FCL_OK)
        status = fcl_npy_parse(*bytes, (size_t)stat.size, where, npy);
    free(where);
    if (status != FCL_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

static int encode(const fcl_npz_entry *entry, uint8_t **bytes, size_t *size)
{
    if (!entry->array && !entry->bytes)
        return fcl_npy_encode_labels(entry->count, entry->number, entry->word, bytes, size);
    char text[FCL_NPY_HEADER_SIZE];
    const fcl_shape shape = entry->bytes ? entry->shape : entry->array->shape;
    int width = entry->bytes ? 1 : sizeof(float);
    size_t head = fcl_npy_header(entry->bytes ? 'u' : 'f', width, shape, text);
    size_t numbers = (size_t)fcl_shape_size(shape) * (size_t)width;
    *size = head + numbers;
    *bytes = malloc(*size);
    if (!*bytes)
        return FCL_ERR_MEMORY;
    memcpy(*bytes, text, head);
    memcpy(*bytes + head, entry->bytes ? (const void *)entry->bytes : entry->array->data, numbers);
    return FCL_OK;
}

static int add_entry(zip_t *archive, const fcl_npz_entry *entry)
{
    uint8_t *bytes;
    size_t size;
    FCL_TRY(encode(entry, &bytes, &size));
    zip_source_t *source = zip_source_buffer(archive, bytes, size, 1); /* owns bytes from here on */
    if (!source) {
        free(bytes);
        return FCL_ERR_MEMORY;
    }
    char *name = fcl_format("%s.npy", entry->name);
    zip_int64_t index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
    free(name);
    if (index < 0) {
        zip_source_free(source);
        return FCL_ERR_MEMORY;
    }
    zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0);
    zip_file_set_dostime(archive, (zip_uint64_t)index, 0, 1 << 5 | 1,
                         0); /* 1980-01-01: same array, same file */
    return FCL_OK;
}

/* Fills the archive and closes it; libzip keeps it in memory, behind `target`. */
static int pack(zip_source_t *target, const fcl_npz_entry *entries, int count)
{
    zip_t *archive = zip_open_from_source(target, ZIP_TRUNCATE, NULL);
    if (!archive)
        return FCL_ERR_MEMORY;
    zip_source_keep(target); /* closing the archive gives up one reference */
    int status = FCL_OK;
    for (int i = 0; i < count && status == FCL_OK; i++)
        status = add_entry(archive, &entries[i]);
    if (status == FCL_OK && zip_close(archive) == 0)
        return FCL_OK;
    zip_discard(archive);
    return FCL_ERR_MEMORY;
}

static int write_packed(zip_source_t *packed, const char *path)
{
    fcl_file file;
    FCL_TRY(fcl_file_create(path, &file));
    char part[65536];
    zip_int64_t got = -1;
    if (zip_source_open(packed) == 0) {
        while ((got = zip_source_read(packed, part, sizeof part)) > 0)
            fcl_file_write(&file, part, (size_t)got);
        zip_source_close(packed);
    }
    if (got == 0)
        return fcl_file_commit(&file);
    fcl_file_abandon(&file);
    return fcl_fail(FCL_ERR_FILE, "cannot write %s: libzip could not pack it", path);
}

int fcl_npz_write(const char *path, const fcl_npz_entry *entries, int count)
{
    zip_source_t *packed = zip_source_buffer_create(NULL, 0, 0, NULL);
    int status = packed ? pack(packed, entries, count) : FCL_ERR_MEMORY;
    if (status == FCL_OK)
        status = write_packed(packed, path);
    else
        fcl_fail(status, "cannot write %s: no memory to pack it", path);
    zip_source_free(packed);
    return status;
}
