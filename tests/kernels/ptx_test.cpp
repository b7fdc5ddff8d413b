// What the CUDA compiler made of the kernels, as PTX: nothing in it may round differently from the host, or depend on
// the order in which threads arrive.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace samestep {
namespace {

std::string ptx() {
  std::ifstream file(SAMESTEP_PTX);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Instructions that must not be there: flushed subnormals, approximations, a product and a sum rounded as one, and
// atomic additions of floating-point numbers.
std::vector<std::string> forbidden_in(const std::string& text) {
  static const std::regex forbidden(R"([a-z0-9_.]*\.(ftz|approx)\b[a-z0-9_.]*|\bfma\.[a-z0-9_.]*|)"
                                    R"(\b(atom|red)\.[a-z0-9_.]*\.b?f(16|32|64)[a-z0-9]*)");
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), forbidden), end; match != end; ++match)
    found.push_back(match->str());
  return found;
}

TEST(Ptx, HasEveryKernel) {
  const std::string text = ptx();
  for (const char* kernel :
       {"samestep_hash_subtrees", "samestep_join_subtrees", "samestep_summarize_blocks", "samestep_join_blocks"})
    EXPECT_TRUE(std::regex_search(text, std::regex(std::string(R"(\.entry \S*)") + kernel))) << kernel;
  EXPECT_NE(text.find("sqrt.rn.f64"), std::string::npos);
  EXPECT_NE(text.find("div.rn.f64"), std::string::npos);
}

TEST(Ptx, HasNothingThatRoundsDifferentlyFromTheHost) {
  EXPECT_EQ(forbidden_in(ptx()), std::vector<std::string>());
}

TEST(Ptx, CheckSeesWhatItForbids) {
  const std::string planted =
      "add.ftz.f32 %f1, %f2, %f3;\nsqrt.approx.f32 %f1, %f2;\nfma.rn.f64 %fd1, %fd2, %fd3, %fd4;\n"
      "atom.global.add.f32 %f1, [%rd1], %f2;\nred.global.add.f64 [%rd1], %fd1;\ndiv.full.ftz.f32 %f1, %f2, %f3;\n";
  EXPECT_EQ(forbidden_in(planted).size(), 6u);
  EXPECT_EQ(forbidden_in("atom.global.add.u64 %rd2, [%rd1], %rd3;\nadd.rn.f64 %fd1, %fd2, %fd3;\n").size(), 0u);
}

}  // namespace
}  // namespace samestep
