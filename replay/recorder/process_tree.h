// A process and what it started, as /proc tells.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace samestep {

// `root` and what descends from it; a process whose parents have all ended is found only where one of the tree has
// taken it up (as a view's first process does). `root` comes first.
[[nodiscard]] std::vector<pid_t> process_tree(pid_t root);

// Bytes of memory that they hold, what they share with others counted by its share. Processes that have ended or
// belong to others count nothing.
[[nodiscard]] std::uint64_t memory_of(std::span<const pid_t> processes);

}  // namespace samestep
