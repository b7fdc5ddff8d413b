#include "tests/bisect/private_slurm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "replay/recorder/descriptor.h"
#include "replay/recorder/program_output.h"
#include "tests/bisect/bisected_project.h"

namespace samestep::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::array needed{"munged", "slurmctld", "slurmd", "sinfo", "sbatch", "squeue", "scancel", "scontrol"};

std::string path_with_daemons() {
  const char* path = std::getenv("PATH");
  return (path == nullptr ? std::string("/usr/bin:/bin") : std::string(path)) + ":/usr/sbin:/sbin";
}

// Ports that nobody listens on; taken all at once, so that they are different ones.
std::vector<int> free_ports(std::size_t count) {
  std::vector<Descriptor> sockets;
  std::vector<int> ports;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(sockets.back().get(), reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(sockets.back().get(), reinterpret_cast<sockaddr*>(&address), &size);
    ports.push_back(ntohs(address.sin_port));
  }
  return ports;
}

std::string in_a_line(std::string text) {
  for (char& c : text) c = c == '\n' ? ';' : c;
  return text;
}

}  // namespace

PrivateSlurm::PrivateSlurm() {
  for (const char* program : needed)
    if (sh("command -v " + std::string(program)).empty()) {
      refusal_ = std::string("there is no ") + program + " here: scripts/debian-packages.txt lists what the tests need";
      return;
    }
  write_configuration();
  start_daemons();
  wait_until_idle();
}

PrivateSlurm::~PrivateSlurm() {
  if (refusal_.empty()) {
    sh("scancel --user=$(id -un)");
    static_cast<void>(comes_true([this] { return active_jobs().empty(); }));
  }
  for (auto daemon = daemons_.rbegin(); daemon != daemons_.rend(); ++daemon) {
    ::kill(*daemon, SIGTERM);
    const bool ended = comes_true([&] { return ::waitpid(*daemon, nullptr, WNOHANG) != 0; });
    if (!ended) ::kill(*daemon, SIGKILL);
    if (!ended) ::waitpid(*daemon, nullptr, 0);
  }
}

EnvironmentChanges PrivateSlurm::environment() const {
  return {{"SLURM_CONF", (folder_ / "slurm.conf").string()}, {"PATH", path_with_daemons()}};
}

std::string PrivateSlurm::sh(const std::string& command) const {
  SmallProgram program;
  program.argv = {"/bin/sh", "-c", command};
  program.environment = environment_with(environment());
  program.patience = std::chrono::seconds(30);
  const auto end = run_small(program);
  return end ? end->text : "";
}

std::vector<std::string> PrivateSlurm::active_jobs() const {
  std::istringstream text(sh("squeue --noheader --format=%i"));
  std::vector<std::string> ids;
  for (std::string id; text >> id;) ids.push_back(id);
  return ids;
}

// More processors than there may be: what is tested is that trials run side by side.
void PrivateSlurm::write_configuration() const {
  for (const char* name : {"state", "spool"}) fs::create_directory(folder_ / name);
  const std::vector<int> ports = free_ports(2);
  std::string user = sh("id -un"), host = sh("uname -n | cut -d. -f1");
  user.pop_back();
  host.pop_back();
  const std::string folder = folder_.path().string();
  std::ofstream(folder_ / "slurm.conf")
      << "ClusterName=samestep\nSlurmctldHost=" << host << "(127.0.0.1)\nSlurmUser=" << user << "\nSlurmdUser=" << user
      << "\nSlurmctldPort=" << ports[0] << "\nSlurmdPort=" << ports[1]
      << "\nAuthType=auth/munge\nAuthInfo=socket=" << folder
      << "/munge.socket\nCredType=cred/munge\nMpiDefault=none\nStateSaveLocation=" << folder
      << "/state\nSlurmdSpoolDir=" << folder << "/spool\nSlurmctldPidFile=" << folder
      << "/slurmctld.pid\nSlurmdPidFile=" << folder
      << "/slurmd.pid\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\n"
         "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nReturnToService=2\nKillWait=5\n"
         "SchedulerParameters=batch_sched_delay=0\nSlurmdParameters=config_overrides\nNodeName="
      << host
      << " NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN\n"
         "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n";
  std::random_device random;
  std::ofstream key(folder_ / "munge.key");
  for (int i = 0; i < 128; ++i) key.put(static_cast<char>(random()));
  fs::permissions(folder_ / "munge.key", fs::perms::owner_read);
}

void PrivateSlurm::start(const std::string& name, const std::vector<std::string>& words) {
  const std::string output = folder_ / (name + ".log");
  std::vector<std::string> argv = words, variables = environment_with(environment());
  std::vector<char*> pointers, environment;
  for (std::string& word : argv) pointers.push_back(word.data());
  for (std::string& variable : variables) environment.push_back(variable.data());
  pointers.push_back(nullptr);
  environment.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(log, stream);
    ::setenv("PATH", path_with_daemons().c_str(), 1);
    ::execvpe(pointers[0], pointers.data(), environment.data());
    ::_exit(127);
  }
  daemons_.push_back(pid);
}

void PrivateSlurm::start_daemons() {
  const std::string folder = folder_.path().string() + "/";
  start("munged", {"munged", "--foreground", "--force", "--socket=" + folder + "munge.socket",
                   "--key-file=" + folder + "munge.key", "--pid-file=" + folder + "munged.pid",
                   "--log-file=" + folder + "munged.log", "--seed-file=" + folder + "munged.seed"});
  static_cast<void>(comes_true([&] { return fs::exists(folder + "munge.socket"); }));
  start("slurmctld", {"slurmctld", "-D"});
  start("slurmd", {"slurmd", "-D"});
}

void PrivateSlurm::wait_until_idle() {
  if (comes_true([this] { return sh("sinfo --noheader --format=%T").starts_with("idle"); })) return;
  refusal_ = "a Slurm of this machine alone takes no jobs within a minute: " + last_words();
}

std::string PrivateSlurm::last_words() const {
  std::string text = in_a_line(sh("sinfo --noheader --long --Node"));
  for (const char* name : {"munged", "slurmctld", "slurmd"})
    text += std::string(" ") + name + ": " +
            in_a_line(sh("tail -n 3 " + (folder_ / (std::string(name) + ".log")).string()));
  return text;
}

}  // namespace samestep::testing
