#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "replay/trainers/progress.h"

namespace samestep::trainers {
namespace {

using Named = std::vector<std::pair<std::string, at::Tensor>>;

Named named_weights(const torch::nn::Module& model) {
  Named weights;
  for (const auto& item : model.named_parameters())
    weights.emplace_back(item.key(), item.value().detach().contiguous());
  for (const auto& item : model.named_buffers()) weights.emplace_back(item.key(), item.value().contiguous());
  return weights;
}

const char* safetensors_type(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat:
      return "F32";
    case torch::kDouble:
      return "F64";
    case torch::kLong:
      return "I64";
    default:
      throw std::runtime_error("a model of these trainers holds float, double and int64 tensors only");
  }
}

// JSON from each name to dtype, shape and place in the data that follow, padded with spaces to 8 bytes.
std::string header_of(const Named& weights) {
  nlohmann::ordered_json header;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : weights) {
    header[name] = {{"dtype", safetensors_type(tensor)},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

void write_weights(const torch::nn::Module& model, const std::string& file) {
  const Named weights = named_weights(model);
  const std::string header = header_of(weights);
  const std::uint64_t length = header.size();
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << header;
  for (const auto& [name, tensor] : weights) {
    out.write(static_cast<const char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  }
  if (!out.flush()) throw std::runtime_error("cannot write the weights to " + file);
}

}  // namespace samestep::trainers
