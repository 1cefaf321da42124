#include "verdicts/rows.h"

#include <algorithm>

#include "base/digest.h"

namespace bitfoundry::verdicts {

Texts::Texts(const slices::Columns& columns, const Field& field) : code_(columns.rows, kNone) {
  const auto& texts = field.text.starts_with("tag.") ? columns.tags : columns.meta;
  const auto found = texts.find(field.text.substr(field.text.find('.') + 1));
  if (found == texts.end()) return;
  column_ = &found->second;
  for (size_t i = 0; i < column_->rows.size(); ++i) code_[column_->rows[i]] = column_->codes[i];
}

std::vector<std::vector<size_t>> Texts::Split(std::span<const size_t> places) const {
  std::vector<std::vector<size_t>> groups(column_ == nullptr ? 0 : column_->words.size());
  for (const size_t place : places) {
    if (Has(place)) groups[code_[place]].push_back(place);
  }
  std::erase_if(groups, [](const auto& group) { return group.empty(); });
  return groups;
}

const Chosen& Chooser::Choose(const DataTest& test) {
  const slices::Expression& slice = suite_.slices[test.slice].expression;
  const std::string view = slice.UsesPrediction() ? test.view() : "";
  const auto [found, fresh] = chosen_.try_emplace({test.slice, view});
  Chosen& chosen = found->second;
  if (!fresh) return chosen;
  chosen.names = slice.Check(names_);
  if (chosen.names.ok()) chosen.names = slice.CheckValues(names_);
  if (chosen.names.ok()) {
    const slices::Selection selected = slice.Select(columns_, evidence_.predictions.at(view));
    chosen.members = selected.Rows();
    chosen.unknown = selected.Unknown();
  }
  chosen.digest = RowsDigest(evidence_, chosen.members);
  return chosen;
}

std::string RowsDigest(const Evidence& evidence, std::span<const size_t> places) {
  const auto name = [&](size_t place) -> const std::string& {
    return evidence.data.rows[evidence.rows[place]].name;
  };
  constexpr size_t kPiece = size_t{64} << 10;  // hashing name by name takes twice as long
  Sha256Stream stream;
  std::string piece;
  for (size_t i = 0; i < places.size(); ++i) {
    if (i > 0 && name(places[i]) < name(places[i - 1])) {  // never, of a snapshot as it is kept
      std::vector<size_t> sorted(places.begin(), places.end());
      std::sort(sorted.begin(), sorted.end(),
                [&](size_t a, size_t b) { return name(a) < name(b); });
      return RowsDigest(evidence, sorted);
    }
    piece.append(name(places[i])).push_back('\n');
    if (piece.size() < kPiece) continue;
    stream.Add(piece);
    piece.clear();
  }
  stream.Add(piece);
  return stream.Finish();
}

}  // namespace bitfoundry::verdicts
