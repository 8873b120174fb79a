/* Where a solve begins and ends to ask for a velocity, and how it gets there and on from there: see "ends" in
 * path.h. */
#ifndef FLOW_ENDS_H
#define FLOW_ENDS_H

#include "flow/flow.h"

/* What a step over a stretch in which the velocity is not asked for does. */
typedef enum fcl_crossing {
    FCL_NO_CROSSING, /* an ordinary step */
    FCL_ENTERING,    /* from t_begin to the first time: x grows as the part of it that is known */
    FCL_ARRIVING     /* from the last time to t_end: by what the velocity says of data and noise there */
} fcl_crossing;

typedef struct fcl_ends {
    fcl_path *path;     /* along which the velocity moves; NULL: nothing is known of its ends */
    double first, last; /* between these, in the solve's direction, the velocity is asked for */
    /* The step that begins at `first`, or ends on `last`, stands next to an end at which the velocity is not,
     * or not well, known: no stage of it may stand there. */
    bool careful_first, careful_last;
} fcl_ends;

/* Of options that are complete; predictor NULL: of a velocity that is not one's. The path is held until
 * fcl_path_destroy. */
void fcl_ends_find(const fcl_solver_options *options, const fcl_tableau *tableau,
                   const fcl_predictor *predictor, fcl_ends *ends);
/* The mean slope  of_v v + of_x x  of the crossing from now[0] to now[1]; v, of an arriving one, at now[0].
 */
void fcl_ends_slope(const fcl_ends *ends, fcl_crossing crossing, const double *now, double *of_v,
                    double *of_x);

/* --- predictor.c --- */

/* The predictor whose velocity this is, itself or with an energy or a log density beside it; or NULL. */
fcl_predictor *fcl_predictor_within(fcl_velocity velocity, void *data);
/* That is sampled along. */
const fcl_path *fcl_predictor_path(const fcl_predictor *predictor);
/* How far from the data x1^ is taken where the velocity goes up to it. */
double fcl_predictor_end(const fcl_predictor *predictor);
/* Not to be asked outside of these times of its network. */
void fcl_predictor_narrow(fcl_predictor *predictor, double begin, double end);
/* The velocities that are built from now on are  of_v v + of_x x, of_v NULL: of_x x. of_x NULL: v again. */
void fcl_predictor_cross(fcl_predictor *predictor, fcl_tensor *of_v, fcl_tensor *of_x);

/* --- likelihood.c --- */

/* An fcl_velocity of (x, l); its data begins with an fcl_energy_flow, the velocity of x. */
fcl_tensor *fcl_likelihood_velocity(void *augmented, fcl_graph *graph, const fcl_velocity_inputs *in);

#endif
