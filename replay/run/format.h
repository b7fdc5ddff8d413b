// The names and the version of everything in a run directory, used by writer and reader alike. docs/format.md describes
// the same in prose. Whoever changes the meaning of a byte raises format_version and adds a golden run
// (CONTRIBUTING.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace samestep::format {

inline constexpr std::uint32_t version = 1;

// --- Files of a run ---------------------------------------------------------------------------------------------

inline constexpr const char* manifest_file = "manifest.json";
// The run's secret among the pins of the manifest: seeds for what a program does not seed are derived from it.
inline constexpr const char* entropy_variable = "SAMESTEP_ENTROPY";
// Of a replay: N where the program's own N-th samestep.record() began what is recorded.
inline constexpr const char* attached_variable = "SAMESTEP_ATTACHED";
inline constexpr const char* anchor_folder = "anchors";
inline constexpr const char* input_folder = "inputs";  // copies of files that the program was about to change
// "log-r0000-s0000.h5"
[[nodiscard]] std::string log_file(std::uint32_t rank, std::uint32_t segment);
// "anchors/000000200-r0000.safetensors"; of a later segment than the first "anchors/000000200-r0000-s0001.safetensors",
// so that no file that the manifest names is ever replaced by another.
[[nodiscard]] std::string anchor_file(std::uint64_t step, std::uint32_t rank, std::uint32_t segment);

// --- Inside a log -----------------------------------------------------------------------------------------------

// Attributes of the root group.
inline constexpr const char* attribute_version = "format_version";      // u32
inline constexpr const char* attribute_run = "run_id";                  // 32 characters
inline constexpr const char* attribute_rank = "rank";                   // u32
inline constexpr const char* attribute_segment = "segment";             // u32
inline constexpr const char* attribute_first_step = "first_step";       // u64
inline constexpr const char* attribute_chain = "chain_before";          // u8[32]
inline constexpr const char* attribute_log_chain = "log_chain_before";  // u8[32]
inline constexpr std::size_t run_id_length = 32;

// Datasets. A lane's are in the group of its name: "/gradients/digest".
inline constexpr const char* layout = "/layout";        // u8[length]: the table of tensors as JSON text
inline constexpr const char* steps = "/steps";          // a compound a step: scalars, statuses, lane digests
inline constexpr const char* root = "/root";            // u8[step, 32]
inline constexpr const char* chain = "/chain";          // u8[step, 32]
inline constexpr const char* log_chain = "/log_chain";  // u8[step, 32]; its extent is the number of committed steps
inline constexpr const char* rng_out = "rng_out";       // group of the generators' digests at O
inline constexpr const char* host_reads = "/host_reads";  // u8[step, bytes]: numbers of 8 bytes
inline constexpr const char* presence = "presence";     // u8[step, column]
inline constexpr const char* digest = "digest";         // u8[step, column, 32]
inline constexpr const char* value = "value";           // f64[step, column]
inline constexpr const char* summary = "summary";       // a compound [step, column]
inline constexpr const char* items = "items";           // u8[step, bytes]: the items of a list lane, packed

// Room in a list lane: an item of rank r takes 34 + 8 r bytes of the 64 that a slot has.
inline constexpr std::size_t slot_bytes = 64;
inline constexpr std::size_t max_slots = 65536;

// A segment takes no more steps than this. From its row 8176 on an index block of HDF5 would be larger than a page of
// the file system's cache, and could be torn by a fatal signal.
inline constexpr std::uint64_t max_segment_steps = 8000;

// Bounds that a reader enforces before it believes a size.
inline constexpr std::uint64_t max_layout_bytes = std::uint64_t{1} << 26;
inline constexpr std::uint64_t max_step = std::uint64_t{1} << 48;

}  // namespace samestep::format
