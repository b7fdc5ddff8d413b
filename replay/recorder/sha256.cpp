#include "replay/recorder/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "replay/run/error.h"

namespace samestep {

std::optional<Digest> file_sha256(int descriptor, const std::filesystem::path& file, const std::atomic<bool>& give_up) {
  constexpr std::size_t block = std::size_t{1} << 20;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    throw BrokenInput("OpenSSL has no SHA-256.");
  std::vector<unsigned char> buffer(block);
  while (!give_up) {
    const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw BrokenInput("cannot read " + file.string() + ": " + std::strerror(errno));
    if (size > 0) {
      EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(size));
      continue;
    }
    Digest digest;
    EVP_DigestFinal_ex(context.get(), digest.bytes.data(), nullptr);
    return digest;
  }
  return std::nullopt;
}

}  // namespace samestep
