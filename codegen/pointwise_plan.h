/* How a pointwise specification is run: its loop order and vectors, and how it is cut into units.
 */
#ifndef DLC_CODEGEN_POINTWISE_PLAN_H
#define DLC_CODEGEN_POINTWISE_PLAN_H

#include "codegen/nest.h"
#include "codegen/spec.h"

/* A unit is one index of each of dim[0 .. count - 1) and `chunk` indices of dim[count - 1]. */
typedef struct {
  int dim[VIEW_RANK], count;
  int64_t chunk;
  double elements; /* of one unit, at the maximum batch */
} UnitPlan;

NestPlan plan_nest(Cg *cg, const PointwiseSpec *spec);
UnitPlan plan_units(Cg *cg, const PointwiseSpec *spec, const NestPlan *nest);
double plan_cost(Cg *cg, const PointwiseSpec *spec); /* nanoseconds an element, roughly */

#endif
