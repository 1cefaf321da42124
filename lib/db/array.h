// C++ values as Postgres array literals, for the rooms that speak SQL: libpqxx 6 has none.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace bitfoundry::db {

// {"a","b \"c\""}: a Postgres text[] literal of `text(item)` for each item.
template <typename Items, typename Text>
std::string ArrayOf(const Items& items, Text text) {
  std::string array = "{";
  for (const auto& item : items) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (const char c : std::string(text(item))) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  return array + "}";
}

inline std::string ArrayOf(const auto& texts) {
  return ArrayOf(texts, [](const std::string& text) { return text; });
}

}  // namespace bitfoundry::db
