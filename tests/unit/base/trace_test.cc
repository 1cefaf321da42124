#include "base/trace.h"

#include <gtest/gtest.h>

namespace bitfoundry {
namespace {

constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Trace, LastsAsLongAsItsScope) {
  EXPECT_EQ(CurrentTrace(), "");
  {
    const TraceScope outer(kTrace);
    EXPECT_EQ(CurrentTrace(), kTrace);
    const TraceScope inner("");
    EXPECT_EQ(CurrentTrace(), "");
  }
  EXPECT_EQ(CurrentTrace(), "");
}

TEST(Trace, WhatIsNoTraceContextIsNone) {
  for (const std::string& hostile :
       {std::string("x"), std::string(55, '0'), std::string(kTrace) + "0", std::string(55, '-'),
        std::string("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        std::string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-'\n")}) {
    const TraceScope scope(hostile);
    EXPECT_EQ(CurrentTrace(), "") << hostile;
  }
}

}  // namespace
}  // namespace bitfoundry
