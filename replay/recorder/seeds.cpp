#include "replay/recorder/seeds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

#include "replay/run/error.h"

namespace samestep {

namespace fs = std::filesystem;

namespace {

// As in python/samestep/_seeds.py.
constexpr const char* asked_file = "seeds";
constexpr const char* given_file = "seeds-given";
constexpr std::size_t most_bytes = std::size_t{1} << 20;
constexpr std::size_t most_word = 100, most_value = 40;
constexpr std::size_t most_named = 4;

bool is_word(const std::string& text, std::size_t most, std::string_view others) {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, [&](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || others.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<Seed> seed_of(const nlohmann::json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto call = entry.find("call"), replaced = entry.find("replaced");
  if (call == entry.end() || !call->is_number_unsigned()) return std::nullopt;
  Seed seed{text_of(entry, "process"),  text_of(entry, "source"), call->get<std::uint64_t>(),
            text_of(entry, "seed"),     text_of(entry, "code"),   false,
            text_of(entry, "arguments")};
  seed.replaced = replaced != entry.end() && replaced->is_boolean() && replaced->get<bool>();
  const bool valid = is_word(seed.process, most_word, "/ ") && is_word(seed.source, most_word, "._") &&
                     is_word(seed.value, most_value, "+-.") && is_word(seed.code, most_word, "") &&
                     (seed.arguments.empty() || is_word(seed.arguments, most_word, ""));
  return valid ? std::optional(seed) : std::nullopt;
}

nlohmann::json to_json(const Seed& seed) {
  nlohmann::json entry{{"process", seed.process},
                       {"source", seed.source},
                       {"call", seed.call},
                       {"seed", seed.value},
                       {"code", seed.code}};
  if (!seed.arguments.empty()) entry["arguments"] = seed.arguments;
  return entry;
}

bool same_call(const Seed& a, const Seed& b) {
  return a.process == b.process && a.source == b.source && a.call == b.call;
}

std::string function_of(const std::string& source) {
  static constexpr std::array names{
      std::pair{"random", "random.seed() or Random()"}, std::pair{"numpy", "numpy.random.seed()"},
      std::pair{"numpy.default_rng", "numpy.random.default_rng()"}, std::pair{"torch", "torch.manual_seed()"}};
  const auto found = std::ranges::find(names, source, [](const auto& name) { return std::string(name.first); });
  return found == names.end() ? source : found->second;
}

std::string sentence(const Seed& recorded, const Seed& asked) {
  const char* what = asked.replaced ? "the recorded one was put in its place"
                                    : "it stands, as what calls it was edited or other arguments were given";
  return fmt::format("{}, call {} of process {}, was given the seed {}, recorded was {}: {}", function_of(asked.source),
                     asked.call, asked.process, asked.value, recorded.value, what);
}

}  // namespace

std::vector<Seed> asked_seeds(const fs::path& socket) {
  std::vector<Seed> seeds;
  std::ifstream in(socket.parent_path() / asked_file);
  std::size_t bytes = 0;
  for (std::string line; seeds.size() < most_seeds && std::getline(in, line);) {
    bytes += line.size();
    if (bytes > most_bytes) break;
    if (const auto seed = seed_of(nlohmann::json::parse(line, nullptr, false))) seeds.push_back(*seed);
  }
  return seeds;
}

void give_seeds(std::vector<Seed> seeds, const fs::path& socket, bool by_arguments) {
  const fs::path path = socket.parent_path() / given_file;
  std::ofstream out(path);
  for (Seed& seed : seeds) {
    if (!by_arguments) seed.arguments.clear();
    out << to_json(seed).dump() << '\n';
  }
  out.close();
  if (!out) throw BrokenInput(fmt::format("Writing the recorded seeds for the replay to {} failed.", path.string()));
}

nlohmann::json to_json(std::span<const Seed> seeds) {
  auto list = nlohmann::json::array();
  for (const Seed& seed : seeds) list.push_back(to_json(seed));
  return list;
}

std::vector<Seed> seeds_from_manifest(const nlohmann::json& what) {
  std::vector<Seed> seeds;
  if (!what.is_object() || !what.contains("seeds") || !what["seeds"].is_array()) return seeds;
  for (const auto& entry : what["seeds"]) {
    if (seeds.size() == most_seeds) break;
    if (auto seed = seed_of(entry)) seeds.push_back(std::move(*seed));
  }
  return seeds;
}

std::vector<std::string> other_seeds(std::span<const Seed> recorded, std::span<const Seed> asked) {
  std::vector<std::string> sentences;
  std::size_t others = 0;
  for (const Seed& seed : asked) {
    const auto found = std::ranges::find_if(recorded, [&](const Seed& entry) { return same_call(entry, seed); });
    if (found == recorded.end() || found->value == seed.value) continue;
    if (++others <= most_named) sentences.push_back(sentence(*found, seed));
  }
  if (others > most_named)
    sentences.push_back(fmt::format("seeds that came out otherwise besides: {}", others - most_named));
  return sentences;
}

}  // namespace samestep
