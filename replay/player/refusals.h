// Writes that a replay's view refused, as the preloaded library tells of them. All else that it could tell is not asked
// for.
#pragma once

#include <filesystem>
#include <vector>

#include "replay/recorder/file_listener.h"

namespace samestep {

class Refusals : public FileSink {
 public:
  files::Wish on_process(pid_t pid, const std::filesystem::path& program) override;
  void on_notice(files::Kind kind, const std::filesystem::path& path) override;

  // Each once, in order, at most ten. After the listener has finished.
  [[nodiscard]] const std::vector<std::filesystem::path>& paths() const { return paths_; }

 private:
  std::vector<std::filesystem::path> paths_;
};

// Lets `launch` carry the library and listens for it beside `server_socket`; null where there is no library. `refusals`
// must outlive the listener.
[[nodiscard]] std::unique_ptr<FileListener> listen_for_refusals(Launch& launch, const std::string& server_socket,
                                                                Refusals& refusals);

}  // namespace samestep
