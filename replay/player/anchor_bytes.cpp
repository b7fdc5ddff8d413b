#include "replay/player/anchor_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "replay/checkpoint/anchor.h"
#include "replay/checkpoint/safetensors.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

void write_all(int file, std::span<const std::byte> bytes, const std::string& origin) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw BrokenInput(fmt::format("Copying the anchor {} into memory failed: {}.", origin, std::strerror(errno)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

Descriptor memory_copy(const std::filesystem::path& file) {
  Descriptor copy(::memfd_create("samestep-anchor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) throw BrokenInput(fmt::format("Making room for the anchor failed: {}.", std::strerror(errno)));
  write_all(copy.get(), MappedFile(file).bytes(), file.string());
  if (::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    throw BrokenInput(fmt::format("Sealing the anchor's copy failed: {}.", std::strerror(errno)));
  }
  ::lseek(copy.get(), 0, SEEK_SET);
  return copy;
}

// Throws with the most that can be said; returns where the anchor is as recorded.
void name_edit(const RunReader& run, const AnchorEntry& anchor) {
  if (anchor.step == 0 || anchor.step - 1 < run.first_step() || anchor.step > run.end_step()) return;
  const std::filesystem::path file = run.path() / anchor.file;
  const MappedFile mapped(file);
  if (digest(mapped.bytes()) == anchor.digest) return;
  const StepRecord record = run.record(anchor.step - 1);
  check_anchor(mapped.bytes(), file.string(), record, run.layout(anchor.step - 1));
}

}  // namespace

Descriptor verified_anchor(const RunReader& run, const AnchorEntry& anchor) {
  const std::filesystem::path file = run.path() / anchor.file;
  Descriptor copy = memory_copy(file);
  const MappedFile bytes(copy.get(), file.string());
  if (digest(bytes.bytes()) == anchor.digest) return copy;
  name_edit(run, anchor);
  throw TamperedInput(fmt::format("The anchor {} is not what was recorded: its digest is {}, the manifest says {}.",
                                  file.string(), digest(bytes.bytes()).hex(), anchor.digest.hex()));
}

void check_run(const RunReader& run) {
  try {
    run.check_integrity();
  } catch (const TamperedInput&) {
    for (const AnchorEntry& anchor : run.manifest().anchors) {
      try {
        name_edit(run, anchor);
      } catch (const TamperedInput&) {
        throw;
      } catch (const BrokenInput&) {  // no more to be said about this one than the check has said
      }
    }
    throw;
  }
}

}  // namespace samestep
