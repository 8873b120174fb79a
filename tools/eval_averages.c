/* flowcl eval --ema all: a model for each of its averages. */
#include "eval.h"

#include <string.h>

static int group_of(eval_results *results, const char *name)
{
    int group = 0;
    while (group < results->groups && strcmp(results->group[group], name))
        group++;
    if (group == results->groups)
        results->group[results->groups++] = name;
    return group;
}

/* A subject for each average of an opened model, and one for its weights. Returns how many. */
static int spread_model(const eval_subject *model, eval_results *results, eval_subject *subjects)
{
    int averages = model->info->average_count;
    for (int i = 0; i <= averages; i++) {
        const char *name = i < averages ? model->info->averages[i] : "weights";
        subjects[i] = *model;
        subjects[i].shared = i > 0;
        subjects[i].how.ema = i == averages ? "no" : i ? name : "yes"; /* the first may have no known decay */
        subjects[i].group = group_of(results, name);
    }
    return averages + 1;
}

int eval_spread(evaluation *work, eval_subject *subjects, eval_results *results)
{
    eval_subject opened[EVAL_MOST_SUBJECTS];
    int count = results->subjects, wanted = 0;
    memcpy(opened, subjects, sizeof opened);
    for (int k = 0; k < count; k++)
        wanted += opened[k].info ? opened[k].info->average_count + 1 : 1;
    if (wanted > EVAL_MOST_SUBJECTS) {
        snprintf(work->fault, sizeof work->fault,
                 "--ema all: averages and weights of %d models are %d, and at most %d can be evaluated at once", count,
                 wanted, EVAL_MOST_SUBJECTS);
        return FCL_ERR_ARGUMENT;
    }
    results->subjects = 0;
    for (int k = 0; k < count; k++)
        if (opened[k].info)
            results->subjects += spread_model(&opened[k], results, &subjects[results->subjects]);
    for (int k = 0; k < count; k++) {
        if (opened[k].info)
            continue;
        opened[k].group = group_of(results, "samples");
        subjects[results->subjects++] = opened[k];
    }
    return FCL_OK;
}
