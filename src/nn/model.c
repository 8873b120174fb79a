#include "nn/model.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/option_value.h"
#include "graph/graph.h"

#include <flowcl/text.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct fcl_model {
    const fcl_model_row *row;
    fcl_model_options options; /* filled in; texts in `strings` */
    fcl_arena strings;
    fcl_shape sample;
    int classes;
    fcl_params *params;
    void *layers; /* the row's own */
};

#define ROW(name) &fcl_model_##name,
static const fcl_model_row *const rows[] = {FCL_MODELS(ROW)};
#undef ROW

enum { ROWS = sizeof rows / sizeof *rows };

const char *fcl_model_name(int index)
{
    return index >= 0 && index < ROWS ? rows[index]->name : NULL;
}

const char *fcl_model_help(int index)
{
    return index >= 0 && index < ROWS ? rows[index]->help : NULL;
}

static const fcl_model_row *find_row(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (!name || strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}

const char *fcl_model_for(fcl_shape sample)
{
    for (int i = 0; i < ROWS; i++)
        if (rows[i]->suits && rows[i]->suits(sample))
            return rows[i]->name;
    return rows[0]->name;
}

static const fcl_model_row *row_of(const fcl_model_options *options)
{
    return options->own ? options->own : find_row(options->model);
}

bool fcl_model_is_chosen(const fcl_model_options *options)
{
    return options->own || options->model;
}

static fcl_option_uses find_uses(const void *options)
{
    static const fcl_option_use none[] = {{0}};
    const fcl_model_row *row = fcl_model_is_chosen(options) ? row_of(options) : NULL;
    if (!row) /* or an unknown name, which the choice itself refuses */
        return (fcl_option_uses){0};
    return (fcl_option_uses){row->name, row->uses ? row->uses : none};
}

/* Defaults are the rows' own. */
/* clang-format off */
const fcl_option fcl_model_table[] = {
    {"model", FCL_OPTION(fcl_model_options, model), .choice = fcl_model_name, .choice_help = fcl_model_help,
     .uses = find_uses, .group = "Model", .help = "kind of network; without it unet for pictures of 1 or 3 channels whose sides are multiples of 4, from 8 on, mlp for all else"},
    {"width", FCL_OPTION(fcl_model_options, width), .minimum = 1, .maximum = 65536, .help = "numbers in a hidden layer or token"},
    {"depth", FCL_OPTION(fcl_model_options, depth), .minimum = 1, .maximum = 1000, .help = "hidden layers or blocks"},
    {"activation", FCL_OPTION(fcl_model_options, activation), .choice = fcl_activation_name,
     .help = "what follows a hidden layer"},
    {"residual", FCL_OPTION(fcl_model_options, residual),
     .help = "hidden layers after the first add to what they read"},
    {"time-features", FCL_OPTION(fcl_model_options, time_features), .minimum = 0, .maximum = 1024,
     .help = "sine and cosine pairs of the time, besides the time itself"},
    {"time-frequency", FCL_OPTION(fcl_model_options, time_frequency), .minimum = 1, .maximum = 1e5,
     .help = "highest frequency of these, in half turns"},
    {"patch", FCL_OPTION(fcl_model_options, patch), .minimum = 1, .maximum = 1024,
     .help = "side of the squares that pictures are cut into, in pixels"},
    {"heads", FCL_OPTION(fcl_model_options, heads), .minimum = 0, .maximum = 1024,
     .help = "heads of attention; of a U-Net 0: one, or by head-channels"},
    {"norm", FCL_OPTION(fcl_model_options, norm), .choice = fcl_dit_norm_name, .help = "what blocks normalise by"},
    {"mlp", FCL_OPTION(fcl_model_options, mlp), .choice = fcl_dit_mlp_name, .help = "a block's perceptron"},
    {"qk-norm", FCL_OPTION(fcl_model_options, qk_norm), .help = "normalise each head's queries and keys"},
    {"time-scale", FCL_OPTION(fcl_model_options, time_scale), .minimum = -1e6, .maximum = 1e6, .placeholder = "S",
     .help = "what the time is multiplied by, 1: SiT's; below 0 it is counted from the data, -999: DiT's steps 999 to 0"},
    {"channels", FCL_OPTION(fcl_model_options, channels), .minimum = 32, .maximum = 4096,
     .help = "of the U-Net at the picture's full size; divisible by 32"},
    {"multipliers", FCL_OPTION(fcl_model_options, multipliers), .placeholder = "N,N,...",
     .help = "of the channels, one for each size of the picture: its own, half of it, and so on"},
    {"blocks", FCL_OPTION(fcl_model_options, blocks), .minimum = 1, .maximum = 64,
     .help = "residual blocks at each size, and one more on the way back"},
    {"attention", FCL_OPTION(fcl_model_options, attention), .placeholder = "N,N,...",
     .help = "heights of the picture at which it attends, such as 14,7, besides the middle; half, or none"},
    {"head-channels", FCL_OPTION(fcl_model_options, head_channels), .minimum = 0, .maximum = 4096,
     .help = "channels of a head, instead of their number; 0: by heads"},
    {"dropout", FCL_OPTION(fcl_model_options, dropout), .minimum = 0, .maximum = 0.99,
     .help = "share of a residual block's numbers that is set to 0 in training"},
    {"scale-shift", FCL_OPTION(fcl_model_options, scale_shift),
     .help = "time and label scale and shift what the norms give, instead of being added before them"},
    {"resample", FCL_OPTION(fcl_model_options, resample), .choice = fcl_unet_resample_name,
     .choice_help = fcl_unet_resample_help, .help = "what goes from one size to the next"},
    {0},
};
/* clang-format on */

/* NULL: it is not there. */
static const fcl_option_use *find_use(const fcl_option_use *list, const char *key)
{
    for (; list && list->key; list++)
        if (strcmp(list->key, key) == 0)
            return list;
    return NULL;
}

bool fcl_model_reads(const char *name, const char *key)
{
    const fcl_model_row *row = find_row(name);
    return row && find_use(row->uses, key);
}

const char *fcl_model_training(const fcl_model_options *options, const char *key)
{
    const fcl_model_row *row = row_of(options);
    const fcl_option_use *use = row ? find_use(row->training, key) : NULL;
    return use ? use->fallback : NULL;
}

bool fcl_model_guesses(const fcl_model_options *options)
{
    const fcl_model_row *row = row_of(options);
    return row && row->guess;
}

int fcl_model_guess(const fcl_model_options *options, fcl_shape (*find)(const void *file, const char *slice),
                    const void *file, fcl_shape *sample, int *classes)
{
    return row_of(options)->guess(options, find, file, sample, classes);
}

/* --- making --- */

static int check_own(const fcl_model_row *own)
{
    if (!own->name || !*own->name || !own->declare || !own->velocity)
        return fcl_fail(FCL_ERR_ARGUMENT, "a model of one's own needs a name, declare and velocity");
    if (find_row(own->name))
        return fcl_fail(FCL_ERR_ARGUMENT, "a model of one's own cannot be called %s: there is one here", own->name);
    return FCL_OK;
}

static int fill(const fcl_model_options *options, fcl_model_options *filled)
{
    *filled = *options;
    if (options->own)
        FCL_TRY(check_own(options->own));
    fcl_options_defaults(fcl_model_table, filled);
    return fcl_options_check(fcl_model_table, filled);
}

/* Defaults filled in, and all of it checked. */
static int fill_checked(const fcl_model_options *options, fcl_model_options *filled)
{
    FCL_TRY(fill(options, filled));
    const fcl_model_row *row = fcl_model_is_chosen(filled) ? row_of(filled) : NULL;
    return row && row->check ? row->check(filled) : FCL_OK;
}

int fcl_model_check(const fcl_model_options *options)
{
    fcl_model_options filled;
    return fill_checked(options, &filled);
}

int fcl_model_refuse(const char *sentence, ...)
{
    char text[1024];
    va_list args;
    va_start(args, sentence);
    fcl_vsnprintf(text, sizeof text, sentence, args);
    va_end(args);
    return fcl_fail(FCL_ERR_ARGUMENT, "%s", text);
}

char *fcl_model_text(const fcl_model_options *options)
{
    fcl_model_options filled;
    bool known = fcl_model_is_chosen(options) && fill(options, &filled) == FCL_OK;
    const fcl_model_row *row = known ? row_of(&filled) : NULL;
    char *words = row && row->describe ? row->describe(&filled) : NULL;
    char *text = fcl_format("%s%s%s", row ? row->name : "", words ? " of " : "", words ? words : "");
    free(words);
    return text;
}

/* The caller's texts may not live as long as the model. */
static void keep_texts(fcl_model *model)
{
    for (const fcl_option *row = fcl_model_table; row->key; row++) {
        const char **text = (const char **)(void *)((char *)&model->options + row->offset);
        if (row->type == FCL_OPTION_STRING && *text)
            *text = fcl_arena_format(&model->strings, "%s", *text);
    }
}

static int make(fcl_model *model)
{
    keep_texts(model);
    model->row = row_of(&model->options);
    model->params = fcl_params_create();
    FCL_TRY(model->row->declare(model, model->params, &model->layers));
    return fcl_params_check(model->params);
}

int fcl_model_create(const fcl_model_options *options, fcl_shape sample, int classes, fcl_model **model)
{
    fcl_model_options chosen = *options, filled;
    *model = NULL;
    if (!fcl_model_is_chosen(options))
        chosen.model = fcl_model_for(sample);
    FCL_TRY(fill_checked(&chosen, &filled));
    if (fcl_shape_size(sample) < 1 || classes < 0)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "a model needs samples of at least one number, and 0 or more classes");
    *model = fcl_zalloc(sizeof **model);
    **model = (fcl_model){.options = filled, .sample = sample, .classes = classes};
    int status = make(*model);
    if (status != FCL_OK)
        fcl_model_destroy(model);
    return status;
}

