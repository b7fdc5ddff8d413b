#include "bisect/environment_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>

#include "replay/recorder/pins.h"
#include "replay/run/format.h"
#include "replay/run/passing_variables.h"
#include "replay/run/steering.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Variables = std::map<std::string, std::optional<std::string>>;

constexpr const char* unset = "(not set)";
constexpr const char* none = "(none)";  // as EnvironmentDifference has it

// A job's own, not the environment's.
constexpr std::array of_the_job{"LOCAL_RANK", "RANK", "SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "WORLD_SIZE"};
// What is loaded from where.
constexpr std::array loading{"GLIBC_TUNABLES", "LD_", "PYTHONPATH"};

bool begins_with_any(const std::string& name, const auto& beginnings) {
  return std::ranges::any_of(beginnings, [&](const char* beginning) { return name.starts_with(beginning); });
}

// A path could lead to code; so could a list or a text that a shell would read.
bool is_plain(const std::string& value) {
  return value.size() <= 64 && std::ranges::all_of(value, [](unsigned char c) {
           return std::isalnum(c) != 0 ||
                  std::string_view(",.:_=+- ").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

// Whether a variable that is not among them was not set; else nothing is known of it.
bool lists_variables(const json& what) {
  return what.is_object() && what.contains("environment") && what["environment"].is_object() &&
         what["environment"].contains("values") && what["environment"]["values"].is_object();
}

// Kept values, under the pins.
Variables variables_of(const json& what) {
  Variables found;
  if (lists_variables(what))
    for (const auto& [name, value] : what["environment"]["values"].items())
      if (value.is_string() && keeps_value(name)) found[name] = value.get<std::string>();
  for (const Pin& pin : pins_from_manifest(what)) found[pin.name] = pin.value;
  found.erase(format::entropy_variable);
  std::erase_if(found, [](const auto& each) { return std::ranges::find(of_the_job, each.first) != of_the_job.end(); });
  return found;
}

std::string text_of(const std::optional<std::string>& value) {
  return value.value_or(unset);
}

// "" where it may be set to what a manifest says.
std::string why_not_set(const std::string& name, const std::optional<std::string>& value, bool own) {
  if (begins_with_any(name, loading)) return "it says what code is loaded from where, and is never taken from a run";
  if (is_pin(name)) return "";  // its value was checked
  if (!own) return "the run is another user's";
  if (value && !is_plain(*value)) return "its value is no plain one, and is not taken from a run";
  return "";
}

void add_variable(EnvironmentItems& items, const std::string& name, const Variables& recorded, const Variables& other,
                  bool now, bool own) {
  const auto value_in = [&](const Variables& side) {
    const auto found = side.find(name);
    return found == side.end() ? std::nullopt : found->second;
  };
  EnvironmentItem item;
  item.name = item.variable = name;
  item.recorded_value = value_in(recorded);
  item.other_value = value_in(other);
  if (item.recorded_value == item.other_value) return;
  item.recorded = text_of(item.recorded_value);
  item.other = text_of(item.other_value);
  std::string why = why_not_set(name, item.recorded_value, own);
  if (why.empty() && !now) why = why_not_set(name, item.other_value, own);
  if (why.empty())
    items.items.push_back(std::move(item));
  else
    items.kept.push_back({fmt::format("{}: {} against {}", name, item.recorded, item.other), why});
}

json names_in(const json& what) {
  return lists_variables(what) ? what["environment"].value("names", json()) : json();
}

// Of most variables a manifest has the name alone: one that is not among them was not set. `now`: made by
// variables_now().
void add_new_variables(EnvironmentItems& items, const json& recorded, const json& now) {
  const json before = names_in(recorded), here = names_in(now);
  if (!before.is_array() || !here.is_array()) return;
  for (const json& each : here) {
    const std::string name = each.get<std::string>();
    const bool counts = is_of_the_users(name) && !begins_with_any(name, loading);
    const char* value = std::getenv(name.c_str());
    if (!counts || value == nullptr || std::ranges::find(before, each) != before.end()) continue;
    EnvironmentItem item;
    item.name = item.variable = name;
    item.recorded = unset;
    item.other = "set";
    item.other_value = value;
    items.items.push_back(std::move(item));
  }
}

// --- Files ------------------------------------------------------------------------------------------------------

fs::path followed(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return fs::path(path).is_absolute() && !error && fs::is_regular_file(real, error) ? real : fs::path();
}

// Where a program that starts now finds it; of another run that may be either side's.
std::vector<fs::path> places_of(const EnvironmentDifference& difference, bool other_is_now) {
  std::vector<fs::path> places;
  std::vector<std::string> paths{difference.file_b.path};
  if (!other_is_now) paths.push_back(difference.file_a.path);
  for (const std::string& path : paths)
    if (fs::path place = followed(path); !place.empty() && std::ranges::find(places, place) == places.end())
      places.push_back(std::move(place));
  return places;
}

// What Python compiles from a source that is an item itself goes with it.
bool is_compiled_from_one(const std::string& path, const std::set<std::string>& sources) {
  const fs::path file = path;
  if (file.extension() != ".pyc" || file.parent_path().filename() != "__pycache__") return false;
  const std::string name = file.filename().string();
  return sources.contains((file.parent_path().parent_path() / (name.substr(0, name.find('.')) + ".py")).string());
}

class FileItem {
 public:
  FileItem(const EnvironmentDifference& difference, FileSources& sources, const FileItemOptions& options)
      : difference_(difference), sources_(sources), options_(options) {
    item_.kind = EnvironmentItem::Kind::file;
    item_.name = difference.item;
    item_.recorded = difference.a;
    item_.other = difference.b;
    why_not_ = make();
  }
  void add_to(EnvironmentItems& items) {
    if (why_not_.empty())
      items.items.push_back(std::move(item_));
    else
      items.kept.push_back({describe(difference_), why_not_});
  }

 private:
  std::string make() {
    if (difference_.a == none || difference_.b == none) return "one side alone has it";
    if (!options_.can_exchange) return options_.why_not;
    item_.places = places_of(difference_, options_.other_is_now);
    if (item_.places.empty()) return "it is not there any more";
    for (const fs::path& place : item_.places)
      if (!can_be_laid_over(place.parent_path())) return "no view can lay its folder over";
    if (!take(item_.recorded_bytes, item_.recorded_digest, difference_.file_a))
      return nowhere(difference_.a, "recorded");
    if (!options_.other_is_now && !take(item_.other_bytes, item_.other_digest, difference_.file_b))
      return nowhere(difference_.b, "other");
    return "";
  }

  bool take(std::optional<fs::path>& bytes, std::string& digest, const EnvironmentDifference::File& file) {
    const auto wanted = Digest::from_hex(file.digest);
    if (!wanted) return false;
    bytes = sources_.find(*wanted, fs::path(file.path).filename().string(),
                          {file.path, difference_.file_a.path, difference_.file_b.path});
    digest = file.digest;
    return bytes.has_value();
  }

  static std::string nowhere(const std::string& digest, const char* side) {
    return fmt::format(
        "a manifest holds digests alone, and its {} bytes ({}) are nowhere at hand: --from a folder that has the file",
        side, digest);
  }

  const EnvironmentDifference& difference_;
  FileSources& sources_;
  const FileItemOptions& options_;
  EnvironmentItem item_;
  std::string why_not_;
};

// --- Settings ---------------------------------------------------------------------------------------------------

bool is_item(const EnvironmentItems& items, const std::string& variable) {
  return std::ranges::any_of(items.items, [&](const EnvironmentItem& item) { return item.variable == variable; });
}

bool is_kept(const EnvironmentItems& items, const std::string& variable) {
  return std::ranges::any_of(items.kept,
                             [&](const KeptDifference& kept) { return kept.what.starts_with(variable + ": "); });
}

constexpr std::array thread_variables{"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"};

bool follows_from_items(const EnvironmentItems& items, const std::string& setting) {
  if (is_item(items, setting) || is_kept(items, setting)) return true;
  if (setting == "processor.capability") return is_item(items, "ATEN_CPU_CAPABILITY");
  return setting.starts_with("threads.") &&
         std::ranges::any_of(thread_variables, [&](const char* variable) { return is_item(items, variable); });
}

// Where nothing but the machine decided the count.
void add_thread_count(EnvironmentItems& items, const EnvironmentDifference& difference) {
  EnvironmentItem item;
  item.name = fmt::format("{} (through OMP_NUM_THREADS)", difference.item);
  item.variable = "OMP_NUM_THREADS";
  item.recorded_value = item.recorded = difference.a;
  item.other_value = item.other = difference.b;
  items.items.push_back(std::move(item));
}

bool is_count(const std::string& text) {
  return !text.empty() && text.size() < 5 && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); });
}

std::string why_kept(const EnvironmentDifference& difference) {
  if (difference.item.starts_with("distribution "))
    return "another version of a package is another set of files: --requirements tries versions";
  if (begins_with_any(difference.item, std::array{"machine.", "devices.", "processor."})) return "it is of the machine";
  if (difference.item.starts_with("libraries.")) return "it is a library's version";
  if (difference.kind == EnvironmentDifference::Kind::setting) return "the program sets it, or its libraries do";
  if (difference.item.starts_with("revision") || difference.item.starts_with("uncommitted changes"))
    return "commits are looked for with --good and --bad";
  if (begins_with_any(difference.item, loading))
    return "it says what code is loaded from where, and is never taken from a run";
  if (difference.kind == EnvironmentDifference::Kind::loaded) return "it follows from other code, or brings it";
  if (difference.kind == EnvironmentDifference::Kind::set) return "a run keeps the names of such variables, no values";
  return "it is no item of the environment";
}

void add_setting(EnvironmentItems& items, const EnvironmentDifference& difference) {
  if (follows_from_items(items, difference.item)) return;
  const bool threads = difference.item == "threads.intra" && is_count(difference.a) && is_count(difference.b);
  if (threads)
    add_thread_count(items, difference);
  else
    items.kept.push_back({describe(difference), why_kept(difference)});
}

}  // namespace

