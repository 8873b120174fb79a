#include "device/tuned.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "device/environment.h"
#include "device/opencl.h"

#include <flowcl/flowcl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FORMAT = 2 };

/* --- the table --- */

static bool same_kind(const fcl_gemm_problem *a, const fcl_gemm_problem *b)
{
    return a->batch == b->batch && a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b &&
           a->share_a == b->share_a && a->share_b == b->share_b;
}

/* Infinite where one is more than twice the other. */
static double distance(int a, int b)
{
    double ratio = fabs(log2((double)a / b));
    return ratio <= 1 ? ratio : INFINITY;
}

/* What follows a product says less of it than its size. */
static double behind(const fcl_gemm_problem *a, const fcl_gemm_problem *b)
{
    return 0.25 * (abs(a->reads - b->reads) + abs(a->stores - b->stores));
}

const fcl_gemm_choice *fcl_tuned_find(const fcl_tuned_table *table, const fcl_gemm_problem *problem)
{
    const fcl_gemm_choice *nearest = NULL;
    double least = INFINITY;
    for (int i = 0; i < table->count; i++) {
        const fcl_gemm_problem *known = &table->rows[i].problem;
        if (!same_kind(known, problem))
            continue;
        double away = distance(known->m, problem->m) + distance(known->n, problem->n) +
                      distance(known->k, problem->k) + behind(known, problem);
        if (away < least) {
            least = away;
            nearest = &table->rows[i].choice;
        }
    }
    return nearest;
}

static bool same_problem(const fcl_gemm_problem *a, const fcl_gemm_problem *b)
{
    return same_kind(a, b) && a->m == b->m && a->n == b->n && a->k == b->k && a->reads == b->reads &&
           a->stores == b->stores;
}

static uint64_t hash_problem(const fcl_gemm_problem *p)
{
    const int flags = p->transpose_a + 2 * p->transpose_b + 4 * p->share_a + 8 * p->share_b;
    const int part[] = {p->m, p->n, p->k, p->batch, flags, p->reads, p->stores};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        hash = ((hash ^ (uint64_t)part[i]) * 0x9e3779b97f4a7c15u) ^ (hash >> 29);
    return hash ^ (hash >> 32);
}

/* Where the problem's row stands, or would. */
static int *find_place(const fcl_tuned_table *table, const fcl_gemm_problem *problem)
{
    int at = (int)(hash_problem(problem) & (uint64_t)(table->places - 1));
    while (table->place[at] && !same_problem(&table->rows[table->place[at] - 1].problem, problem))
        at = (at + 1) & (table->places - 1);
    return &table->place[at];
}

/* Room for twice as many rows; a quarter of the places is taken then. */
static void grow(fcl_tuned_table *table)
{
    int room = table->count ? 2 * table->count : 16;
    table->rows = fcl_grow(table->rows, (size_t)room * sizeof *table->rows);
    free(table->place);
    table->places = 2 * room;
    table->place = fcl_zalloc((size_t)table->places * sizeof *table->place);
    for (int i = 0; i < table->count; i++)
        *find_place(table, &table->rows[i].problem) = i + 1;
}

void fcl_tuned_put(fcl_tuned_table *table, const fcl_tuned *row)
{
    if (2 * table->count >= table->places)
        grow(table);
    int *place = find_place(table, &row->problem);
    if (!*place)
        *place = ++table->count;
    table->rows[*place - 1] = *row;
}

void fcl_tuned_free(fcl_tuned_table *table)
{
    free(table->rows);
    free(table->place);
    *table = (fcl_tuned_table){0};
}

/* --- what the measurements hold for --- */

