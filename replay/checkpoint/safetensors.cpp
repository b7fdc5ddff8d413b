#include "replay/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "replay/run/bytes.h"
#include "replay/run/error.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t max_header = 100'000'000;  // as the safetensors library
constexpr const char* metadata_key = "__metadata__";

// --- Reading ----------------------------------------------------------------------------------------------------

std::string_view header_text(std::span<const std::byte> bytes, const std::string& origin) {
  ByteReader in(bytes, origin);
  const std::uint64_t length = in.u64();
  if (length > max_header) in.fail("its header claims " + std::to_string(length) + " bytes, more than 100 MB");
  const auto header = in.raw(length);
  if (header.empty() || header[0] != std::byte{'{'}) in.fail("its header does not begin with '{'");
  return {reinterpret_cast<const char*>(header.data()), header.size()};
}

std::map<std::string, std::string> metadata_of(const json& value, const std::string& origin) {
  if (!value.is_object()) throw BrokenInput(origin + ": its metadata are not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw BrokenInput(origin + ": its metadata \"" + key + "\" is not a string");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

Shape shape_of(const json& value, const std::string& what) {
  const json& list = json_array(value, "shape", what);
  if (list.size() > max_rank) throw BrokenInput(what + ": more than 16 dimensions");
  Shape shape;
  for (const json& size : list) {
    const bool in_range =
        size.is_number_unsigned() && size.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    if (!in_range) throw BrokenInput(what + ": its shape holds something that is no size");
    shape.push_back(size.get<std::int64_t>());
  }
  return shape;
}

// Bytes of a tensor of this dtype and shape; refused where they do not fit into 64 bits.
std::uint64_t bytes_of(DType dtype, const Shape& shape, const std::string& what) {
  std::uint64_t size = element_size(dtype);
  bool empty = false;
  for (const std::int64_t dim : shape) empty = empty || dim == 0;
  if (empty) return 0;
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(dim), &size)) {
      throw BrokenInput(what + ": its shape has more bytes than any file");
    }
  }
  return size;
}

struct Placed {
  TensorView tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::pair<std::uint64_t, std::uint64_t> offsets_of(const json& value, const std::string& what) {
  const json& list = json_array(value, "data_offsets", what);
  if (list.size() != 2 || !list[0].is_number_unsigned() || !list[1].is_number_unsigned()) {
    throw BrokenInput(what + ": \"data_offsets\" are not two numbers");
  }
  return {list[0].get<std::uint64_t>(), list[1].get<std::uint64_t>()};
}

Placed tensor_of(const std::string& name, const json& value, std::span<const std::byte> data,
                 const std::string& origin) {
  const std::string what = origin + ": tensor " + name;
  const std::string dtype_name = json_text(value, "dtype", what);
  const auto dtype = dtype_from_name(dtype_name);
  if (!dtype) throw BrokenInput(what + ": unknown dtype " + dtype_name);
  if (value.size() != 3) throw BrokenInput(what + ": fields other than dtype, shape and data_offsets");
  Placed placed{{name, *dtype, shape_of(value, what), {}}, 0, 0};
  std::tie(placed.begin, placed.end) = offsets_of(value, what);
  if (placed.begin > placed.end || placed.end > data.size()) {
    throw BrokenInput(what + ": bytes " + std::to_string(placed.begin) + " to " + std::to_string(placed.end) +
                      " do not lie in the file's " + std::to_string(data.size()) + " bytes of data");
  }
  const std::uint64_t expected = bytes_of(*dtype, placed.tensor.shape, what);
  if (placed.end - placed.begin != expected) {
    throw BrokenInput(what + ": has " + std::to_string(placed.end - placed.begin) +
                      " bytes, its dtype and shape need " + std::to_string(expected));
  }
  placed.tensor.data = data.subspan(placed.begin, expected);
  return placed;
}

// In order of their data, without gap or overlap, up to the last byte.
void check_tiling(const std::vector<Placed>& tensors, std::uint64_t data_bytes, const std::string& origin) {
  std::uint64_t end = 0;
  for (const Placed& placed : tensors) {
    if (placed.begin != end) {
      throw BrokenInput(origin + ": tensor " + placed.tensor.name + " begins at byte " + std::to_string(placed.begin) +
                        " where the one before ends at " + std::to_string(end));
    }
    end = placed.end;
  }
  if (end != data_bytes) {
    throw BrokenInput(origin + ": " + std::to_string(data_bytes - end) + " bytes after the last tensor");
  }
}

// --- Mapping ----------------------------------------------------------------------------------------------------

[[noreturn]] void cannot_open(const std::string& origin) {
  throw BrokenInput("cannot open " + origin + ": " + std::strerror(errno));
}

std::pair<void*, std::size_t> map(int descriptor, const std::string& origin) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) cannot_open(origin);
  if (!S_ISREG(status.st_mode)) throw BrokenInput("cannot open " + origin + ": not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {nullptr, 0};  // mmap refuses empty files
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) cannot_open(origin);
  return {data, size};
}

}  // namespace

const TensorView* Safetensors::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& origin) {
  const std::string_view text = header_text(bytes, origin);
  const auto data = bytes.subspan(length_bytes + text.size());
  const json header = parse_json(text, origin);
  Safetensors file;
  std::vector<Placed> placed;
  for (const auto& [name, value] : header.items()) {
    if (name == metadata_key) {
      file.metadata = metadata_of(value, origin);
    } else {
      placed.push_back(tensor_of(name, value, data, origin));
    }
  }
  // Empty tensors share their place with the one that follows: the end decides.
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_tiling(placed, data.size(), origin);
  for (Placed& one : placed) file.tensors.push_back(std::move(one.tensor));
  return file;
}

std::string safetensors_head(std::span<const TensorView> tensors, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const std::string what = "tensor " + tensor.name;
    const std::uint64_t size = bytes_of(tensor.dtype, tensor.shape, what);
    if (tensor.name == metadata_key || header.contains(tensor.name)) throw BrokenInput(what + ": the name is taken");
    header[tensor.name] = {
        {"dtype", std::string(name(tensor.dtype))}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > max_header) throw BrokenInput("a safetensors header of more than 100 MB");
  const auto length = ByteWriter().u64(text.size()).take();
  return std::string(reinterpret_cast<const char*>(length.data()), length.size()) + text;
}

MappedFile::MappedFile(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) cannot_open(file.string());
  try {
    std::tie(data_, size_) = map(descriptor, file.string());
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);  // the mapping stays
}

MappedFile::MappedFile(int descriptor, const std::string& origin) {
  std::tie(data_, size_) = map(descriptor, origin);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::span<const std::byte> MappedFile::bytes() const {
  return {static_cast<const std::byte*>(data_), size_};
}

}  // namespace samestep
