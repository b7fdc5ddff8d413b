#include "replay/player/refusals.h"

#include <algorithm>

namespace samestep {
namespace {

constexpr std::size_t most_paths = 10;

}  // namespace

files::Wish Refusals::on_process(pid_t, const std::filesystem::path&) {
  return files::Wish::refusals;
}

void Refusals::on_notice(files::Kind kind, const std::filesystem::path& path) {
  const std::filesystem::path normal = path.lexically_normal();
  if (kind != files::Kind::refused || paths_.size() >= most_paths) return;
  if (std::ranges::find(paths_, normal) == paths_.end()) paths_.push_back(normal);
}

std::unique_ptr<FileListener> listen_for_refusals(Launch& launch, const std::string& server_socket,
                                                  Refusals& refusals) {
  const auto library = preload_library();
  if (!library) return nullptr;
  auto listener = std::make_unique<FileListener>(std::filesystem::path(server_socket).parent_path(), refusals);
  for (auto& [name, value] : preload_changes(*library, current_environment())) launch.environment[name] = value;
  return listener;
}

}  // namespace samestep