/* In the order in which a difference is told. */
static void list_facts(const fcl_device *device, char kernels[17], char gpu[17], const char *facts[][2])
{
    const fcl_device_info *info = &device->info;
    snprintf(kernels, 17, "%016llx",
             (unsigned long long)(31 * fcl_hash(fcl_kernel_text("tile.h")) + fcl_hash(fcl_kernel_text("gemm.cl"))));
    snprintf(gpu, 17, "%016llx", (unsigned long long)fcl_hash(fcl_kernel_text("gemm_gpu.cl")));
    const char *list[][2] = {
        {"platform", info->platform_name},  {"device", info->name},     {"version", info->device_version},
        {"driver", info->driver},           {"library", fcl_version()}, {"kernels", kernels},
        {"clblast", fcl_clblast_version()}, {"gpu_kernels", gpu},
    };
    memcpy(facts, list, sizeof list);
}
enum { FACTS = 8, OLD_FACTS = 7 /* older tables have these */ };

/* One file a device, whatever its driver: a newer driver's table takes the older one's place. */
static char *table_path(const fcl_device *device)
{
    char *folder = fcl_cache_folder();
    char *name = fcl_format("%s, %s", device->info.platform_name, device->info.name);
    char *path =
        folder ? fcl_format("%s/products-%016llx.json", folder, (unsigned long long)fcl_hash(name)) : NULL;
    free(name);
    free(folder);
    return path;
}

/* --- reading --- */

static bool read_int(const json_t *row, const char *key, int minimum, int maximum, int *value)
{
    const json_t *number = json_object_get(row, key);
    *value = (int)json_integer_value(number);
    return json_is_integer(number) && json_integer_value(number) >= minimum &&
           json_integer_value(number) <= maximum;
}

static bool read_bool(const json_t *row, const char *key, bool *value)
{
    const json_t *flag = json_object_get(row, key);
    *value = json_is_true(flag);
    return json_is_boolean(flag);
}

/* Older tables say nothing of what follows. */
static bool read_matrices(const json_t *row, const char *key, int *value)
{
    *value = 0;
    return !json_object_get(row, key) || read_int(row, key, 0, FCL_PRODUCT_MATRICES, value);
}

static bool read_problem(const json_t *row, fcl_gemm_problem *p)
{
    return read_matrices(row, "reads", &p->reads) && read_matrices(row, "stores", &p->stores) &&
           read_int(row, "m", 1, INT32_MAX, &p->m) && read_int(row, "n", 1, INT32_MAX, &p->n) &&
           read_int(row, "k", 1, INT32_MAX, &p->k) && read_int(row, "batch", 1, INT32_MAX, &p->batch) &&
           read_bool(row, "transpose_a", &p->transpose_a) && read_bool(row, "transpose_b", &p->transpose_b) &&
           read_bool(row, "share_a", &p->share_a) && read_bool(row, "share_b", &p->share_b);
}

static bool read_gpu(const json_t *row, fcl_gemm_choice *choice)
{
    const char *name = json_string_value(json_object_get(row, "set"));
    choice->set = name ? fcl_gemm_gpu_find(name) : -1;
    return choice->set >= 0 && read_int(row, "parts", 1, FCL_GEMM_GPU_PARTS, &choice->parts);
}

static bool read_choice(const json_t *row, fcl_gemm_choice *choice)
{
    const char *name = json_string_value(json_object_get(row, "provider"));
    int provider = name ? fcl_gemm_provider_find(name) : -1;
    if (provider < 0)
        return false;
    choice->provider = (fcl_gemm_provider)provider;
    if (choice->provider == FCL_GEMM_GPU)
        return read_gpu(row, choice);
    if (choice->provider == FCL_GEMM_CLBLAST)
        return true;
    return read_int(row, "rows", 1, 8, &choice->rows) && read_int(row, "vectors", 1, 4, &choice->vectors) &&
           choice->vectors != 3 && read_int(row, "block", 1, FCL_GEMM_MOST_BLOCK, &choice->block) &&
           read_int(row, "panels", 1, FCL_GEMM_MOST_PANELS, &choice->panels);
}

