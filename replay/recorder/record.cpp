#include "replay/recorder/record.h"

#include <optional>

#include "replay/recorder/attached.h"

namespace samestep {

std::unique_ptr<FileListener> listen_for_files(const RunRecorder& recorder, const Server& server, Launch& launch,
                                               Terminal& terminal) {
  const auto library = preload_library();
  if (recorder.files() == nullptr || !library) return nullptr;
  try {
    auto listener =
        std::make_unique<FileListener>(std::filesystem::path(server.socket_path()).parent_path(), *recorder.files());
    launch.environment.merge(preload_changes(*library, current_environment()));
    return listener;
  } catch (const BrokenInput& error) {
    terminal.say_once(error.what());
    return nullptr;
  }
}

Ending launch_recorded(const Launch& command, RunRecorder& recorder, Server& server, Terminal& terminal,
                       FileListener* listener) {
  Ending ending = launch(command, server);
  if (listener != nullptr) listener->finish();
  recorder.keep(asked_seeds(server.socket_path()));
  for (const std::string& failure : server.failures()) terminal.say_once(failure);
  return ending;
}

int record(const RecordOptions& options) {
  Terminal terminal;
  RunRecorder recorder(options, terminal);
  Server server(recorder);
  recorder.announce();
  Launch start{options.argv, options.cwd, recorder.environment(), {}};
  AttachedProgram attached;
  if (options.attached != 0) start.enclosure = &attached;
  const auto listener = listen_for_files(recorder, server, start, terminal);
  const Ending ending = launch_recorded(start, recorder, server, terminal, listener.get());
  recorder.close(ending);
  return ending.exit_code();
}

}  // namespace samestep
