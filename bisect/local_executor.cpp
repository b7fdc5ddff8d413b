#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>

#include "bisect/executor.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int tick_milliseconds = 500;
constexpr std::chrono::seconds grace{20};  // for views to be taken down and worktrees to be removed

// The workers find the affinity, the thread counts and all else of this process: a trial is the same whether others run
// beside it or not.
class LocalExecutor : public Executor {
 public:
  ~LocalExecutor() override { LocalExecutor::stop(); }

  [[nodiscard]] Tie tie() const override { return {::getpid(), {}, {}}; }

  void start(const fs::path& folder, const Signals& signals) override {
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const fs::path printed = folder / "worker.txt";
    const Descriptor output(::open(printed.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600));
    // This very program, also where another one has been put in its place since.
    Start start{{"/proc/self/exe", "trial", folder.string()},
                environment_with({}),
                {},
                output.get(),
                false,
                signals.mask_before(),
                Signals::defaults(),
                {},
                nothing.get()};
    Ending failed;
    auto worker = output && nothing ? start_child(start, failed) : nullptr;
    if (worker == nullptr) throw BrokenInput("Starting a worker for " + folder.string() + ": " + failed.text());
    running_[folder] = std::move(worker);
  }

  [[nodiscard]] std::vector<EndedWorker> wait(const Signals& signals) override {
    wait_for_one(signals.descriptor(), tick_milliseconds);
    std::vector<EndedWorker> ended;
    for (auto each = running_.begin(); each != running_.end();) {
      const bool over = each->second->ended();
      if (over) ended.push_back({each->first, each->second->reap().text(), ""});
      each = over ? running_.erase(each) : std::next(each);
    }
    return ended;
  }

  void stop() noexcept override {
    for (const auto& [folder, worker] : running_) worker->pass_on(SIGTERM);
    const Clock::time_point deadline = Clock::now() + grace;
    while (!running_.empty()) {
      wait_for_one(-1, tick_milliseconds);
      for (auto each = running_.begin(); each != running_.end();) {
        if (!each->second->ended() && Clock::now() > deadline) each->second->stop();
        const bool over = each->second->ended();
        if (over) static_cast<void>(each->second->reap());
        each = over ? running_.erase(each) : std::next(each);
      }
    }
  }

 private:
  void wait_for_one(int wake, int milliseconds) const {
    std::vector<pollfd> entries{{wake, POLLIN, 0}};
    for (const auto& [folder, worker] : running_) entries.push_back({worker->descriptor(), POLLIN, 0});
    ::poll(entries.data(), entries.size(), milliseconds);
  }

  std::map<fs::path, std::unique_ptr<Running>> running_;
};

}  // namespace

std::unique_ptr<Executor> local_executor() {
  return std::make_unique<LocalExecutor>();
}

}  // namespace samestep