static bool read_set(const json_t *root, const char *key, int *set)
{
    const char *name = json_string_value(json_object_get(root, key)), *known;
    for (int i = 0; name && (known = fcl_clblast_set_name(i)); i++)
        if (strcmp(known, name) == 0) {
            *set = i;
            return true;
        }
    return false;
}

/* Older tables have one set for both kernels. */
static bool read_sets(const json_t *root, fcl_tuned_table *table)
{
    const char *direct = "clblast_direct_parameters", *both = "clblast_parameters";
    return read_set(root, both, &table->clblast_set) &&
           read_set(root, json_object_get(root, direct) ? direct : both, &table->clblast_direct);
}

/* Older tables have none. */
static bool read_switch(const json_t *root, fcl_tuned_table *table)
{
    const char *key = "clblast_indirect_from";
    return !json_object_get(root, key) ||
           read_int(root, key, 0, FCL_CLBLAST_SWITCH_MOST, &table->clblast_switch);
}

/* The sentence that says why the table is of no use; NULL where it was read. */
static char *read_rows(const json_t *root, const char *path, fcl_tuned_table *table)
{
    const json_t *products = json_object_get(root, "products"), *row;
    size_t i;
    if (!read_sets(root, table))
        return fcl_format("%s names no set of CLBlast's parameters that this program knows", path);
    if (!read_switch(root, table))
        return fcl_format("clblast_indirect_from of %s is damaged", path);
    if (!json_is_array(products))
        return fcl_format("%s has no products", path);
    json_array_foreach(products, i, row)
    {
        fcl_tuned tuned = {.seconds = json_number_value(json_object_get(row, "seconds")),
                           .rule_seconds = json_number_value(json_object_get(row, "rule_seconds"))};
        if (!read_problem(row, &tuned.problem) || !read_choice(row, &tuned.choice))
            return fcl_format("product %zu of %s is damaged", i + 1, path);
        fcl_tuned_put(table, &tuned);
    }
    return NULL;
}

static char *compare_facts(const fcl_device *device, const json_t *root, const char *path)
{
    char kernels[17], gpu[17];
    const char *facts[FACTS][2];
    list_facts(device, kernels, gpu, facts);
    for (int i = 0; i < FACTS; i++) {
        const char *kept = json_string_value(json_object_get(root, facts[i][0]));
        if (!kept && i >= OLD_FACTS)
            continue;
        if (!kept || strcmp(kept, facts[i][1]))
            return fcl_format("%s was measured with %s %s, this is %s", path, facts[i][0],
                              kept ? kept : "unknown", facts[i][1]);
    }
    return NULL;
}

static char *read_table(fcl_device *device, const char *path)
{
    json_error_t error;
    uint8_t *bytes;
    size_t size;
    if (fcl_file_check_owner(path) != FCL_OK || fcl_file_read(path, &bytes, &size) != FCL_OK)
        return fcl_strdup(fcl_error());
    json_t *root = fcl_json_read(bytes, size, &error);
    free(bytes);
    if (!root)
        return fcl_format("%s:%d:%d: %s", path, error.line, error.column, error.text);
    char *why = json_integer_value(json_object_get(root, "format")) == FORMAT
                    ? compare_facts(device, root, path)
                    : fcl_format("%s is not of format %d", path, FORMAT);
    if (!why)
        why = read_rows(root, path, &device->tuned);
    json_decref(root);
    if (why)
        fcl_tuned_free(&device->tuned);
    return why;
}

void fcl_tuned_read(fcl_device *device)
{
    bool off = fcl_environment("FLOWCL_TUNE") != NULL; /* its only value */
    char *path = off ? NULL : table_path(device);
    char *why = path && access(path, F_OK) == 0 ? read_table(device, path) : NULL;
    if (why)
        snprintf(device->info.tuning, sizeof device->info.tuning,
                 "the table of tuned products is not used: %s; flowcl tune measures anew", why);
    free(why);
    free(path);
}

/* --- writing --- */