json variables_now(const std::vector<std::string>& command) {
  const Environment environment = current_environment();
  return {{"environment", kept_environment(environment)}, {"pins", to_json(pins_for_recording(environment, command))}};
}

EnvironmentItems variable_items(const json& recorded, const json& other, bool now, bool own) {
  const Variables a = variables_of(recorded), b = variables_of(other);
  std::set<std::string> names;
  for (const Variables* side : {&a, &b})
    for (const auto& [name, value] : *side) names.insert(name);
  EnvironmentItems items;
  const auto is_known = [](const json& what, const Variables& side, const std::string& name) {
    return side.contains(name) || lists_variables(what);
  };
  for (const std::string& name : names)
    if (is_known(recorded, a, name) && is_known(other, b, name)) add_variable(items, name, a, b, now, own);
  if (now) add_new_variables(items, recorded, other);
  return items;
}

void add_differences(EnvironmentItems& items, const std::vector<EnvironmentDifference>& differences,
                     FileSources& sources, const FileItemOptions& options) {
  std::set<std::string> files;
  for (const EnvironmentDifference& difference : differences)
    if (difference.kind == EnvironmentDifference::Kind::file)
      files.insert({difference.file_a.path, difference.file_b.path});
  std::set<std::string> taken;  // a module was read as a file as well
  for (const EnvironmentDifference& difference : differences) {
    if (difference.kind != EnvironmentDifference::Kind::file) {
      add_setting(items, difference);
      continue;
    }
    const std::string& path = difference.file_b.path.empty() ? difference.file_a.path : difference.file_b.path;
    if (is_compiled_from_one(path, files) || !taken.insert(path).second) continue;
    FileItem(difference, sources, options).add_to(items);
  }
}

}  // namespace samestep
