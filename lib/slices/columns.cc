#include "slices/columns.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace bitfoundry::slices {
namespace {

// A column under construction: its words by their text.
class TextWriter {
 public:
  void Add(uint32_t row, const std::string& text) {
    const auto [found, fresh] = code_of_.try_emplace(text, column_.words.size());
    if (fresh) column_.words.push_back(text);
    column_.rows.push_back(row);
    column_.codes.push_back(found->second);
  }
  TextColumn Finish() { return std::move(column_); }

 private:
  TextColumn column_;
  std::unordered_map<std::string, uint32_t> code_of_;
};

// The number that the whole of `text` is, as in an expression; NaN if it is none.
double NumberOf(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool number = error == std::errc() && stop == end && std::isfinite(value);
  return number ? value : std::numeric_limits<double>::quiet_NaN();
}

NumberColumn NumbersOf(const TextColumn& texts) {
  std::vector<double> number_of;
  for (const std::string& word : texts.words) number_of.push_back(NumberOf(word));
  NumberColumn numbers;
  for (size_t k = 0; k < texts.rows.size(); ++k) {
    const double value = number_of[texts.codes[k]];
    if (std::isnan(value)) continue;
    numbers.rows.push_back(texts.rows[k]);
    numbers.values.push_back(value);
  }
  return numbers;
}

template <typename Column>
std::vector<std::string> NamesOf(const std::map<std::string, Column>& columns) {
  std::vector<std::string> names;
  for (const auto& [name, column] : columns) names.push_back(name);
  return names;
}

}  // namespace

Columns Columns::Of(const snapshot::Snapshot& data, std::span<const size_t> places) {
  BF_CHECK(places.size() <= std::numeric_limits<uint32_t>::max());
  Columns columns;
  columns.rows = places.size();
  columns.classes = data.classes;
  std::map<std::string, TextWriter> tags;
  TextWriter camera;
  TextWriter session;
  NumberColumn position;
  for (uint32_t i = 0; i < places.size(); ++i) {
    const snapshot::Row& row = data.rows[places[i]];
    columns.labels.push_back(static_cast<uint32_t>(row.class_index));
    camera.Add(i, row.camera);
    session.Add(i, row.session);
    position.rows.push_back(i);
    position.values.push_back(static_cast<double>(row.position));
    for (const auto& [name, text] : row.tags) tags[name].Add(i, text);
    for (const auto& [name, value] : row.attributes) {
      if (!std::isfinite(value)) continue;
      NumberColumn& column = columns.attributes[name];
      column.rows.push_back(i);
      column.values.push_back(value);
    }
  }
  for (auto& [name, writer] : tags) {
    const TextColumn& column = columns.tags[name] = writer.Finish();
    NumberColumn numbers = NumbersOf(column);
    if (!numbers.rows.empty()) columns.facts[name] = std::move(numbers);
  }
  columns.meta["camera"] = camera.Finish();
  columns.meta["session"] = session.Finish();
  columns.facts["position"] = std::move(position);
  return columns;
}

Vocabulary Columns::Names() const {
  Vocabulary names{.classes = classes,
                   .tags = NamesOf(tags),
                   .attributes = NamesOf(attributes),
                   .meta = NamesOf(tags),
                   .numbers = NamesOf(facts)};
  for (const char* name : {"camera", "position", "session"}) {
    if (!tags.contains(name)) names.meta.emplace_back(name);
  }
  constexpr size_t kMostTexts = 1000;
  for (const auto* texts : {&tags, &meta}) {
    for (const auto& [name, column] : *texts) {
      if (column.words.size() <= kMostTexts) names.texts[name] = column.words;
    }
  }
  std::sort(names.meta.begin(), names.meta.end());
  return names;
}

}  // namespace bitfoundry::slices
