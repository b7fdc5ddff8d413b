// Whatever a search's log holds, it is a transcript or BrokenInput. What is accepted must come out the same when it is
// written again and read: a search that goes on rewrites its log.
#include <cstdlib>

#include "bisect/transcript.h"
#include "replay/run/error.h"

namespace {

using namespace samestep;

std::string written(const Transcript& transcript) {
  std::string text = log_start(transcript.options);
  if (!transcript.trials.is_null()) text += log_trials(transcript.trials);
  if (transcript.window) text += log_window(*transcript.window);
  for (const Transcript::Round& round : transcript.rounds) {
    text += "samestep bisect ask " + std::to_string(round.workers) + "\n";
    for (const auto& [question, answer] : round.answers) text += log_answer(question, answer);
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string once = written(read_transcript({reinterpret_cast<const char*>(data), size}, "fuzz"));
    if (written(read_transcript(once, "what was written")) != once) std::abort();
  } catch (const BrokenInput& broken) {
    if (std::string(broken.what()).starts_with("what was written")) std::abort();
  }
  return 0;
}
