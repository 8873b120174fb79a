/* flowcl/tune.h: which provider and which tile each matrix product is fastest with on a device.
 *
 * Without a table, a rule by the device's type chooses: good on CPUs and GPUs alike. Tuning measures the
 * products that a model needs (fcl_graph_products), and leaves a table that later runs read.
 *
 *     fcl_measure *candidate = NULL;
 *     for (int i = 0; i < fcl_tune_count(device, &product); i++)
 *         if (fcl_tune_candidate(device, &product, i, seed, &candidate) == FCL_OK) {
 *             ... fcl_measure_run(candidate, ...), fcl_measure_error(candidate, ...) ...
 *             fcl_measure_destroy(&candidate);
 *         }
 *     // the best one: by rounds in turn with candidate 0, see measure.h
 *     fcl_tune_keep(device, &product, best, seconds, rule_seconds);
 *     fcl_tune_save(device, &path);
 *
 * The table is a file of JSON, a line a product, under $XDG_CACHE_HOME/flowcl (else ~/.cache/flowcl), one a
 * device. A run only reads it, once, when the device is opened: the same table gives the same bits. A product
 * takes the choice of the row that is nearest to it, with the same transposes and batch, and m, n and k each
 * within a factor of two; without such a row, the rule's. A table is of no use to another driver, another
 * version of the library, or where it is damaged: it is ignored then, and fcl_device_info.tuning says why.
 * FLOWCL_TUNE=off in the environment ignores any table. */
#ifndef FLOWCL_TUNE_H
#define FLOWCL_TUNE_H

#include <flowcl/measure.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Candidates of a product on a device: 0 is the rule's choice. Tiles are for CPUs alone; other devices have CLBlast, and the
 * library's own product for GPUs with some dozens of sets of parameters, those that seem best first. */
FCL_API int fcl_tune_count(const fcl_device *device, const fcl_product *product);
/* Whether a driver may crash over a candidate or compile it for ever, where a run would not: any but the rule's, and
 * kernels of another library. Such a one is measured in a process of its own, which can be ended. */
FCL_API bool fcl_tune_is_risky(const fcl_device *device, const fcl_product *product, int candidate);
/* Prepares a candidate's measurement, on random matrices of that seed. Any error: it cannot be used. */
FCL_API int fcl_tune_candidate(fcl_device *device, const fcl_product *product, int candidate, uint32_t seed,
                               fcl_measure **measure);
/* The largest fcl_measure_error of a product that is right: its terms are summed in another order. */
#define FCL_TUNE_ERROR 1e-6

/* CLBlast's kernels have parameters of their own, of which a device uses one set for all products of a kernel: the name
 * of the index-th set, "default" (what CLBlast itself chooses) first, NULL past the last. */
FCL_API const char *fcl_tune_set_name(int index);
/* The device's CLBlast uses that set from its first product on, and fcl_tune_save keeps it in the table. Where
 * CLBlast has prepared a product already, only later runs use it. FCL_ERR_ARGUMENT: there is no such set. */
FCL_API int fcl_tune_set(fcl_device *device, const char *name);
FCL_API const char *fcl_tune_set_used(const fcl_device *device);

/* CLBlast has two kernels: a direct one for small products, which reads the operands as they lie, and one for large
 * ones, which pads and transposes them first. fcl_tune_set is of both; this, after it, of the direct one alone. */
FCL_API int fcl_tune_set_direct(fcl_device *device, const char *name);
FCL_API const char *fcl_tune_set_direct_used(const fcl_device *device);
/* The kernel for large products takes those with an m n k of at least the cube of `size`. 0: by a rule: what CLBlast says
 * for the device, or at most 512 on a GPU that it does not know. It holds, and is kept, as a set is. FCL_ERR_ARGUMENT:
 * not 0 to 8192. */
FCL_API int fcl_tune_indirect_from(fcl_device *device, int size);
FCL_API int fcl_tune_indirect_kept(const fcl_device *device);

/* From now on the open device multiplies so. `seconds` of one product, and of one by the rule, stand in the
 * table for people. */
FCL_API void fcl_tune_keep(fcl_device *device, const fcl_product *product, int candidate, double seconds,
                           double rule_seconds);
/* Writes the device's table, rows of earlier tunings included. *path is released by fcl_free. FCL_ERR_FILE.
 */
FCL_API int fcl_tune_save(const fcl_device *device, char **path);

#ifdef __cplusplus
}
#endif

#endif
