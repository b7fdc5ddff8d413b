// The table of docs/verdicts.md: the first lane that differs names the class.
#include "replay/compare/verdict.h"

namespace samestep {

Cause classify(const Difference& difference) {
  if (difference.structural) return Cause::structure;
  switch (difference.lane) {
    case Lane::weights_in:
      return Cause::state_edited;  // it left the step before equal
    case Lane::rng:
      return Cause::rng;
    case Lane::batch:
      return Cause::batch;
    case Lane::hyper:
      return Cause::hyper;
    case Lane::loss:
      return Cause::forward;
    case Lane::gradients:
      return Cause::backward;
    case Lane::optimizer:
    case Lane::weights_out:
      return Cause::update;
    case Lane::state:
      return Cause::state_edited;
  }
  return Cause::structure;
}

}  // namespace samestep
