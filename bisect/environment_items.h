// What differs between two environments, as items that a trial can exchange one by one: variables, and files with other
// bytes. What cannot be exchanged is listed with the reason.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bisect/file_sources.h"
#include "replay/compare/environment.h"

namespace samestep {

struct EnvironmentItem {
  enum class Kind : unsigned char { variable, file };
  Kind kind = Kind::variable;
  std::string name;             // "OMP_NUM_THREADS", "/env/torch/optim/adamw.py (not as torch 2.14.1 installed it)"
  std::string recorded, other;  // the values, or the digests' beginnings, for people

  // Of a variable; nullopt: not set.
  std::string variable;
  std::optional<std::string> recorded_value, other_value;

  // Of a file: where it lies, and where its bytes are taken from. Nullopt: it has those bytes as it lies there.
  std::vector<std::filesystem::path> places;
  std::optional<std::filesystem::path> recorded_bytes, other_bytes;
  std::string recorded_digest, other_digest;  // of what is taken
};

struct KeptDifference {
  std::string what;  // "torch.optim.foo: 1.0 against 1.1"
  std::string why;   // it is not exchanged
};

struct EnvironmentItems {
  std::vector<EnvironmentItem> items;
  std::vector<KeptDifference> kept;  // the same in every trial, as they are now
};

// A manifest's `what`, as far as variables go, of a command that would be recorded in this process's environment.
[[nodiscard]] nlohmann::json variables_now(const std::vector<std::string>& command);

// Variables that differ. `recorded`, `other`: the manifest's `what` of both; the second is `now` where it was made by
// variables_now(), whose values are believed. Of a manifest the pins are taken, and where `own` (it is the caller's)
// what else steers computing, in plain values: never a variable that says what code is loaded from where, never the
// secret of a run.
[[nodiscard]] EnvironmentItems variable_items(const nlohmann::json& recorded, const nlohmann::json& other, bool now,
                                              bool own);

struct FileItemOptions {
  bool other_is_now = true;  // the second side of the differences is what lies there now
  bool can_exchange = true;  // a view is at hand, and the run is the caller's own
  std::string why_not;       // where they cannot
};
// Adds the files of `differences` whose bytes of both sides are at hand, and lists all the other differences but those
// that the variables of `items` bring about. What lies in the run's own checkout of a revision must have been taken
// out.
void add_differences(EnvironmentItems& items, const std::vector<EnvironmentDifference>& differences,
                     FileSources& sources, const FileItemOptions& options);

}  // namespace samestep
