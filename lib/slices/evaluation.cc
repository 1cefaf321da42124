// The half of slices/expression.h that meets data.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "slices/expression.h"

namespace bitfoundry::slices {

// Kleene's logic on two bitmaps: what is certain and what is possible.
class Expression::Evaluation {
 public:
  Evaluation(const Expression& expression, const Columns& columns,
             std::span<const size_t> predictions)
      : nodes_(expression.nodes_), columns_(columns), predictions_(predictions) {}

  Selection Run(size_t place) const {
    const Node& node = nodes_[place];
    if (node.kind == Kind::kConstant) return Everywhere(node.constant, node.constant);
    if (node.kind == Kind::kNot) return Not(Run(node.left));
    if (node.kind == Kind::kAnd) return Join(Run(node.left), Run(node.right), std::bit_and<>());
    if (node.kind == Kind::kOr) return Join(Run(node.left), Run(node.right), std::bit_or<>());
    if (node.kind == Kind::kAgree) return Agreement();
    if (node.kind == Kind::kHasTag) return HasTag(node.name);
    if (node.kind == Kind::kWithin) return Within(node);
    return OneOf(node);
  }

 private:
  Selection Everywhere(bool certain, bool possible) const {
    const size_t words = (columns_.rows + 63) / 64;
    return {std::vector<uint64_t>(words, certain ? ~uint64_t{0} : 0),
            std::vector<uint64_t>(words, possible ? ~uint64_t{0} : 0)};
  }

  static Selection Not(Selection a) {
    std::swap(a.certain, a.possible);
    for (uint64_t& word : a.certain) word = ~word;
    for (uint64_t& word : a.possible) word = ~word;
    return a;
  }

  template <typename Operator>
  static Selection Join(Selection a, const Selection& b, Operator op) {
    const auto join = [&](std::vector<uint64_t>& x, const std::vector<uint64_t>& y) {
      std::transform(x.begin(), x.end(), y.begin(), x.begin(), op);
    };
    join(a.certain, b.certain);
    join(a.possible, b.possible);
    return a;
  }

  // The truth of `n` rows, the k-th of them row(k), is holds(k); that of the others is unknown.
  template <typename Row, typename Holds>
  Selection Known(size_t n, const Row& row, const Holds& holds) const {
    Selection result = Everywhere(false, true);
    for (size_t k = 0; k < n;) {
      const size_t word = row(k) / 64;
      uint64_t known = 0;
      uint64_t certain = 0;
      for (; k < n && row(k) / 64 == word; ++k) {
        known |= uint64_t{1} << (row(k) % 64);
        certain |= uint64_t{holds(k)} << (row(k) % 64);
      }
      result.certain[word] = certain;
      result.possible[word] = certain | ~known;
    }
    return result;
  }
  template <typename Holds>
  Selection Known(const std::vector<uint32_t>& rows, const Holds& holds) const {
    return Known(
        rows.size(), [&](size_t k) { return rows[k]; }, holds);
  }
  template <typename Holds>
  Selection KnownOfAll(const Holds& holds) const {
    return Known(
        columns_.rows, [](size_t k) { return k; }, holds);
  }

  Selection Agreement() const {
    if (predictions_.empty()) return Everywhere(false, true);
    return KnownOfAll([&](size_t k) { return columns_.labels[k] == predictions_[k]; });
  }

  Selection HasTag(const std::string& name) const {
    const auto found = columns_.tags.find(name);
    if (found == columns_.tags.end()) return Everywhere(false, false);
    Selection result = Known(found->second.rows, [](size_t) { return true; });
    result.possible = result.certain;
    return result;
  }

  Selection OneOf(const Node& node) const {
    const auto wanted = [&](const std::vector<std::string>& words) {
      std::vector<uint8_t> in;
      for (const std::string& word : words) {
        in.push_back(std::find(node.texts.begin(), node.texts.end(), word) != node.texts.end());
      }
      return in;
    };
    if (node.source == Source::kLabel || node.source == Source::kPrediction) {
      const std::vector<uint8_t> in = wanted(columns_.classes);
      if (node.source == Source::kLabel) {
        return KnownOfAll([&](size_t k) { return in[columns_.labels[k]] != 0; });
      }
      if (predictions_.empty()) return Everywhere(false, true);
      return KnownOfAll([&](size_t k) { return in[predictions_[k]] != 0; });
    }
    const bool recorded = node.source == Source::kMeta && columns_.meta.contains(node.name);
    const auto& columns = recorded ? columns_.meta : columns_.tags;
    const auto found = columns.find(node.name);
    if (found == columns.end()) return Everywhere(false, true);
    const TextColumn& column = found->second;
    const std::vector<uint8_t> in = wanted(column.words);
    return Known(column.rows, [&](size_t k) { return in[column.codes[k]] != 0; });
  }

  Selection Within(const Node& node) const {
    const auto& columns = node.source == Source::kMeta ? columns_.facts : columns_.attributes;
    const auto found = columns.find(node.name);
    if (found == columns.end()) return Everywhere(false, true);
    const std::vector<double>& values = found->second.values;
    struct Closed {
      double low, high;
    };
    std::vector<Closed> ranges;
    for (const Range& range : node.ranges) {
      double high = ValueOf(range.high, values);
      if (range.below_high) high = std::nextafter(high, -std::numeric_limits<double>::infinity());
      ranges.push_back({ValueOf(range.low, values), high});
    }
    return Known(found->second.rows, [&](size_t k) {
      bool in = false;
      for (const Closed& range : ranges) in |= range.low <= values[k] && values[k] <= range.high;
      return in;
    });
  }

  static double ValueOf(const Number& number, const std::vector<double>& values) {
    return number.is_quantile && !values.empty() ? Quantile(number.value, values) : number.value;
  }

  static double Quantile(double share, std::vector<double> values) {
    // The least rank with rank / n >= q. Both sides are rounded once, so that 7 of 100 is 0.07,
    // though 0.07 * 100 is more than 7.
    const auto n = static_cast<double>(values.size());
    auto rank = static_cast<size_t>(std::max(1.0, std::ceil(share * n) - 1));
    while (static_cast<double>(rank) / n < share) ++rank;
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
    std::nth_element(values.begin(), at, values.end());
    return *at;
  }

  const std::vector<Node>& nodes_;
  const Columns& columns_;
  const std::span<const size_t> predictions_;
};

Selection Expression::Select(const Columns& columns, std::span<const size_t> predictions) const {
  BF_CHECK(predictions.empty() || predictions.size() == columns.rows);
  for (const size_t prediction : predictions) BF_CHECK(prediction < columns.classes.size());
  Selection result = Evaluation(*this, columns, predictions).Run(root_);
  if (columns.rows % 64 != 0) {
    const uint64_t past = ~uint64_t{0} << (columns.rows % 64);
    result.certain.back() &= ~past;
    result.possible.back() &= ~past;
  }
  return result;
}

size_t Selection::Count() const {
  size_t count = 0;
  for (const uint64_t word : certain) count += static_cast<size_t>(std::popcount(word));
  return count;
}

size_t Selection::Unknown() const {
  size_t count = 0;
  for (const uint64_t word : possible) count += static_cast<size_t>(std::popcount(word));
  return count - Count();
}

std::vector<size_t> Selection::Rows() const {
  std::vector<size_t> rows;
  for (size_t i = 0; i < certain.size(); ++i) {
    for (uint64_t word = certain[i]; word != 0; word &= word - 1) {
      rows.push_back(i * 64 + static_cast<size_t>(std::countr_zero(word)));
    }
  }
  return rows;
}

}  // namespace bitfoundry::slices
