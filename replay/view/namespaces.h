// The namespaces of a view: who asks for them, who maps the user ids.
#pragma once

#include <sys/types.h>

#include <string>

namespace samestep {

// Gives the calling process namespaces of its own for mounts, its future children's process ids and, unless `network`,
// the network; with a user namespace around them where it may not have them otherwise. True where that was made: its
// ids must be mapped then, by a process outside of it. Throws ViewRefused. REQUIRES a single thread.
[[nodiscard]] bool enter_namespaces(bool network);

// Namespaces for the command, inside the others: whatever it may do as root of its own user namespace, it cannot undo
// a mount that was made outside of it. Returns 0, or the errno. The ids must be mapped from outside.
[[nodiscard]] int enter_inner_namespaces();

// In the user namespace that process `pid` has entered every id that is known here means what it means here; where this
// process may map no other's, its own ids alone. Throws ViewRefused.
void map_identities(pid_t pid);

}  // namespace samestep
