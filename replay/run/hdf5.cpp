#include "replay/run/hdf5.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/lanes.h"
#include "replay/run/record_codec.h"

namespace samestep::hdf5 {
namespace {

// HDF5 keeps its settings for error printing a thread, so each thread that comes here switches it off.
void quiet() {
  // Before any other call: the exit handler would close an abandoned file a second time, and crash on it. Every handle
  // of ours closes itself.
  static const herr_t no_exit_handler = H5dont_atexit();
  static_cast<void>(no_exit_handler);
  thread_local const bool done = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
  static_cast<void>(done);
}

herr_t keep_first(unsigned depth, const H5E_error2_t* error, void* text) {
  if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

// The message nearest to what went wrong: HDF5 nests up to fifteen around it.
std::string innermost_message() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "HDF5 gives no reason" : text;
}

Handle owned(hid_t id, Handle::Close close, const std::string& doing) {
  check(id, doing);
  return {id, close};
}

Handle properties(hid_t cls) {
  return owned(H5Pcreate(cls), H5Pclose, "HDF5 properties");
}

Handle simple_space(std::span<const hsize_t> dims, const hsize_t* limits = nullptr) {
  return owned(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), limits), H5Sclose, "HDF5 dataspace");
}

Handle copy_of(hid_t type) {
  quiet();
  return owned(H5Tcopy(type), H5Tclose, "HDF5 type");
}

Handle array_of(hid_t type, hsize_t size) {
  return owned(H5Tarray_create2(type, 1, &size), H5Tclose, "HDF5 type");
}

// Builds a compound without padding, field after field.
class Compound {
 public:
  explicit Compound(std::size_t size) : type_(owned(H5Tcreate(H5T_COMPOUND, size), H5Tclose, "HDF5 type")) {}
  Compound& field(const char* name, hid_t type) {
    check(H5Tinsert(type_.get(), name, offset_, type), "HDF5 type");
    offset_ += H5Tget_size(type);
    return *this;
  }
  Handle take() { return std::move(type_); }

 private:
  Handle type_;
  std::size_t offset_ = 0;
};

Handle type_lane_head() {
  const Handle digest = array_of(H5T_STD_U8LE, 32);
  Compound lane(lane_head_bytes);
  lane.field("status", H5T_STD_U8LE).field("reason", H5T_STD_U8LE).field("stored", H5T_STD_U8LE);
  return lane.field("digest", digest.get()).take();
}

// Metadata come in small pieces every step; larger blocks of them mean fewer calls to grow the file.
constexpr hsize_t metadata_block = 64 * 1024;

// Beside a living writer a piece of metadata may be met half written: HDF5 looks again after 1, 2, 4, ... nanoseconds.
// Its default of 100 looks never ends on a damaged file; 22 are over after 4 milliseconds.
constexpr unsigned metadata_attempts = 22;

Handle access_for_writing() {
  Handle access = properties(H5P_FILE_ACCESS);
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "HDF5 format version");
  check(H5Pset_meta_block_size(access.get(), metadata_block), "HDF5 block size");
  return access;
}

// A fatal signal can end a write between two pages of the file system's cache, and a block of a chunk index that is
// half old and half new fails its checksum with every acknowledged row in it. Blocks that never cross a page boundary
// are written whole or not at all. (Index blocks of 512 elements, from about row 8176 on, would outgrow a page:
// format::max_segment_steps.)
constexpr hsize_t file_page = 4096;

Handle creation_in_pages() {
  Handle creation = properties(H5P_FILE_CREATE);
  check(H5Pset_file_space_strategy(creation.get(), H5F_FSPACE_STRATEGY_PAGE, false, 1), "HDF5 file space");
  check(H5Pset_file_space_page_size(creation.get(), file_page), "HDF5 file space");
  return creation;
}

Handle rows_of_one_chunk(std::span<const hsize_t> chunk_dims) {
  Handle creation = properties(H5P_DATASET_CREATE);
  check(H5Pset_chunk(creation.get(), static_cast<int>(chunk_dims.size()), chunk_dims.data()), "HDF5 chunk");
  check(H5Pset_fletcher32(creation.get()), "HDF5 checksum");
  check(H5Pset_obj_track_times(creation.get(), false), "HDF5 properties");  // equal runs, equal files
  return creation;
}

