#include "replay/player/anchor_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "replay/checkpoint/anchor.h"
#include "replay/checkpoint/anchor_check.h"
#include "replay/checkpoint/safetensors.h"
#include "replay/run/run_files.h"

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

Descriptor memory_copy(const HeldAnchor& anchor) {
  Descriptor copy(::memfd_create("samestep-anchor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy) throw BrokenInput(fmt::format("Making room for the anchor failed: {}.", std::strerror(errno)));
  write_all(copy.get(), MappedFile(anchor.file.get(), anchor.path.string()).bytes(), anchor.path.string());
  if (::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    throw BrokenInput(fmt::format("Sealing the anchor's copy failed: {}.", std::strerror(errno)));
  }
  ::lseek(copy.get(), 0, SEEK_SET);
  return copy;
}

std::string sentence(const std::filesystem::path& file, const std::vector<AnchorDisagreement>& found) {
  constexpr std::size_t shown = 3;
  std::ostringstream text;
  text << "The anchor " << file.string() << " was edited";
  for (std::size_t i = 0; i < std::min(shown, found.size()); ++i) text << (i == 0 ? ": " : "; ") << found[i];
  if (found.size() > shown) text << "; and " << found.size() - shown << " more tensors";
  return text.str();
}

// Throws with the most that can be said; returns where the anchor is as recorded, or the log tells no more.
void name_edit(const RunReader& run, const AnchorEntry& anchor) {
  if (anchor.rank != run.rank()) return;
  const std::filesystem::path file = run_file(run.path(), anchor.file);
  const MappedFile mapped(file);
  if (digest(mapped.bytes()) == anchor.digest) return;
  const AnchorFile parsed = parse_anchor(mapped.bytes(), file.string());
  const auto record = run.record_before(anchor);
  if (!record) return;
  const auto found = compare_anchor(parsed, *record, run.layout_of_segment(anchor.segment)).disagreements;
  if (!found.empty()) throw TamperedAnchor(sentence(file, found), anchor.step, found.front().tensor);
}

}  // namespace

HeldAnchor hold_anchor(const RunReader& run, const AnchorEntry& anchor) {
  HeldAnchor held{anchor, run_file(run.path(), anchor.file), Descriptor()};
  held.file.reset(::open(held.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (held.file) return held;
  throw BrokenInput(fmt::format("Opening the anchor {} failed: {}.", held.path.string(), std::strerror(errno)));
}

Descriptor verified_anchor(const RunReader& run, const HeldAnchor& anchor) {
  Descriptor copy = memory_copy(anchor);
  const Digest found = digest(MappedFile(copy.get(), anchor.path.string()).bytes());
  if (found == anchor.entry.digest) return copy;
  name_edit(run, anchor.entry);
  throw TamperedInput(fmt::format("The anchor {} is not what was recorded: its digest is {}, the manifest says {}.",
                                  anchor.path.string(), found.hex(), anchor.entry.digest.hex()));
}

bool is_still_named(const RunReader& run, const AnchorEntry& anchor) {
  const Manifest now = read_manifest(run.path());
  return std::ranges::any_of(now.anchors, [&](const AnchorEntry& entry) {
    return entry.file == anchor.file && entry.digest == anchor.digest;
  });
}

void with_named_anchors(RunReader& run, const std::function<void()>& read) {
  constexpr int enough = 10;  // a recorder that thins faster than a run can be read is none of ours
  for (int attempt = 1;; ++attempt) {
    try {
      return read();
    } catch (const BrokenInput&) {
      const auto& known = run.manifest().anchors;
      const bool all_named =
          std::ranges::all_of(known, [&](const AnchorEntry& anchor) { return is_still_named(run, anchor); });
      if (all_named || attempt == enough) throw;
    }
    run.refresh();
  }
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
  check_anchors(run);
}

}  // namespace samestep
