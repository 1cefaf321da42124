// Text of other programs and packages, made fit for our messages.
#pragma once

#include <sstream>
#include <string>

namespace bitfoundry {

// `text` with each run of white space, line feeds too, as one space, and none at either end: what
// libpq and others say in several lines, the last of them empty.
inline std::string OneLine(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

}  // namespace bitfoundry
