// manifest.json: what ran, where, and how each part of the run ended. Written before the command starts and renewed
// atomically (temporary name, fsync, rename). Its field "digest" is the BLAKE3 of the file's own bytes with the 64
// digits of that field set to '0', so that any edited byte shows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/digest.h"

namespace samestep {

// One HDF5 log: the steps of one process from its hello to its end.
struct SegmentEntry {
  std::uint32_t rank = 0;
  std::uint32_t number = 0;
  std::string file;  // relative to the run; empty while no step was committed
  std::uint64_t first_step = 0;
  std::uint64_t steps = 0;        // committed when this manifest was written; a growing log may hold more
  std::string ended = "running";  // "running", "closed", "killed by signal 9", "exited with code 1", "lost", ...
  std::optional<Digest> digest;   // of the whole file, once it has ended
  std::optional<Digest> chain;    // after its last step, once it has ended
  std::optional<Digest> log_chain;
  std::int64_t began_ns = 0;  // UTC nanoseconds
  std::int64_t ended_ns = 0;
  nlohmann::json process = nlohmann::json::object();      // pid, program, world size, ...
  nlohmann::json environment = nlohmann::json::object();  // lane `environment`: effective values, libraries, hardware
};

struct AnchorEntry {
  std::uint64_t step = 0;  // S: the state after S updates
  std::uint32_t rank = 0;
  std::uint32_t segment = 0;  // number of the one whose step S - 1 left this state
  std::string file;           // "anchors/000000200-r0000.safetensors"
  std::uint64_t bytes = 0;
  Digest digest;  // of the whole file
};

// Something worth telling of a single run.
struct Event {
  std::int64_t utc_ns = 0;
  std::uint32_t rank = 0;
  std::string kind;  // "state_edited", "slow_step", "gap", "kill", "resume", "environment", ...
  std::optional<std::uint64_t> step;
  std::string tensor;  // empty where none
  std::string text;    // one sentence
};

struct Manifest {
  std::uint32_t format_version = 1;
  std::string run_id;  // 32 hexadecimal digits, drawn at random; also in every log and anchor
  nlohmann::json what = nlohmann::json::object();  // argv, cwd, user, host, times, revision, pins, files, settings
  std::vector<SegmentEntry> segments;
  std::vector<AnchorEntry> anchors;  // by rank, then step, then segment
  std::vector<Event> events;         // in order of time
};

// 32 hexadecimal digits. Throws BrokenInput where the kernel gives no random bytes.
[[nodiscard]] std::string new_run_id();

// Throws BrokenInput (cannot be read, wrong version, wrong types) or TamperedInput (the digest does not fit).
[[nodiscard]] Manifest read_manifest(const std::filesystem::path& run);
[[nodiscard]] Manifest parse_manifest(std::string_view text, const std::string& origin);
// The text as it lies on disk, with its digest in place.
[[nodiscard]] std::string manifest_text(const Manifest& manifest);
// Atomic: afterwards the file is the old one or the new one. Throws BrokenInput where the folder cannot be written.
void write_manifest(const std::filesystem::path& run, const Manifest& manifest);

}  // namespace samestep
