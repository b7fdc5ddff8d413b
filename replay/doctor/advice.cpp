#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "replay/doctor/tried_program.h"
#include "replay/recorder/seeds.h"

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

// Of the functions whose calls are written down (replay/recorder/seeds.h), the one that seeds `generator`.
std::string source_of(const std::string& generator) {
  if (generator == "python") return "random";
  return generator == "numpy" ? "numpy" : "torch";
}

std::string function_of(const std::string& source) {
  if (source == "random") return "random.seed()";
  if (source == "torch") return "torch.manual_seed()";
  return source == "numpy" ? "numpy.random.seed()" : "numpy.random.default_rng()";
}

std::string changing_seed(const SeedsOfBoth::Pair& pair) {
  return fmt::format(
      "{} was given {} in the first recording and {} in the second: the program makes its seed of something that "
      "changes (a clock, a process id, os.urandom). Give it a fixed number",
      function_of(pair.source), pair.first, pair.second);
}

constexpr const char* hidden_generators =
    "a generator of the program's own may decide, which no recording sees: numpy.random.RandomState(), "
    "torch.Generator(), random.SystemRandom(): give each a fixed seed";

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

// An unseeded source shows in these, where a program has gone no other way yet.
bool before_any_result(Lane lane) {
  return lane == Lane::weights_in || lane == Lane::rng || lane == Lane::batch;
}

// Calls that seed are written down of Python programs only.
bool is_of_python(const RunReader& run) {
  const auto found = run.manifest().what.find("distributions");
  return found != run.manifest().what.end() && !found->empty();
}

}  // namespace

// The generators whose states differ where the step began.
std::vector<std::string> differing_generators(const RunReader& a, const RunReader& b, std::uint64_t step) {
  std::vector<std::string> names;
  if (step < std::max(a.first_step(), b.first_step()) || step >= std::min(a.end_step(), b.end_step())) return names;
  const LaneRecord x = a.record(step).of(Lane::rng), y = b.record(step).of(Lane::rng);
  const auto& columns_x = a.layout(step).of(Lane::rng);
  const auto& columns_y = b.layout(step).of(Lane::rng);
  for (std::size_t i = 0; i < columns_x.size() && i < x.digests.size(); ++i)
    for (std::size_t j = 0; j < columns_y.size() && j < y.digests.size(); ++j)
      if (columns_x[i].name == columns_y[j].name && x.digests[i] != y.digests[j]) names.push_back(columns_x[i].name);
  return names;
}

std::vector<std::string> unseeded_sources(const RunReader& a, const RunReader& b, const Verdict& verdict) {
  std::vector<std::string> sentences;
  if (verdict.outcome != Outcome::diverged || !verdict.step || !verdict.lane) return sentences;
  if (!before_any_result(*verdict.lane) || !is_of_python(a) || !is_of_python(b)) return sentences;
  const SeedsOfBoth seeds = seeds_of_both(a.manifest().what, b.manifest().what);
  std::set<std::string> told = seeds.equal;
  for (const SeedsOfBoth::Pair& pair : seeds.other) {
    sentences.push_back(changing_seed(pair));
    told.insert(pair.source);
  }
  for (const std::string& generator : differing_generators(a, b, *verdict.step))
    if (!told.contains(source_of(generator)))
      sentences.push_back("to make recordings equal: " + how_to_seed(generator));
  return sentences;
}

SeedsOfBoth seeds_of_both(const nlohmann::json& a, const nlohmann::json& b) {
  const auto call = [](const Seed& seed) { return std::tuple(seed.process, seed.source, seed.call); };
  SeedsOfBoth found;
  std::set<std::string> other;
  const std::vector<Seed> second = seeds_from_manifest(b);
  for (const Seed& seed : seeds_from_manifest(a)) {
    const auto partner = std::ranges::find(second, call(seed), call);
    if (partner == second.end()) continue;
    if (partner->value == seed.value)
      found.equal.insert(seed.source);
    else if (other.insert(seed.source).second)
      found.other.push_back({seed.source, seed.value, partner->value});
  }
  for (const std::string& source : other) found.equal.erase(source);
  return found;
}

std::vector<std::string> advice_for(const Verdict& verdict, const std::vector<std::string>& generators, bool replays,
                                    const SeedsOfBoth& seeds) {
  std::vector<std::string> advice;
  if (verdict.outcome == Outcome::same || !verdict.lane) return advice;
  std::set<std::string> explained;
  for (const SeedsOfBoth::Pair& pair : seeds.other) {
    advice.push_back(changing_seed(pair));
    explained.insert(pair.source);
  }
  bool seeds_say_it = !seeds.other.empty();
  for (const std::string& generator : generators) {
    const std::string source = source_of(generator);
    if (explained.contains(source)) continue;
    if (seeds.equal.contains(source)) {
      advice.push_back(
          fmt::format("{} was given equal numbers in both recordings, and the generator {} differs all "
                      "the same: something else draws from it, or sets its state",
                      function_of(source), generator));
      continue;
    }
    advice.push_back(how_to_seed(generator));
    seeds_say_it = true;
  }
  const Lane lane = *verdict.lane;
  const bool from_seeds = lane == Lane::rng || (lane == Lane::weights_in && verdict.step == 0);
  if (!seeds_say_it || !from_seeds) advice.push_back(where_to_look(verdict));
  if (!seeds_say_it && (from_seeds || lane == Lane::batch)) advice.emplace_back(hidden_generators);
  advice.push_back(replays
                       ? "a replay repeats it all the same: what a program leaves unseeded is given to it, and given "
                         "again. Only separate recordings differ"
                       : "not even a replay under the same pins and seeds repeats it");
  return advice;
}

}  // namespace samestep
