// What a training is told. Every member is a flag of samestep-train and a key of configs/*.toml, under the same name
// with '-' for '_'. A flag wins over the file.
#pragma once

#include <cstdint>
#include <string>

namespace samestep::trainers {

struct Settings {
  std::string model;       // mlp, convnet or gpt
  std::uint64_t seed = 7;  // of the weights, the dropout and the order of the data
  std::uint64_t steps = 200;
  std::int64_t batch = 12;  // sequences or images a step

  std::int64_t block = 64;   // gpt: characters a sequence
  std::int64_t layers = 4;   // gpt: blocks
  std::int64_t heads = 4;    // gpt: attention heads a block; divides width
  std::int64_t width = 128;  // gpt: of the embedding; mlp: of the hidden layers; convnet: channels of the first layer
  double dropout = 0.1;

  double learning_rate = 1e-3;
  std::uint64_t warmup = 50;  // steps
  double weight_decay = 0.1;
  double clip = 1.0;  // largest norm of all gradients together; 0: no clipping

  bool deterministic = false;  // ask LibTorch for deterministic algorithms and filled memory, as a recording does

  std::uint64_t log_every = 10;
  std::uint64_t eval_every = 100;  // 0: only at the end
  std::int64_t eval_batches = 4;   // gpt: batches of the validation text an evaluation reads
  std::uint64_t patience = 0;      // stop after so many evaluations without a better one; 0: never
  bool full_precision = false;     // print losses with 17 significant digits

  std::string text;        // file; empty: bible.txt of the data folder
  std::string digits;      // file; empty: digits.csv of the data folder
  std::string save;        // where the final weights go, as safetensors; empty: nowhere
  std::string step_times;  // where the wall time of each step goes, in milliseconds, a line each; empty: nowhere
};

// Reads the command line and the file that --config names. Ends the program for --help (0) and for a wrong value (2,
// with one line on standard error).
[[nodiscard]] Settings parse_settings(int argc, char** argv);

// Where the data lie: $SAMESTEP_DATA, else share/samestep beside the program's own folder. `given` wins if not empty.
// Throws std::runtime_error, saying what to do, where there is no such file.
[[nodiscard]] std::string data_file(const std::string& given, const std::string& name);

}  // namespace samestep::trainers
