#include "replay/view/view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "replay/view/inside.h"
#include "replay/view/kept_output.h"
#include "replay/view/messages.h"
#include "replay/view/namespaces.h"
#include "replay/view/places.h"
#include "replay/view/storage.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using Kind = ViewMessage::Kind;

// /tmp and TMPDIR are everybody's, so they are laid over where they can be; the others somebody asked for.
std::vector<fs::path> folders_for(const ViewOptions& options) {
  std::vector<fs::path> folders{folder_to_lay_over(options.cwd)};
  for (const fs::path& folder : options.folders) folders.push_back(folder_to_lay_over(folder));
  const char* temporary = std::getenv("TMPDIR");
  for (const char* place : {"/tmp", temporary != nullptr && temporary[0] == '/' ? temporary : "/tmp"}) {
    std::error_code error;
    const fs::path folder = fs::canonical(place, error);
    if (!error && fs::is_directory(folder, error) && can_be_laid_over(folder)) folders.push_back(folder);
  }
  return outermost(std::move(folders));
}

// Without those that lie in one of `folders`.
std::vector<fs::path> wished_besides(const std::vector<fs::path>& folders, const std::vector<fs::path>& wished) {
  std::vector<fs::path> found;
  for (const fs::path& wish : wished) {
    std::error_code error;
    const fs::path folder = fs::canonical(wish, error);
    if (error || !fs::is_directory(folder, error) || !can_be_laid_over(folder)) continue;
    if (std::ranges::none_of(folders, [&](const fs::path& outer) { return is_in(folder, outer); }))
      found.push_back(folder);
  }
  return outermost(std::move(found));
}

std::vector<fs::path> joined(std::vector<fs::path> some, const std::vector<fs::path>& others) {
  some.insert(some.end(), others.begin(), others.end());
  std::ranges::sort(some);
  return some;
}

// The overlay's own root looks like its upper layer.
void make_like(const fs::path& made, const fs::path& model) {
  struct stat info {};
  if (::stat(model.c_str(), &info) != 0) return;
  static_cast<void>(::chown(made.c_str(), info.st_uid, info.st_gid) == 0);
  static_cast<void>(::chmod(made.c_str(), info.st_mode & 07777));
  const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
  static_cast<void>(::utimensat(AT_FDCWD, made.c_str(), times.data(), 0));
}

using Settled = std::map<fs::path, std::vector<fs::path>>;  // upper layers by folder, the latest first

Layer new_layer(const fs::path& at, const fs::path& storage, const Settled& settled, bool need_not_be) {
  Layer layer{at, {}, {}, need_not_be};
  if (const auto earlier = settled.find(at); earlier != settled.end()) layer.settled = earlier->second;
  std::error_code error;
  if (!fs::is_directory(at, error)) return layer;
  layer.upper = storage / "upper";
  layer.work = storage / "work";
  if (!fs::create_directories(layer.upper, error) || !fs::create_directories(layer.work, error))
    throw ViewRefused(fmt::format("Making a view: {}: {}. Without one: --in-place", layer.upper.string(),
                                  error ? error.message() : "it is there already"));
  make_like(layer.upper, layer.settled.empty() ? at : layer.settled.front());
  return layer;
}