// HDF5's own checksum of a chunk: Fletcher32 over big-endian 16-bit words, an odd last byte padded with zero.
std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  constexpr std::size_t words_before_overflow = 360;
  std::uint32_t sum1 = 0;
  std::uint32_t sum2 = 0;
  const auto fold = [&] {
    sum1 = (sum1 & 0xffffu) + (sum1 >> 16);
    sum2 = (sum2 & 0xffffu) + (sum2 >> 16);
  };
  std::size_t i = 0;
  while (i + 1 < bytes.size()) {
    const std::size_t end = std::min(bytes.size() - 1, i + 2 * words_before_overflow);
    for (; i < end; i += 2) {
      sum1 += static_cast<std::uint32_t>(bytes[i]) << 8 | static_cast<std::uint32_t>(bytes[i + 1]);
      sum2 += sum1;
    }
    fold();
  }
  if (bytes.size() % 2 != 0) {
    sum1 += static_cast<std::uint32_t>(bytes.back()) << 8;
    sum2 += sum1;
    fold();
  }
  fold();
  return sum2 << 16 | sum1;
}

void follow_hard_link(hid_t file, const std::string& path, const std::string& origin) {
  H5L_info_t info{};
  check(H5Lget_info(file, path.c_str(), &info, H5P_DEFAULT), origin + ": " + path);
  if (info.type != H5L_TYPE_HARD) throw BrokenInput(origin + ": " + path + " is a link that leads elsewhere");
}

// Nothing but checksums: other filters could be plugins, and other storage could be other files.
void accept_storage(hid_t dataset, const std::string& what) {
  const Handle creation = owned(H5Dget_create_plist(dataset), H5Pclose, what);
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED) throw BrokenInput(what + " is not stored in chunks");
  if (H5Pget_nfilters(creation.get()) != 1) throw BrokenInput(what + " does not have exactly one filter");
  unsigned flags = 0;
  unsigned configuration = 0;
  std::size_t values = 0;
  const H5Z_filter_t filter = H5Pget_filter2(creation.get(), 0, &flags, &values, nullptr, 0, nullptr, &configuration);
  if (filter != H5Z_FILTER_FLETCHER32) throw BrokenInput(what + " has a filter other than Fletcher32");
}

}  // namespace

void check(std::int64_t status, const std::string& doing) {
  if (status < 0) throw BrokenInput(doing + ": " + innermost_message());
}

Handle type_u8() {
  return copy_of(H5T_STD_U8LE);
}
Handle type_u32() {
  return copy_of(H5T_STD_U32LE);
}
Handle type_u64() {
  return copy_of(H5T_STD_U64LE);
}
Handle type_f64() {
  return copy_of(H5T_IEEE_F64LE);
}

Handle type_text(std::size_t length) {
  Handle type = copy_of(H5T_C_S1);
  check(H5Tset_size(type.get(), length), "HDF5 type");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "HDF5 type");
  return type;
}

Handle type_step_row() {
  quiet();
  const Handle lane = type_lane_head();
  const Handle lanes = array_of(lane.get(), lane_count);
  Compound row(step_row_bytes);
  row.field("step", H5T_STD_U64LE).field("optimizer", H5T_STD_U32LE).field("skipped", H5T_STD_U8LE);
  row.field("began_ns", H5T_STD_I64LE).field("duration_ns", H5T_STD_I64LE).field("waited_ns", H5T_STD_I64LE);
  row.field("capture_ns", H5T_STD_I64LE).field("peak_memory", H5T_STD_U64LE);
  row.field("peak_device_memory", H5T_STD_U64LE).field("rank", H5T_STD_U32LE).field("world_size", H5T_STD_U32LE);
  row.field("lanes", lanes.get()).field("rng_out_stored", H5T_STD_U8LE).field("batch_items", H5T_STD_U32LE);
  row.field("loss_items", H5T_STD_U32LE).field("loss_values", H5T_STD_U32LE);
  return row.field("host_reads", H5T_STD_U32LE).take();
}

