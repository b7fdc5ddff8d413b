// replay/files/ is a small library that a recorded program carries (LD_PRELOAD): it stands before the C library's calls
// that open, make, rename, remove and mark files and tells the recorder of them. It links the C library alone,
// allocates nothing, keeps errno, and steps aside where nobody listens. It may include nothing of the rest; the
// recorder includes this header. Calls come in, notices go out over a Unix socket, one connection a notice.
//
//   preload.cpp  the calls
//   teller.h     which of them are told, and how
//
// This header: a notice.
#pragma once

#include <cstdint>

namespace samestep::files {

// Beside the recorder's socket.
inline constexpr const char* socket_name = "files";

enum class Kind : std::uint8_t {
  hello = 'h',         // a process begins; the answer is a Wish. Its path is that of the program
  read = 'r',          // a file was opened for reading
  will_write = 'w',    // a file that is there, its time or its mode is about to be changed; answered when it is saved
  will_replace = 'd',  // the same of an entry of a folder (a link itself, not what it leads to): removed or replaced
  opened_anew = 'o',   // a file that was not there was opened
  made = 'n',          // an entry of a folder is new: a folder, a link, a file that was renamed to it
  gone = 'g',          // an entry is gone
  refused = 'f',       // a write failed, because the file system is read-only
};
// Waited for; the others are told and forgotten.
[[nodiscard]] constexpr bool is_answered(Kind kind) {
  return kind == Kind::hello || kind == Kind::will_write || kind == Kind::will_replace;
}

// The answer to a hello, one byte; any byte answers the others.
enum class Wish : std::uint8_t {
  nothing = '0',
  refusals = 'f',  // refused alone
  all = 'a',
};

// A message of a SOCK_SEQPACKET socket: one byte of Kind, then the path, absolute, not ended by a zero.
inline constexpr std::size_t most_path_bytes = 4096;

}  // namespace samestep::files
