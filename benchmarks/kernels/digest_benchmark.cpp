// How fast lists of tensors are digested, beside OpenSSL's SHA-256 and b3sum in the same run. Bits first: nothing is
// timed unless every backend gives b3sum's digest.
//   digest_benchmark [--quick]
#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "benchmarks/kernels/workload.h"

using namespace samestep;
using namespace samestep::benchmarks;

namespace {

constexpr Backend backends[] = {Backend::scalar, Backend::avx2, Backend::avx512};

std::vector<Digest> digests_of(const std::vector<Buffer>& buffers, const ParallelFor& loop, Backend backend) {
  std::vector<Digest> digests(buffers.size());
  digest(buffers, digests, loop, backend);
  return digests;
}

// A file of its own, with b3sum's answer for it; empty where there is no b3sum.
class File {
 public:
  explicit File(const std::vector<Buffer>& buffers) {
    std::ofstream file(path_, std::ios::binary);
    for (const Buffer& buffer : buffers)
      file.write(static_cast<const char*>(buffer.data), static_cast<std::streamsize>(buffer.size));
  }
  ~File() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string b3sum() const {
    char line[65] = {};
    std::FILE* pipe = ::popen(("b3sum --no-names --num-threads 1 " + path_.string() + " 2> /dev/null").c_str(), "r");
    const std::size_t count = std::fread(line, 1, 64, pipe);
    return ::pclose(pipe) == 0 && count == 64 ? line : "";
  }

 private:
  static std::filesystem::path unique() {
    static int count = 0;
    return std::filesystem::temp_directory_path() / ("samestep-benchmark-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
  }
  std::filesystem::path path_ = unique();
};

void sha256(const std::vector<Buffer>& buffers) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  for (const Buffer& buffer : buffers) EVP_Digest(buffer.data, buffer.size, digest, nullptr, EVP_sha256(), nullptr);
}

[[noreturn]] void fail(const std::string& what) {
  std::printf("WRONG BITS: %s\n", what.c_str());
  std::exit(1);
}

void check_bits(const std::vector<Buffer>& buffers, Threads& two) {
  const std::vector<Digest> expected = digests_of(buffers, serial(), Backend::scalar);
  for (const Backend backend : backends) {
    if (!available(backend)) continue;
    if (digests_of(buffers, serial(), backend) != expected) fail(std::string(name(backend)));
    if (digests_of(buffers, two.parallel_for(), backend) != expected) fail(std::string(name(backend)) + ", two threads");
  }
  for (std::size_t i = 0; i < buffers.size(); i += 20) {
    const std::string theirs = File({buffers[i]}).b3sum();
    if (!theirs.empty() && theirs != expected[i].hex()) fail("b3sum disagrees");
  }
}

const Contender& find(const std::vector<Contender>& contenders, const std::string& wanted) {
  return *std::find_if(contenders.begin(), contenders.end(), [&](const Contender& c) { return c.name == wanted; });
}

// Rates and ratios are of each contender's best round: other programs on the machine only ever add time.
void report(const char* title, const std::vector<Contender>& contenders, std::size_t bytes, double b3sum_seconds) {
  const double sha = find(contenders, "SHA-256 (OpenSSL)").best();
  std::printf("\n%s\n%-22s %10s %10s %10s %12s %10s\n", title, "", "best ms", "median ms", "GB/s", "x SHA-256", "x b3sum");
  for (const Contender& contender : contenders) {
    std::printf("%-22s %10.3f %10.3f %10.2f %12.2f", contender.name.c_str(), 1e3 * contender.best(),
                1e3 * contender.median(), static_cast<double>(bytes) / contender.best() / 1e9, sha / contender.best());
    if (b3sum_seconds > 0) std::printf(" %10.2f", b3sum_seconds / contender.best());
    std::printf("\n");
  }
}

std::vector<Contender> contenders_for(const std::vector<Buffer>& buffers, Threads& two) {
  std::vector<Contender> contenders;
  for (const Backend backend : backends) {
    if (!available(backend)) continue;
    contenders.push_back({std::string(name(backend)) + ", 1 thread", [&, backend] { digests_of(buffers, serial(), backend); }, {}});
    contenders.push_back({std::string(name(backend)) + ", 2 threads",
                          [&, backend] { digests_of(buffers, two.parallel_for(), backend); }, {}});
  }
  contenders.push_back({"SHA-256 (OpenSSL)", [&] { sha256(buffers); }, {}});
  return contenders;
}

void run(const char* title, const std::vector<Buffer>& buffers, std::size_t bytes, int rounds, Threads& two) {
  check_bits(buffers, two);
  std::vector<Contender> contenders = contenders_for(buffers, two);
  // One file with the same bytes; less what a b3sum of nothing takes.
  const File all(buffers), nothing({});
  const bool have_b3sum = !nothing.b3sum().empty();
  if (have_b3sum) {
    contenders.push_back({"b3sum, 1 thread", [&] { static_cast<void>(all.b3sum()); }, {}});
    contenders.push_back({"b3sum of no bytes", [&] { static_cast<void>(nothing.b3sum()); }, {}});
  }
  time_all(contenders, rounds);
  double b3sum_seconds = 0;
  if (have_b3sum) {
    const double start = contenders.back().best();
    contenders.pop_back();
    for (double& seconds : contenders.back().seconds) seconds -= start;
    b3sum_seconds = contenders.back().best();
  }
  report(title, contenders, bytes, b3sum_seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  Threads two(2);
  const TrainingStep step;
  const std::string title = "A step of a small GPT: " + std::to_string(step.buffers().size()) + " tensors, " +
                            std::to_string(step.bytes() / 1000000) + " MB (b3sum: the same bytes as one file)";
  run(title.c_str(), step.buffers(), step.bytes(), quick ? 5 : 41, two);
  const std::size_t large = std::size_t{quick ? 32u : 256u} << 20;
  std::vector<std::uint64_t> bytes(large / 8);
  std::mt19937_64 random(2);
  for (std::uint64_t& word : bytes) word = random();
  run("One large buffer", {{bytes.data(), large}}, large, quick ? 3 : 11, two);
}
