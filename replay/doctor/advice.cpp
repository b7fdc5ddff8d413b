#include <fmt/format.h>

#include <algorithm>

#include "replay/doctor/trial.h"

namespace samestep {
namespace {

std::string how_to_seed(const std::string& generator) {
  if (generator == "python") return "random.seed(N): Python's own generator was not seeded";
  if (generator == "numpy")
    return "numpy.random.seed(N), or numpy.random.default_rng(N): numpy's shared generator was not seeded";
  if (generator == "cpu")
    return "torch.manual_seed(N), before the model and the loaders are made: torch's generator was not seeded";
  if (generator.starts_with("cuda"))
    return fmt::format("torch.manual_seed(N) or torch.cuda.manual_seed_all(N): the generator of {} was not seeded",
                       generator);
  return fmt::format("seed the generator {}", generator);
}

// The first lane that differs says where to look.
std::string where_to_look(const Verdict& verdict) {
  switch (*verdict.lane) {
    case Lane::weights_in:
      return verdict.step == 0
                 ? "the first weights differ: seed before the model is made; or the second start found a "
                   "checkpoint that the first one had written (--resume?)"
                 : "weights change between steps: by what no generator decides (a clock, a file, another thread)";
    case Lane::rng:
      return "randomness is drawn or seeded differently each time: look for seeds made of a clock or a process id";
    case Lane::batch:
      return "the data or their order differ with equal generators: sort lists of files (os.listdir, glob), give a "
             "DataLoader its own generator= and worker_init_fn=, seed generators that a data set holds (default_rng())";
    case Lane::hyper:
      return "a schedule follows something that differs each time: a clock, a measured speed";
    case Lane::loss:
    case Lane::gradients:
    case Lane::optimizer:
    case Lane::weights_out:
      return "equal inputs gave other results: an operator without a deterministic implementation (events "
             "`nondeterministic` name its line), uninitialised memory, threads that add in any order";
    case Lane::state:
      return "named state differs with equal weights: what fills it?";
  }
  return "";
}

}  // namespace

std::vector<std::string> advice_for(const Verdict& verdict, const std::vector<std::string>& generators, bool replays) {
  std::vector<std::string> advice;
  if (verdict.outcome == Outcome::same || !verdict.lane) return advice;
  for (const std::string& generator : generators) advice.push_back(how_to_seed(generator));
  if (generators.empty() || *verdict.lane != Lane::weights_in || verdict.step != 0) {
    const bool seeds_say_it = *verdict.lane == Lane::rng && !generators.empty();
    if (!seeds_say_it) advice.push_back(where_to_look(verdict));
  }
  advice.push_back(replays
                       ? "a replay repeats it all the same: what a program leaves unseeded is given to it, and given "
                         "again. Only separate recordings differ"
                       : "not even a replay under the same pins and seeds repeats it");
  return advice;
}

}  // namespace samestep
