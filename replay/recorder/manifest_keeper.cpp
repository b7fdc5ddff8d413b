#include "replay/recorder/manifest_keeper.h"

#include <algorithm>
#include <utility>

#include "replay/run/run_files.h"

namespace samestep {

namespace {

constexpr std::uint64_t most_of_a_kind = 1000;

}  // namespace

ManifestKeeper::ManifestKeeper(std::filesystem::path run, Manifest manifest)
    : run_(std::move(run)), manifest_(std::move(manifest)) {}

void ManifestKeeper::change(const std::function<void(Manifest&)>& edit) {
  const std::scoped_lock lock(changing_);
  edit(manifest_);
  changed_ = true;
}

Manifest ManifestKeeper::copy() const {
  const std::scoped_lock lock(changing_);
  return manifest_;
}

void ManifestKeeper::add(Event event, bool is_difference) {
  const std::scoped_lock lock(changing_);
  if (const auto shown = shown_.find(event.kind);
      shown == shown_.end() || (is_difference && !shown->second.is_difference))
    shown_[event.kind] = {event.text, is_difference};
  const std::uint64_t count = ++counts_[event.kind];
  changed_ = true;
  if (count <= most_of_a_kind)
    manifest_.events.push_back(std::move(event));
  else
    manifest_.what["events_not_kept"][event.kind] = count - most_of_a_kind;
}

std::map<std::string, std::uint64_t> ManifestKeeper::event_counts() const {
  const std::scoped_lock lock(changing_);
  return counts_;
}

ManifestKeeper::Shown ManifestKeeper::most_telling(const std::string& kind) const {
  const std::scoped_lock lock(changing_);
  return shown_.at(kind);
}

void ManifestKeeper::renew() {
  const std::scoped_lock one_at_a_time(writing_);
  Manifest now;
  {
    const std::scoped_lock lock(changing_);
    if (!changed_) return;
    now = manifest_;
    changed_ = false;
  }
  try {
    write_manifest(run_, now);
  } catch (...) {
    const std::scoped_lock lock(changing_);
    changed_ = true;
    throw;
  }
}

void ManifestKeeper::digest_ended_logs() {
  for (const SegmentEntry& segment : copy().segments) {
    if (segment.digest || !segment.chain || segment.ended == "running") continue;
    // Read, not mapped: a log has holes, and a mapped hole on a full disk is a bus error.
    const Digest digest_of_file = file_digest(run_ / segment.file);
    change([&](Manifest& now) {
      for (SegmentEntry& entry : now.segments)
        if (entry.rank == segment.rank && entry.number == segment.number) entry.digest = digest_of_file;
    });
  }
}

bool ManifestKeeper::is_renewed() const {
  const std::scoped_lock lock(changing_);
  return !changed_;
}

}  // namespace samestep
