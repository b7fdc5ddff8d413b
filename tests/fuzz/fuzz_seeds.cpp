// fuzz_seeds FOLDER: one folder of seeds for each fuzzer, from the parts of a small run.
#include <filesystem>
#include <fstream>

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
  write(folder / "safetensors_fuzz" / "anchor", training.anchor());
}
