/* What a compiled graph gives to the providers of matrix products. */
#include "compile/plan.h"

/* Does a run move more than the last cache keeps until it is read again? */
static bool leaves_caches(const fcl_plan *plan)
{
    return plan->arena_bytes > fcl_device_describe(plan->device)->cache;
}

int fcl_graph_products(const fcl_graph *graph, fcl_product **products, int *count)
{
    *products = NULL;
    *count = 0;
    if (!graph->plan)
        return fcl_fail(FCL_ERR_ARGUMENT, "a graph must be compiled before its products are known");
    for (int i = 0; i < graph->plan->count; i++) {
        const fcl_step *step = &graph->plan->steps[i];
        if (!step->product || !step->product->op->product)
            continue;
        const fcl_gemm_problem p = step->problem;
        fcl_product product = {.m = p.m,
                               .n = p.n,
                               .k = p.k,
                               .transpose_a = p.transpose_a,
                               .transpose_b = p.transpose_b,
                               .batch = p.batch,
                               .share_a = p.share_a,
                               .share_b = p.share_b,
                               .reads = p.reads,
                               .stores = p.stores,
                               .cold = leaves_caches(graph->plan)};
        if (fcl_product_listed(*products, *count, &product))
            continue;
        *products = fcl_grow(*products, (size_t)(*count + 1) * sizeof product);
        (*products)[(*count)++] = product;
    }
    return FCL_OK;
}
