// Reading JSON that comes from outside. nlohmann::json converts 1e40, or a number that does not
// fit, into an integer without a look; the former is undefined behaviour.
#pragma once

#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace bitfoundry {

// Throws, as nlohmann's own conversions do, unless `value` is an integer that fits.
template <typename T>
T Integer(const nlohmann::json& value) {
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<T>(value.get<uint64_t>())
                        : value.is_number_integer() && std::in_range<T>(value.get<int64_t>());
  if (!fits) {
    throw nlohmann::json::other_error::create(
        501, value.dump().substr(0, 40) + " is not an integer that fits here", &value);
  }
  return static_cast<T>(value.get<int64_t>());
}

// What is wrong, without the name that nlohmann gives each of its errors in front.
inline std::string Fault(const std::exception& error) {
  const std::string text = error.what();
  const size_t end = text.rfind('[', 0) == 0 ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace bitfoundry