std::array<Descriptor, 2> socket_pair() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw ViewRefused(refusal("opening a socket", errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// The view's processes as their maker sees them. When it goes, everything in the view has ended.
class Enclosed : public Running {
 public:
  explicit Enclosed(const Inside& inside) {
    auto [ours, theirs] = socket_pair();
    process_ = ::fork();
    if (process_ < 0) throw ViewRefused(refusal("starting a process", errno));
    if (process_ == 0) {
      ours.reset();
      live_inside(inside, std::move(theirs));
    }
    socket_ = std::move(ours);
  }
  ~Enclosed() override { end(); }

  // The first thing that decides how it goes; maps the ids on the way. Throws ViewRefused.
  [[nodiscard]] ViewMessage outcome() {
    auto message = receive(socket_.get());
    if (message && message->kind == Kind::unmapped) {
      map_identities(process_);
      send(socket_.get(), {Kind::mapped});
      message = receive(socket_.get());
    }
    if (!message) throw ViewRefused(refusal("its first process was killed", ECHILD));
    if (message->kind == Kind::refused) throw ViewRefused(message->text);
    return *message;
  }

  [[nodiscard]] int descriptor() const override { return socket_.get(); }
  [[nodiscard]] bool ended() override {
    pollfd entry{socket_.get(), POLLIN, 0};
    if (!status_ && ::poll(&entry, 1, 0) == 1) take_status();
    return status_.has_value();
  }
  void pass_on(int signal) override { send(socket_.get(), {Kind::signal, signal}); }
  [[nodiscard]] pid_t process() const override { return process_; }
  // The view's first process dies with it, and with that one all others.
  void stop() override {
    if (process_ > 0) ::kill(process_, SIGKILL);
  }
  [[nodiscard]] Ending reap() override {
    while (!status_) take_status();
    end();
    return ending_of(*status_);
  }

 private:
  void take_status() {
    const auto message = receive(socket_.get());
    if (!message)
      status_ = SIGKILL;  // the first process was killed, and with it all others
    else if (message->kind == Kind::ended)
      status_ = message->value;
  }
  void end() {
    socket_.reset();
    while (process_ > 0 && ::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
  }

  pid_t process_ = -1;
  Descriptor socket_;
  std::optional<int> status_;
};

}  // namespace

struct View::State {
  explicit State(const ViewOptions& given)
      : options(given),
        needed(folders_for(given)),
        folders(joined(needed, wished_besides(needed, given.wished))),
        storage(folders) {}

  // A fresh set of layers: each start sees the folders as they are, with what was settled.
  [[nodiscard]] MountPlan plan() {
    const fs::path own = storage.path() / std::to_string(settlements);
    remove_tree(own);
    layers.clear();
    const auto add = [&](const fs::path& at, bool need_not_be) {
      layers.push_back(new_layer(at, own / std::to_string(layers.size()), settled, need_not_be));
    };
    const std::vector<Mount> mounts = mounts_here();
    for (const fs::path& folder : folders) {  // sorted: outer ones first
      add(folder, std::ranges::find(needed, folder) == needed.end());
      for (const Mount& mount : beneath(folder, mounts)) add(mount.at, true);
    }
    return {layers, {}, options.network};
  }

  void settle() {
    std::error_code error;
    for (const Layer& layer : layers)
      if (!layer.upper.empty() && !fs::is_empty(layer.upper, error))
        settled[layer.at].insert(settled[layer.at].begin(), layer.upper);
    ++settlements;
    layers.clear();
    options.before = {};
  }

  ViewOptions options;
  std::vector<fs::path> needed;
  std::vector<fs::path> folders;  // those and the wished ones
  ViewStorage storage;
  std::vector<Layer> layers;
  Settled settled;
  std::size_t settlements = 0;
  unsigned starts = 0;
};

View::View(const ViewOptions& options) : state_(std::make_unique<State>(options)) {}

View::~View() = default;

void View::probe() {
  Enclosed view({state_->plan(), nullptr, nullptr, state_->storage.lock()});
  (void)view.outcome();
}

std::unique_ptr<Running> View::start(const Start& start, Ending& failed) {
  Start inside = start;
  if (inside.cwd.empty()) inside.cwd = state_->options.cwd;
  MountPlan mounts = state_->plan();
  mounts.socket_folder = start.socket_folder;
  // A program that depends on its number is to find another one every time: two starts tell that it does not repeat.
  constexpr unsigned apart = 97;
  auto view = std::make_unique<Enclosed>(
      Inside{std::move(mounts), &state_->options.before, &inside, state_->storage.lock(), apart * state_->starts++});
  const ViewMessage outcome = view->outcome();
  if (outcome.kind == Kind::started) return view;
  failed = outcome.text.empty()
               ? not_started(start.argv.front(), outcome.value)
               : Ending{Ending::Kind::not_started, 126,
                        fmt::format("cannot enter '{}': {}", outcome.text, std::strerror(outcome.value))};
  return nullptr;
}

void View::settle() {
  state_->settle();
}

const std::vector<fs::path>& View::folders() const {
  return state_->folders;
}

const fs::path& View::storage() const {
  return state_->storage.path();
}

void View::keep_output(const fs::path& folder) const {
  for (const Layer& layer : state_->layers)
    if (!layer.upper.empty()) keep_layer(layer.at, layer.upper, folder, state_->options.before);
}

}  // namespace samestep
