#include "services/evaluator/charts.h"

#include <algorithm>
#include <cmath>

#include "services/evaluator/html.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

constexpr double kWidth = 240;
constexpr double kMargin = 30;  // for the figures at its ends
constexpr const char* kAllowed = "y=\"9\" height=\"8\" fill=\"#e6f4ec\"";
constexpr const char* kForbidden = "y=\"9\" height=\"8\" fill=\"#fbe3e4\"";

// A line from `low` to `high`, drawn from left to right.
class Scale {
 public:
  Scale(double low, double high) : low_(low), high_(high) {}

  // One that holds all of these with a little room, and ends on whole twentieths. Of them only
  // losses are below 0.
  static Scale Around(double least, double most) {
    const double bottom = least < 0 ? -1 : 0;
    return {std::max(bottom, std::floor(20 * (least - 0.03)) / 20),
            std::min(1.0, std::ceil(20 * (most + 0.03)) / 20)};
  }

  double low() const { return low_; }
  double high() const { return high_; }

  std::string Bar(double from, double to, const std::string& rest) const {
    return "<rect x=\"" + Format("%.1f", At(from)) + "\" width=\"" +
           Format("%.1f", std::max(1.0, At(to) - At(from))) + "\" " + rest + "/>";
  }
  std::string Dot(double value) const {
    return "<circle cx=\"" + Format("%.1f", At(value)) + "\" cy=\"13\" r=\"3.5\"/>";
  }
  std::string Upright(double value, const char* rest) const {
    const std::string x = Format("%.1f", At(value));
    return "<line x1=\"" + x + "\" x2=\"" + x +
           "\" y1=\"2\" y2=\"24\" stroke=\"#1c2024\" stroke-width=\"1.5\" " + rest + "/>";
  }
  std::string Svg(const std::string& cls, const std::string& body) const {
    return "<svg width=\"240\" height=\"26\" class=\"" + cls + "\">" + body +
           End(kMargin - 5, "end", low_) + End(kWidth - kMargin + 5, "start", high_) + "</svg>";
  }

 private:
  double At(double value) const {
    return kMargin + (value - low_) / (high_ - low_) * (kWidth - 2 * kMargin);
  }
  static std::string End(double x, const char* anchor, double rate) {
    return "<text x=\"" + Format("%.0f", x) + "\" y=\"17\" text-anchor=\"" + anchor + "\">" +
           Format("%.0f", 100 * rate) + "</text>";
  }

  double low_;
  double high_;
};

// The share of the limit that a figure of firmware takes.
std::string Budget(const v1::TestResult& test) {
  if (test.outcome() == v1::ERROR) return "";
  const double share = test.measured() / test.bound();
  const Scale scale(0, std::max(1.0, std::ceil(10 * share) / 10));
  return scale.Svg(verdicts::Word(test.outcome()),
                   scale.Bar(0, 1, kAllowed) +
                       (scale.high() > 1 ? scale.Bar(1, scale.high(), kForbidden) : "") +
                       scale.Bar(0, share, "y=\"7\" height=\"12\" rx=\"3\" opacity=\".45\"") +
                       scale.Upright(1, ""));
}

}  // namespace

std::string LimitChart(const v1::TestResult& test) {
  if (test.kind() == "fits") return Budget(test);
  if (test.kind() == "same_bits") return "";
  const bool seen = test.n() > 0 && test.outcome() != v1::ERROR;
  const double bound = test.bound();
  double least = bound, most = bound;
  if (seen) {
    least = std::min({least, test.lower(), test.measured()});
    most = std::max({most, test.upper(), test.measured()});
  }
  const Scale scale = Scale::Around(least, most);
  std::string svg = scale.Bar(scale.low(), scale.high(), kAllowed);
  svg += test.at_most() ? scale.Bar(bound, scale.high(), kForbidden)
                        : scale.Bar(scale.low(), bound, kForbidden);
  if (seen) {
    svg += scale.Bar(test.lower(), test.upper(), "y=\"7\" height=\"12\" rx=\"3\" opacity=\".45\"");
    svg += scale.Dot(test.measured());
  }
  const double ceiling = test.ceiling();
  if (ceiling > 0 && ceiling > scale.low() && ceiling < scale.high()) {
    svg += scale.Upright(ceiling, "stroke-dasharray=\"2 2\" opacity=\".5\"");
  }
  return scale.Svg(verdicts::Word(test.outcome()), svg + scale.Upright(bound, ""));
}

std::string GroupTable(const v1::TestResult& test) {
  if (test.groups().empty()) return "";
  double least = 1;
  double most = 0;
  for (const v1::Group& group : test.groups()) {
    least = std::min(least, group.lower());
    most = std::max(most, group.upper());
  }
  const Scale scale = Scale::Around(least, most);
  std::string html =
      "<table class=\"groups\"><tr><th>group</th><th class=\"number\">counted</th>"
      "<th class=\"number\">rate</th><th>between the two bounds (%)</th></tr>\n";
  for (const v1::Group& group : test.groups()) {
    const double rate = group.n() == 0 ? 0 : 1.0 * group.successes() / group.n();
    html += "<tr><td>" + Html(group.name()) + "</td><td class=\"number\">" +
            std::to_string(group.successes()) + "/" + std::to_string(group.n()) +
            "</td><td class=\"number\">" + (group.n() == 0 ? "-" : verdicts::Percent(rate)) +
            "</td><td>" +
            scale.Svg(
                "", scale.Bar(scale.low(), scale.high(), "y=\"9\" height=\"8\" fill=\"#eef0f3\"") +
                        scale.Bar(group.lower(), group.upper(),
                                  "y=\"7\" height=\"12\" rx=\"3\" opacity=\".35\"") +
                        scale.Dot(rate)) +
            "</td></tr>\n";
  }
  return html + "</table>\n";
}

}  // namespace bitfoundry::evaluator
