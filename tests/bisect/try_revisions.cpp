// Tries the revisions named, in order, and prints each answer as a line of JSON: what `samestep bisect` asks, without
// its search. Usage: try_revisions RUN REPOSITORY FOLDER CACHE REVISION...; the first is looked for the step at which
// it parts, and the others are tried in the window around that.
#include <iostream>

#include "bisect/trial_runner.h"
#include "replay/run/error.h"

int main(int argc, char** argv) {
  using namespace samestep;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 5) return 2;
  try {
    const Repository repository(words[1]);
    TrialSettings settings;
    settings.replay.run = words[0];
    settings.replay.say = [](const std::string& line) { std::cerr << line << std::endl; };
    settings.folder = words[2];
    settings.cache = words[3];
    TrialRunner runner(repository, settings);
    for (std::size_t i = 4; i < words.size(); ++i) {
      const TrialAnswer answer = runner.ask(repository.commit(words[i]));
      std::cout << to_json(answer) << std::endl;
      if (i == 4 && answer.step) runner.look_at(window_around(RunReader(words[0]), *answer.step));
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  }
  return 0;
}
