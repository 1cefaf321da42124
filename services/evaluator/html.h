// HTML, as the report writes it: one page that loads and runs nothing.
#pragma once

#include <string>

#include "bitfoundry/v1/evaluator.pb.h"
#include "images/image.h"

namespace bitfoundry::evaluator {

// Safe inside an HTML text or a quoted attribute.
std::string Html(const std::string& text);

// One number by a printf format.
std::string Format(const char* format, double value);

// "data:image/png;base64,...".
std::string DataUri(const images::Image& image);

std::string Badge(v1::Outcome outcome);

// A whole page with the report's style and, after it, `more_style`; `body` is HTML, `title` is not.
std::string Page(const std::string& title, const std::string& body,
                 const std::string& more_style = "");

}  // namespace bitfoundry::evaluator
