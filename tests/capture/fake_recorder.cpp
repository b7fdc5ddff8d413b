#include "fake_recorder.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace samestep::testing {
namespace {

using protocol::Type;

int listen_at(const std::string& path) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("bind " + path);
  }
  ::listen(listener, 1);
  return listener;
}

Bytes contents(int descriptor) {
  struct stat about {};
  ::fstat(descriptor, &about);
  Bytes bytes(static_cast<std::size_t>(about.st_size));
  if (::pread(descriptor, bytes.data(), bytes.size(), 0) != about.st_size) throw std::runtime_error("pread");
  ::close(descriptor);
  return bytes;
}

int file_with(const Bytes& bytes) {
  const int descriptor = ::memfd_create("anchor", MFD_CLOEXEC);
  if (::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("write");
  }
  return descriptor;
}

}  // namespace

std::vector<std::string> Told::names(Lane lane, std::size_t layout) const {
  std::vector<std::string> names;
  for (const auto& column : layouts.at(layout).of(lane)) names.push_back(column.name);
  return names;
}

bool Told::has_event(const std::string& kind, const std::string& part) const {
  return std::any_of(events.begin(), events.end(), [&](const protocol::Notice& event) {
    return event.kind == kind && event.text.find(part) != std::string::npos;
  });
}

FakeRecorder::FakeRecorder(Script script) : script_(std::move(script)) {
  std::string folder = "/tmp/samestep-test-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = folder;
  path_ = folder_ + "/socket";
  listener_ = listen_at(path_);
  ::setenv(protocol::socket_variable, path_.c_str(), 1);
  thread_ = std::thread([this] { serve(); });
}

FakeRecorder::~FakeRecorder() {
  ::unsetenv(protocol::socket_variable);
  ::shutdown(listener_, SHUT_RDWR);  // ends accept() where no session came
  if (thread_.joinable()) thread_.join();
  ::close(listener_);
  ::unlink(path_.c_str());
  ::rmdir(folder_.c_str());
}

const Told& FakeRecorder::told() {
  if (thread_.joinable()) thread_.join();
  return told_;
}

void FakeRecorder::hang_up() {
  ::shutdown(socket_, SHUT_RDWR);
}

void FakeRecorder::serve() {
  const int socket = ::accept(listener_, nullptr, nullptr);
  if (socket < 0) return;
  socket_ = socket;
  protocol::Connection connection(socket);
  while (auto frame = connection.receive()) {
    if (!take(connection, std::move(*frame))) return;
  }
}

void FakeRecorder::greet(protocol::Connection& connection, const protocol::Frame& frame) {
  told_.hello = protocol::decode_hello(frame.text());
  const int anchor = script_.welcome.has_anchor ? file_with(script_.anchor) : -1;
  (void)connection.send(Type::welcome, protocol::encode(script_.welcome), anchor);
  if (anchor >= 0) ::close(anchor);
}

bool FakeRecorder::take(protocol::Connection& connection, protocol::Frame frame) {
  switch (frame.type) {
    case Type::hello:
      greet(connection, frame);
      return true;
    case Type::start:
      told_.starts.push_back(protocol::decode_start(frame.text()));
      return connection.send(Type::begin, protocol::encode(protocol::Begin{script_.begin_at}));
    case Type::layout:
      told_.layouts.push_back(decode_layout(frame.text()));
      return true;
    case Type::step:
      return take_step(connection, frame);
    case Type::anchor:
      told_.anchors[protocol::decode_step_number(frame.text()).step] = contents(frame.descriptor);
      return true;
    case Type::dump:
      told_.dumps[protocol::decode_step_number(frame.text()).step] = contents(frame.descriptor);
      return true;
    case Type::event:
      told_.events.push_back(protocol::decode_notice(frame.text()));
      return true;
    case Type::bye:
      told_.bye = protocol::decode_bye(frame.text());
      return true;
    default:
      return false;
  }
}

bool FakeRecorder::take_step(protocol::Connection& connection, const protocol::Frame& frame) {
  auto record = decode_step(frame.payload, told_.layouts.back());
  record.root = root_digest(record);
  record.chain = chain_digest(told_.steps.empty() ? Digest{} : told_.steps.back().chain, record.root);
  const auto step = record.step;
  told_.steps.push_back(std::move(record));
  told_.layout_of.push_back(told_.layouts.size() - 1);
  ++received_;
  if (script_.dies_after == step) return false;
  if (const auto ack = script_.answer(step)) return connection.send(Type::ack, protocol::encode(*ack));
  return true;
}

Script recording(std::uint64_t anchor_every) {
  Script script;
  script.welcome.mode = protocol::Mode::record;
  script.welcome.anchor_every = anchor_every;
  return script;
}

Script replaying(std::uint64_t first, std::uint64_t to, Bytes anchor) {
  Script script;
  script.welcome.mode = protocol::Mode::replay;
  script.welcome.first_step = script.welcome.from = first;
  script.welcome.to = to;
  script.welcome.has_anchor = !anchor.empty();
  script.welcome.lockstep = true;
  script.anchor = std::move(anchor);
  return script;
}

}  // namespace samestep::testing
