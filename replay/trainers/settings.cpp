#include "replay/trainers/settings.h"

#include <sys/auxv.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace samestep::trainers {
namespace {

namespace fs = std::filesystem;

void add_model(CLI::App& app, Settings& s) {
  app.add_option("--model", s.model, "What is trained")
      ->check(CLI::IsMember({"mlp", "convnet", "gpt"}))
      ->group("Model");
  app.add_option("--block", s.block, "Characters a sequence (gpt)")->check(CLI::PositiveNumber)->group("Model");
  app.add_option("--layers", s.layers, "Blocks (gpt)")->check(CLI::PositiveNumber)->group("Model");
  app.add_option("--heads", s.heads, "Attention heads a block (gpt)")->check(CLI::PositiveNumber)->group("Model");
  app.add_option("--width", s.width, "Embedding, hidden layers or first channels")
      ->check(CLI::PositiveNumber)
      ->group("Model");
  app.add_option("--dropout", s.dropout, "Dropout")->check(CLI::Range(0.0, 0.99))->group("Model");
}

void add_training(CLI::App& app, Settings& s) {
  app.add_option("--steps", s.steps, "Optimizer steps")->group("Training");
  app.add_option("--seed", s.seed, "Of weights, dropout and data order")->group("Training");
  app.add_option("--batch", s.batch, "Sequences or images a step")->check(CLI::PositiveNumber)->group("Training");
  app.add_option("--learning-rate", s.learning_rate, "Peak of the schedule")->group("Training");
  app.add_option("--warmup", s.warmup, "Steps until the peak; a cosine follows")->group("Training");
  app.add_option("--weight-decay", s.weight_decay, "Of matrices; vectors decay nowhere")->group("Training");
  app.add_option("--clip", s.clip, "Largest gradient norm, 0: none")->group("Training");
  app.add_flag("--deterministic", s.deterministic, "Deterministic algorithms and filled memory, as in a recording")
      ->group("Training");
  app.add_option("--patience", s.patience, "Evaluations without a better one until it stops, 0: never")
      ->group("Training");
}

void add_files(CLI::App& app, Settings& s) {
  app.add_option("--log-every", s.log_every, "Steps between printed losses")
      ->check(CLI::PositiveNumber)
      ->group("Output");
  app.add_option("--eval-every", s.eval_every, "Steps between evaluations, 0: only at the end")->group("Output");
  app.add_option("--eval-batches", s.eval_batches, "Batches an evaluation reads (gpt)")
      ->check(CLI::PositiveNumber)
      ->group("Output");
  app.add_flag("--full-precision", s.full_precision, "Print losses with 17 significant digits")->group("Output");
  app.add_option("--save", s.save, "Write the final weights here (safetensors)")->group("Output");
  app.add_option("--step-times", s.step_times, "Write each step's milliseconds here")->group("Output");
  app.add_option("--text", s.text, "Any text file of 500 kB or so (gpt)")->group("Data");
  app.add_option("--digits", s.digits, "A CSV file of 64 pixels and a digit a line (mlp, convnet)")->group("Data");
}

// What no single option can check.
void check(const Settings& s) {
  if (s.model.empty())
    throw CLI::ValidationError("--model", "say which: mlp, convnet or gpt, or --config configs/gpt.toml");
  if (s.model == "gpt" && s.width % s.heads != 0) {
    throw CLI::ValidationError("--heads",
                               std::to_string(s.heads) + " heads do not divide a width of " + std::to_string(s.width));
  }
}

// Folders that may hold the data, best first: both the path by which the program was started, which may be a link into
// a build folder, and the file behind it.
std::vector<fs::path> data_folders() {
  if (const char* folder = std::getenv("SAMESTEP_DATA")) return {folder};
  std::error_code unreadable;
  const fs::path started{reinterpret_cast<const char*>(getauxval(AT_EXECFN))};
  const fs::path file = fs::read_symlink("/proc/self/exe", unreadable);
  std::vector<fs::path> folders;
  for (const fs::path& program : {fs::absolute(started), file}) {
    folders.push_back(program.parent_path().parent_path() / "share" / "samestep");
  }
  return folders;
}

}  // namespace

Settings parse_settings(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Trains a small model on real data. Every flag is also a key of the configuration file.",
               "samestep-train"};
  app.footer(
      "Example: samestep-train --config configs/gpt.toml --steps 200 --seed 7\nExit codes: 0 trained, 2 usage or I/O");
  app.set_config("--config", "", "A file of these settings, such as configs/gpt.toml");
  app.allow_config_extras(false);
  app.option_defaults()->always_capture_default();
  add_model(app, settings);
  add_training(app, settings);
  add_files(app, settings);
  try {
    app.parse(argc, argv);
    check(settings);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return settings;
}

std::string data_file(const std::string& given, const std::string& name) {
  std::vector<fs::path> candidates;
  for (const fs::path& folder : data_folders()) candidates.push_back(folder / name);
  if (!given.empty()) candidates = {given};
  for (const fs::path& candidate : candidates) {
    if (fs::is_regular_file(candidate)) return candidate.lexically_normal().string();
  }
  const std::string advice = given.empty() ? "; run scripts/setup.sh, or name the folder in SAMESTEP_DATA" : "";
  throw std::runtime_error("no data file " + candidates.front().lexically_normal().string() + advice);
}

}  // namespace samestep::trainers