static json_t *choice_json(const fcl_gemm_choice *choice)
{
    const char *provider = fcl_gemm_provider_name(choice->provider);
    char set[FCL_GEMM_GPU_NAME];
    if (choice->provider == FCL_GEMM_TILE)
        return json_pack("{s:s, s:i, s:i, s:i, s:i}", "provider", provider, "rows", choice->rows, "vectors", choice->vectors,
                         "block", choice->block, "panels", choice->panels);
    if (choice->provider == FCL_GEMM_CLBLAST)
        return json_pack("{s:s}", "provider", provider);
    fcl_gemm_gpu_name(choice->set, set);
    return json_pack("{s:s, s:s, s:i}", "provider", provider, "set", set, "parts", choice->parts);
}

static json_t *row_json(const fcl_tuned *row)
{
    const fcl_gemm_problem *p = &row->problem;
    json_t *object = json_pack("{s:i, s:i, s:i, s:i, s:b, s:b, s:b, s:b, s:i, s:i}", "m", p->m, "n", p->n, "k", p->k, "batch",
                               p->batch, "transpose_a", p->transpose_a, "transpose_b", p->transpose_b, "share_a", p->share_a,
                               "share_b", p->share_b, "reads", p->reads, "stores", p->stores);
    json_t *choice = choice_json(&row->choice);
    json_object_update(object, choice);
    json_decref(choice);
    json_object_set_new(object, "seconds", json_real(row->seconds));
    json_object_set_new(object, "rule_seconds", json_real(row->rule_seconds));
    return object;
}

/* A line a product: a person may read it, or take one out. */
static void write_rows(fcl_file *file, const fcl_tuned_table *table)
{
    for (int i = 0; i < table->count; i++) {
        json_t *row = row_json(&table->rows[i]);
        char *line = fcl_json_text(row, JSON_REAL_PRECISION(6));
        fcl_file_format(file, "%s\n    %s", i ? "," : "", line);
        free(line);
        json_decref(row);
    }
}

/* A driver may name its device in bytes that are not UTF-8: these cannot be compared either. */
static int write_facts(const fcl_device *device, fcl_file *file)
{
    char kernels[17], gpu[17];
    const char *facts[FACTS][2];
    list_facts(device, kernels, gpu, facts);
    for (int i = 0; i < FACTS; i++) {
        json_t *text = json_string(facts[i][1]);
        if (!text)
            return fcl_fail(FCL_ERR_UNSUPPORTED, "the device's %s is not UTF-8: its table cannot be written",
                            facts[i][0]);
        char *quoted = fcl_json_text(text, JSON_ENCODE_ANY);
        fcl_file_format(file, "  \"%s\": %s,\n", facts[i][0], quoted);
        free(quoted);
        json_decref(text);
    }
    return FCL_OK;
}

int fcl_tuned_write(const fcl_device *device, const fcl_tuned_table *table, char **path)
{
    fcl_file file;
    *path = table_path(device);
    if (!*path)
        return fcl_fail(FCL_ERR_FILE, "there is no folder for the table: set XDG_CACHE_HOME or HOME");
    FCL_TRY(fcl_file_create(*path, &file));
    fcl_file_format(&file, "{\n  \"format\": %d,\n", FORMAT);
    int status = write_facts(device, &file);
    if (status != FCL_OK) {
        fcl_file_abandon(&file);
        return status;
    }
    fcl_file_format(&file, "  \"clblast_parameters\": \"%s\",\n", fcl_clblast_set_name(table->clblast_set));
    fcl_file_format(&file, "  \"clblast_direct_parameters\": \"%s\",\n",
                    fcl_clblast_set_name(table->clblast_direct));
    fcl_file_format(&file, "  \"clblast_indirect_from\": %d,\n", table->clblast_switch);
    fcl_file_format(&file, "  \"products\": [");
    write_rows(&file, table);
    fcl_file_format(&file, "\n  ]\n}\n");
    return fcl_file_commit(&file);
}
