#include "replay/recorder/record.h"

#include "replay/recorder/server.h"

namespace samestep {

int record(const RecordOptions& options) {
  Terminal terminal;
  RunRecorder recorder(options, terminal);
  Server server(recorder);
  recorder.announce();
  const Ending ending = launch({options.argv, options.cwd, recorder.environment(), {}}, server);
  recorder.keep(asked_seeds(server.socket_path()));
  for (const std::string& failure : server.failures()) terminal.say_once(failure);
  recorder.close(ending);
  return ending.exit_code();
}

}  // namespace samestep
