#include "replay/recorder/program_code.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/recorder/file_record.h"
#include "replay/recorder/provenance.h"
#include "replay/recorder/sha256.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_told = 64;            // messages
constexpr std::size_t most_modules = 200'000;    // of all processes
constexpr std::size_t most_folders = 1024;       // of module paths
constexpr std::size_t most_changed_named = 100;  // of a distribution

std::string text_of(const nlohmann::json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

std::string without_links(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real.string();
}

}  // namespace

ProgramCode::ProgramCode(FileDigests& files, fs::path cache, bool asks_git)
    : files_(files), sha256_(std::move(cache), file_sha256), script_known_(!asks_git) {}

fs::path ProgramCode::default_cache() {
  const fs::path cache = FileDigests::default_cache();
  return cache.empty() ? cache : cache.parent_path() / "file-sha256";
}

void ProgramCode::add(const protocol::Code& code) {
  if (++told_ > most_told) return;
  std::vector<std::string> paths;
  for (const auto& [name, path] : code.modules) {
    if (modules_.size() >= most_modules) break;
    Module& known = modules_[path];
    if (known.name.empty()) known.name = name;
    known.from_start |= code.moment == "start";
    files_.add(path, "module");
    paths.push_back(path);
  }
  for (const std::string& path : code.libraries) {
    files_.add(path, "library");
    paths.push_back(path);
  }
  worker_.add([this, paths = std::move(paths), folders = code.search_path, script = code.script] {
    for (const std::string& folder : folders) scan(folder);
    check(paths);
    ask_git(script);
  });
}

void ProgramCode::scan(const std::string& folder) {
  if (scanned_.size() >= most_folders || !scanned_.insert(folder).second) return;
  const std::string real = without_links(folder);
  for (Distribution& found : distributions_in(folder)) {
    distributions_.push_back(std::move(found));
    const std::size_t number = distributions_.size() - 1;
    for (const auto& [path, file] : distributions_.back().files) {
      owners_.try_emplace(path, Owner{number, &file});
      owners_.try_emplace((fs::path(real) / file.name).lexically_normal().string(), Owner{number, &file});
    }
  }
}

const ProgramCode::Owner* ProgramCode::owner_of(const std::string& path) const {
  auto found = owners_.find(fs::path(path).lexically_normal().string());
  if (found == owners_.end()) found = owners_.find(without_links(path));
  return found == owners_.end() ? nullptr : &found->second;
}

void ProgramCode::check(const std::vector<std::string>& paths) {
  for (const std::string& path : paths)
    if (owner_of(path) != nullptr) sha256_.add(path, "");
}

void ProgramCode::ask_git(const std::string& script) {
  if (script.empty() || script_known_) return;
  script_known_ = true;
  script_revision_ = describe_revision(fs::path(script).parent_path());
}

nlohmann::json ProgramCode::file_json(const FileDigest& file) const {
  nlohmann::json json = to_json(file);
  if (const auto module = modules_.find(file.path); module != modules_.end()) {
    json["role"] = "module";
    json["module"] = module->second.name;
    json["since"] = module->second.from_start ? "start" : "end";
  }
  if (const Owner* owner = owner_of(file.path)) json["distribution"] = distributions_[owner->distribution].name;
  return json;
}

nlohmann::json ProgramCode::distributions_json(const std::vector<FileDigest>& files) {
  std::vector<nlohmann::json> list;
  for (const Distribution& distribution : distributions_)
    list.push_back({{"name", distribution.name}, {"version", distribution.version}, {"used", false}});
  for (const FileDigest& file : files) {
    const Owner* owner = owner_of(file.path);
    if (owner == nullptr || !file.digest) continue;
    nlohmann::json& json = list[owner->distribution];
    json["checked"] = json.value("checked", std::uint64_t{0}) + 1;
    json["used"] = true;
    if (*file.digest == owner->file->sha256) continue;
    json["changed_files"] = json.value("changed_files", std::uint64_t{0}) + 1;
    if (json["changed"].size() < most_changed_named) json["changed"].push_back(owner->file->name);
  }
  std::ranges::stable_sort(list, {}, [](const nlohmann::json& json) { return json["name"].get<std::string>(); });
  return list;
}

void ProgramCode::settle() {
  worker_.finish();
}

void ProgramCode::describe(nlohmann::json& what, const std::vector<FileDigest>& files,
                           std::chrono::milliseconds patience) {
  what["files"] = nlohmann::json::array();
  // A module's file was read as well, and may have been told of as such first.
  for (const FileDigest& file : files)
    if (file.role != FileRecord::read_role || modules_.contains(file.path)) what["files"].push_back(file_json(file));
  const std::vector<FileDigest> checked = sha256_.finish(patience);
  if (told_ == 0) return;
  what["distributions"] = distributions_json(checked);
  const nlohmann::json own = what.value("revision", nlohmann::json());
  const bool elsewhere = text_of(script_revision_, "top") != text_of(own, "top");
  if (script_revision_.is_object() && elsewhere) what["script_revision"] = script_revision_;
}

std::vector<std::string> changed_packages(const nlohmann::json& what) {
  std::vector<std::string> texts;
  for (const nlohmann::json& distribution : what.value("distributions", nlohmann::json::array())) {
    const auto count = distribution.value("changed_files", std::uint64_t{0});
    if (count == 0) continue;
    const std::string more = count == 1 ? "" : fmt::format(" and {} more", count - 1);
    texts.push_back(fmt::format("{} {}: {}{} has other bytes than the package installed (its RECORD).",
                                text_of(distribution, "name"), text_of(distribution, "version"),
                                distribution["changed"][0].get<std::string>(), more));
  }
  return texts;
}

}  // namespace samestep
