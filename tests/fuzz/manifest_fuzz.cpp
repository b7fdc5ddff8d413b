// Whatever manifest.json holds, it is a manifest or BrokenInput. The fuzzer cannot guess a digest, so the right one is
// put in its place: what is tried is the reading behind it. What is accepted must survive being written again.
#include <cstdlib>

#include "replay/run/error.h"
#include "replay/run/manifest.h"

namespace {

constexpr std::size_t digest_at = 15;  // after {\n  "digest": "
constexpr std::size_t digits = 64;

std::string with_its_digest(std::string text) {
  if (text.size() < digest_at + digits) return text;
  text.replace(digest_at, digits, digits, '0');
  return text.replace(digest_at, digits, samestep::digest(text).hex());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& variant : {text, with_its_digest(text)}) {
    try {
      const std::string once = samestep::manifest_text(samestep::parse_manifest(variant, "fuzz"));
      if (samestep::manifest_text(samestep::parse_manifest(once, "fuzz")) != once) std::abort();
    } catch (const samestep::BrokenInput&) {
    }
  }
  return 0;
}