Handle type_summary() {
  quiet();
  const Handle sketch = array_of(H5T_IEEE_F64LE, Sketch::size);
  Compound row(summary_bytes);
  row.field("norm", H5T_IEEE_F64LE).field("max_abs", H5T_IEEE_F64LE).field("mean", H5T_IEEE_F64LE);
  row.field("nonfinite", H5T_STD_U64LE).field("sketch", sketch.get());
  return row.field("sum", H5T_STD_U64LE).field("weighted", H5T_STD_U64LE).take();
}

// HDF5 opens files without O_CLOEXEC: a program that is started later would inherit the log.
Handle private_to_us(Handle file) {
  void* descriptor = nullptr;
  if (H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &descriptor) >= 0 && descriptor != nullptr)
    (void)::fcntl(*static_cast<int*>(descriptor), F_SETFD, FD_CLOEXEC);
  return file;
}

Handle create_file(const std::filesystem::path& file) {
  quiet();
  const Handle access = access_for_writing();
  const Handle creation = creation_in_pages();
  return private_to_us(owned(H5Fcreate(file.c_str(), H5F_ACC_EXCL, creation.get(), access.get()), H5Fclose,
                             "cannot create " + file.string()));
}

Handle create_group(hid_t file, const std::string& path) {
  return owned(H5Gcreate2(file, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose,
               "cannot create " + path);
}

Handle create_rows(hid_t file, const std::string& path, hid_t type, std::span<const hsize_t> row) {
  std::vector<hsize_t> dims{0};
  std::vector<hsize_t> limits{H5S_UNLIMITED};
  std::vector<hsize_t> chunk_dims{1};
  for (auto* list : {&dims, &limits, &chunk_dims}) list->insert(list->end(), row.begin(), row.end());
  const Handle space = simple_space(dims, limits.data());
  const Handle creation = rows_of_one_chunk(chunk_dims);
  return owned(H5Dcreate2(file, path.c_str(), type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Dclose,
               "cannot create " + path);
}

void write_bytes(hid_t file, const std::string& path, std::span<const std::byte> bytes) {
  const std::array<hsize_t, 1> dims{bytes.size()};
  const Handle space = simple_space(dims);
  const Handle creation = rows_of_one_chunk(dims);
  const Handle dataset =
      owned(H5Dcreate2(file, path.c_str(), H5T_STD_U8LE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
            H5Dclose, "cannot create " + path);
  check(H5Dwrite(dataset.get(), H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), "cannot write " + path);
}

void write_chunk(hid_t dataset, hsize_t row, std::size_t rank, std::vector<std::byte> bytes, const std::string& doing) {
  const std::uint32_t checksum = fletcher32(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::byte>(checksum >> shift));
  std::vector<hsize_t> offset(rank, 0);
  offset[0] = row;
  check(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset.data(), bytes.size(), bytes.data()), doing);
}

void write_attribute(hid_t file, const char* name, hid_t type, std::span<const hsize_t> dims, const void* data) {
  const std::string doing = std::string("cannot write the attribute ") + name;
  const Handle space = dims.empty() ? owned(H5Screate(H5S_SCALAR), H5Sclose, doing) : simple_space(dims);
  const Handle attribute = owned(H5Acreate2(file, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, doing);
  check(H5Awrite(attribute.get(), type, data), doing);
}

void start_swmr(hid_t file, const std::string& origin) {
  check(H5Fstart_swmr_write(file), "cannot open " + origin + " to live readers");
}

void flush(hid_t file, const std::string& origin) {
  check(H5Fflush(file, H5F_SCOPE_LOCAL), "cannot write " + origin);
}

void sync_to_disk(hid_t file, const std::string& origin) {
  void* handle = nullptr;
  check(H5Fget_vfd_handle(file, H5P_DEFAULT, &handle), "cannot sync " + origin);
  if (fsync(*static_cast<int*>(handle)) != 0) throw BrokenInput("cannot sync " + origin + ": " + std::strerror(errno));
}

void abandon(hid_t file) noexcept {
  void* handle = nullptr;
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0) return;
  const int nowhere = ::memfd_create("abandoned", MFD_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, *static_cast<int*>(handle));
  ::close(nowhere);
}

Handle open_file(const std::filesystem::path& file) {
  quiet();
  H5PLset_loading_state(0);
  const Handle access = properties(H5P_FILE_ACCESS);
  check(H5Pset_metadata_read_attempts(access.get(), metadata_attempts), "HDF5 properties");
  return private_to_us(owned(H5Fopen(file.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.get()), H5Fclose,
                             "cannot open " + file.string()));
}

std::uint64_t end_of(hid_t file, const std::string& origin) {
  haddr_t end = 0;
  check(H5Fget_eoa(file, &end), origin + ": cannot tell where it ends");
  return end;
}

Handle open_dataset(hid_t file, const std::string& path, const std::string& origin) {
  quiet();
  const std::size_t second = path.find('/', 1);
  if (second != std::string::npos) follow_hard_link(file, path.substr(0, second), origin);
  follow_hard_link(file, path, origin);
  Handle dataset = owned(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, origin + ": cannot open " + path);
  accept_storage(dataset.get(), origin + ": " + path);
  return dataset;
}

void refresh(hid_t dataset, const std::string& origin) {
  check(H5Drefresh(dataset), origin + ": cannot look again");
}

std::vector<hsize_t> extent(hid_t dataset, const std::string& origin) {
  const Handle space = owned(H5Dget_space(dataset), H5Sclose, origin);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  check(rank, origin);
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  check(H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr), origin);
  return dims;
}

std::vector<hsize_t> chunk(hid_t dataset, const std::string& origin) {
  const Handle creation = owned(H5Dget_create_plist(dataset), H5Pclose, origin);
  std::vector<hsize_t> dims(H5S_MAX_RANK);
  const int rank = H5Pget_chunk(creation.get(), static_cast<int>(dims.size()), dims.data());
  check(rank, origin);
  dims.resize(static_cast<std::size_t>(rank));
  return dims;
}

bool has_type(hid_t dataset, hid_t type, const std::string& origin) {
  const Handle found = owned(H5Dget_type(dataset), H5Tclose, origin);
  return H5Tequal(found.get(), type) > 0;
}

void read_chunk(hid_t dataset, hsize_t row, std::size_t rank, std::span<std::byte> out, const std::string& origin) {
  quiet();
  std::array<hsize_t, H5S_MAX_RANK> offset{};
  offset.at(0) = row;
  hsize_t stored = 0;
  check(rank <= offset.size() ? H5Dget_chunk_storage_size(dataset, offset.data(), &stored) : -1, origin);
  if (stored != out.size() + sizeof(std::uint32_t)) {
    throw BrokenInput(origin + ": has " + std::to_string(stored) + " bytes in the file, expected were " +
                      std::to_string(out.size() + sizeof(std::uint32_t)));
  }
  std::vector<std::byte> bytes(stored);
  std::uint32_t skipped_filters = 0;
  check(H5Dread_chunk(dataset, H5P_DEFAULT, offset.data(), &skipped_filters, bytes.data()), origin);
  std::copy_n(bytes.begin(), out.size(), out.begin());
  ByteReader stated{std::span(bytes).subspan(out.size()), origin};
  if (skipped_filters != 0 || stated.u32() != fletcher32(out))
    throw BrokenInput(origin + ": its checksum does not fit");
}

void read_attribute(hid_t file, const char* name, hid_t type, std::span<const hsize_t> dims, void* out,
                    const std::string& origin) {
  const std::string what = origin + ": attribute " + name;
  const Handle attribute = owned(H5Aopen(file, name, H5P_DEFAULT), H5Aclose, what);
  const Handle found = owned(H5Aget_type(attribute.get()), H5Tclose, what);
  if (H5Tequal(found.get(), type) <= 0) throw BrokenInput(what + " has another type than the format says");
  const Handle space = owned(H5Aget_space(attribute.get()), H5Sclose, what);
  std::array<hsize_t, H5S_MAX_RANK> sizes{};
  const int rank = H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  if (rank < 0 || !std::equal(dims.begin(), dims.end(), sizes.begin(), sizes.begin() + rank)) {
    throw BrokenInput(what + " has another size than the format says");
  }
  check(H5Aread(attribute.get(), type, out), what);
}

}  // namespace samestep::hdf5