void fcl_model_destroy(fcl_model **model)
{
    if (!*model)
        return;
    fcl_params_destroy(&(*model)->params);
    free((*model)->layers);
    fcl_arena_free(&(*model)->strings);
    free(*model);
    *model = NULL;
}

const fcl_params *fcl_model_params(const fcl_model *model)
{
    return model->params;
}

fcl_shape fcl_model_sample(const fcl_model *model)
{
    return model->sample;
}

int fcl_model_classes(const fcl_model *model)
{
    return model->classes;
}

int fcl_model_labels(const fcl_model *model)
{
    return model->classes ? model->classes + model->options.null_label : 0;
}

const fcl_model_options *fcl_model_options_of(const fcl_model *model)
{
    return &model->options;
}

void *fcl_model_layers(const fcl_model *model)
{
    return model->layers;
}

fcl_tensor *fcl_model_counted(const fcl_model *model, fcl_tensor *t)
{
    return model->options.time_scale < 0 ? fcl_shift(fcl_neg(t), 1) : t;
}

void *fcl_model_data(const fcl_model *model)
{
    return model->row->data;
}

/* --- asking --- */

/* What is told without being looked at would be a wish that nobody fulfils. */
static void check_inputs(const fcl_model *model, const fcl_velocity_inputs *in)
{
    const fcl_model_row *row = model->row;
    const char *name = row->name;
    int64_t size = fcl_shape_size(model->sample);
    fcl_graph *graph = fcl_tensor_graph(in->x);
    fcl_shape shape = fcl_tensor_shape(in->x);
    if (shape.rank != 2 || shape.dim[1] != size)
        fcl_mistake(graph, "the model %s is asked at x %s; it takes (batch, %lld)", name,
                    fcl_shape_text(graph, shape), (long long)size);
    if (!in->label != !model->classes)
        fcl_mistake(graph, "the model %s has %d classes, and is told %s", name, model->classes,
                    in->label ? "a label" : "no label");
    if (in->r && !row->second_time)
        fcl_mistake(graph, "the model %s takes no second time r", name);
    if (in->condition_count && !row->conditions)
        fcl_mistake(graph, "the model %s takes no conditions, and is told %d", name, in->condition_count);
}

fcl_tensor *fcl_model_velocity(const fcl_model *model, fcl_tensor *const *weights, const fcl_velocity_inputs *in)
{
    fcl_velocity_inputs of = *in;
    check_inputs(model, in);
    if (fcl_tensor_shape(in->t).rank == 0)
        of.t = fcl_expand(in->t, FCL_SHAPE(fcl_tensor_shape(in->x).dim[0], 1));
    return model->row->velocity(model, weights, &of);
}
