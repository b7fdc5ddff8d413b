// fuzz_seeds FOLDER: one folder of seeds for each fuzzer, from the parts of a small run.
#include <filesystem>
#include <fstream>

#include "bisect/transcript.h"
#include "tests/run/tiny_run.h"

namespace {

using namespace samestep;

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Two rounds of a search with every field that a log can hold.
std::string transcript() {
  SearchOptions options;
  options.good = std::string(40, '0');
  options.bad = std::string(40, '1');
  options.first_parent = options.all = options.assume_monotone = true;
  TrialAnswer answer;
  answer.outcome = TrialOutcome::diverged;
  answer.step = 12;
  answer.lane = Lane::gradients;
  answer.tensor = "head.\"weight\"";
  answer.behaviour = std::string(64, 'b');
  answer.why = "it differs";
  const std::string ask = "samestep bisect ask 2\n";
  return log_start(options) + log_trials({{"command", {"sh", "run.sh"}}, {"run", "/runs/a"}}) +
         log_window({0, 13, "no step before was looked at"}) + ask + log_answer({options.bad, 0}, answer) +
         log_answer({options.good, 0}, {}) + ask + log_answer({options.good, 1}, {});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const std::filesystem::path run = folder / "run";
  std::filesystem::remove_all(run);
  write_tiny_run(run);
  write(folder / "manifest_fuzz" / "manifest", manifest_text(read_manifest(run)));
  std::filesystem::remove_all(run);
  TinyTraining training;
  for (int step = 0; step < 3; ++step) {
    const std::string record = text_of(encode(training.step(step == 2)));
    write(folder / "record_fuzz" / std::to_string(step), encode(training.layout()) + "\n" + record);
    write(folder / "frame_fuzz" / ("step-" + std::to_string(step)), encode(training.layout()) + "\n" + record);
  }
  write(folder / "transcript_fuzz" / "log", transcript());
  write(folder / "safetensors_fuzz" / "anchor", training.anchor());
}
