// HDF5's C functions, each wrapped once: handles that close themselves, and failures that become BrokenInput with the
// file's name and HDF5's own innermost message. Its habit of printing to standard error is switched off.
//
// Reading is guarded against files made by someone else: only hard links are followed, only Fletcher32 is accepted as a
// filter, no external or virtual storage, no plugin is ever loaded.
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace samestep::hdf5 {

// Owns one HDF5 identifier, whatever its kind.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { reset(); }

  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] explicit operator bool() const { return id_ >= 0; }
  // Closes now; negative where HDF5 could not (data may not have reached the disk).
  herr_t reset() {
    const hid_t id = std::exchange(id_, H5I_INVALID_HID);
    return id >= 0 ? close_(id) : 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// Throws BrokenInput "<doing>: <HDF5's innermost message>" where `status` (an identifier or a herr_t) is negative.
void check(std::int64_t status, const std::string& doing);

// --- Types ------------------------------------------------------------------------------------------------------

[[nodiscard]] Handle type_u8();
[[nodiscard]] Handle type_u32();
[[nodiscard]] Handle type_u64();
[[nodiscard]] Handle type_f64();
[[nodiscard]] Handle type_text(std::size_t length);
[[nodiscard]] Handle type_step_row();  // the compound of /steps; its bytes are those of record_codec.h
[[nodiscard]] Handle type_summary();   // the compound of */summary

// --- Writing ----------------------------------------------------------------------------------------------------

// A new file in the latest format; refused if it exists.
[[nodiscard]] Handle create_file(const std::filesystem::path& file);
[[nodiscard]] Handle create_group(hid_t file, const std::string& path);
// A dataset of rows, none yet, one row a chunk, Fletcher32.
[[nodiscard]] Handle create_rows(hid_t file, const std::string& path, hid_t type, std::span<const hsize_t> row);
// A dataset of fixed size in one chunk, with its contents.
void write_bytes(hid_t file, const std::string& path, std::span<const std::byte> bytes);
// Row `row` of a dataset of create_rows(), whole: its chunk with its checksum, past HDF5's cache of chunks (every flush
// walks through all that it holds). REQUIRES the extent reaches `row`.
void write_chunk(hid_t dataset, hsize_t row, std::size_t rank, std::vector<std::byte> bytes, const std::string& doing);
void write_attribute(hid_t file, const char* name, hid_t type, std::span<const hsize_t> dims, const void* data);
void start_swmr(hid_t file, const std::string& origin);
void flush(hid_t file, const std::string& origin);
void sync_to_disk(hid_t file, const std::string& origin);  // fsync
// After a failed write: whatever HDF5 still writes to `file`, closing it included, goes nowhere, and the file on disk
// stays as it is. Closing it the usual way on a full disk states an end of file that was never reached, and no reader
// opens that.
void abandon(hid_t file) noexcept;

// --- Reading ----------------------------------------------------------------------------------------------------

// Opens a log that may still be written to by another process.
[[nodiscard]] Handle open_file(const std::filesystem::path& file);
// Where what HDF5 wrote to the file ends, as its superblock says.
[[nodiscard]] std::uint64_t end_of(hid_t file, const std::string& origin);
// A dataset reached by hard links only, stored in chunks with Fletcher32 and nothing else.
[[nodiscard]] Handle open_dataset(hid_t file, const std::string& path, const std::string& origin);
// Takes up what a living writer has added.
void refresh(hid_t dataset, const std::string& origin);
[[nodiscard]] std::vector<hsize_t> extent(hid_t dataset, const std::string& origin);
[[nodiscard]] std::vector<hsize_t> chunk(hid_t dataset, const std::string& origin);
[[nodiscard]] bool has_type(hid_t dataset, hid_t type, const std::string& origin);
// Reads chunk number `row` along the first dimension, whole, past HDF5's caches, and checks its Fletcher32. `out` is
// exactly the chunk's size. Throws BrokenInput where it was never written, has another size, or does not fit its sum.
void read_chunk(hid_t dataset, hsize_t row, std::size_t rank, std::span<std::byte> out, const std::string& origin);
// Reads an attribute of exactly this type and these dimensions (none: a scalar).
void read_attribute(hid_t file, const char* name, hid_t type, std::span<const hsize_t> dims, void* out,
                    const std::string& origin);

}  // namespace samestep::hdf5
