#include "replay/run/printable.h"

#include <gtest/gtest.h>

namespace samestep {
namespace {

TEST(Printable, LeavesWordsOfAnyScriptAlone) {
  EXPECT_EQ(printable("layer.0 \"weight\" größer 重み 🙂"), "layer.0 \"weight\" größer 重み 🙂");
}

// A manifest's processor once cleared the screen and printed a verdict of its own below it.
TEST(Printable, WritesOutWhatActsOnATerminal) {
  EXPECT_EQ(printable("\x1b[2J\nsame: forged\r"), "\\x1b[2J\\x0asame: forged\\x0d");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m");  // CSI as one character
  EXPECT_EQ(printable("abc\xe2\x80\xae"
                      "fed"),
            "abc\\u202efed");  // right-to-left override
  EXPECT_EQ(printable("a\tb"), "a b");
}

TEST(Printable, WritesOutBytesThatAreNoText) {
  EXPECT_EQ(printable("x\xff"), "x\\xff");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xf0\x9f\x99"), "\\xf0\\x9f\\x99");  // cut short
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace samestep
