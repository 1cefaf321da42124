#include "services/evaluator/history_chart.h"

#include <algorithm>
#include <cmath>

#include "services/evaluator/html.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

constexpr double kWidth = 320;
constexpr double kHeight = 120;
constexpr double kLeft = 40;  // for the figures of the axis
constexpr double kRight = 8;
constexpr double kTop = 8;
constexpr double kBottom = 18;  // for the numbers of the versions

std::string At(const char* name, double value) {
  return std::string(" ") + name + "=\"" + Format("%.1f", value) + "\"";
}

std::string Line(double x1, double y1, double x2, double y2, const std::string& cls) {
  return "<line" + At("x1", x1) + At("y1", y1) + At("x2", x2) + At("y2", y2) + " class=\"" + cls +
         "\"/>";
}

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return "<text" + At("x", x) + At("y", y) + " text-anchor=\"" + anchor + "\">" + Html(text) +
         "</text>";
}

class Chart {
 public:
  Chart(const v1::BoardTest& row, const std::string& kind, int versions)
      : row_(row), figure_(kind == "fits") {
    step_ = (kWidth - kLeft - kRight) / std::max(1, versions);
    const double bound = row.history(row.history_size() - 1).bound();
    double least = bound, most = bound;
    for (const v1::BoardPoint& point : row.history()) {
      if (point.outcome() == v1::ERROR) continue;
      least = std::min({least, point.measured(), figure_ ? bound : point.lower()});
      most = std::max({most, point.measured(), figure_ ? bound : point.upper()});
    }
    const double room = std::max(0.08 * (most - least), figure_ ? 0.05 * most : 0.01);
    low_ = figure_ ? 0 : std::max(least < 0 ? -1.0 : 0.0, least - room);
    high_ = figure_ ? most + room : std::min(1.0, most + room);
    bound_ = bound;
  }

  std::string Draw(bool at_most) const {
    std::string svg = Forbidden(at_most) + Axis();
    for (int i = 0; i < row_.history_size(); ++i) {
      const v1::BoardPoint& point = row_.history(i);
      if (i > 0) svg += Way(row_.history(i - 1), point);
      svg += Mark(point);
    }
    return "<svg class=\"history\" viewBox=\"0 0 320 120\" role=\"img\" aria-label=\"" +
           Html(Words()) + "\">" + svg + "</svg>";
  }

 private:
  double X(const v1::BoardPoint& point) const { return kLeft + (point.version() + 0.5) * step_; }
  double Y(double value) const {
    return kTop + (high_ - value) / (high_ - low_) * (kHeight - kTop - kBottom);
  }

  std::string Label(double value) const {
    if (!figure_) return Format("%.0f %%", 100 * value);
    return value >= 10'000 ? Format("%.0fk", value / 1000) : Format("%.0f", value);
  }

  std::string Forbidden(bool at_most) const {
    const double from = at_most ? Y(high_) : Y(bound_);
    const double to = at_most ? Y(bound_) : Y(low_);
    return "<rect class=\"forbidden\"" + At("x", kLeft) + At("y", from) +
           At("width", kWidth - kLeft - kRight) + At("height", std::max(0.0, to - from)) + "/>" +
           Line(kLeft, Y(bound_), kWidth - kRight, Y(bound_), "limit");
  }

  // The limit and the ends, unless they are on top of each other.
  std::string Axis() const {
    std::string svg = Text(kLeft - 5, Y(bound_) + 3.5, "end", Label(bound_));
    for (const double end : {low_, high_}) {
      if (std::abs(Y(end) - Y(bound_)) > 12)
        svg += Text(kLeft - 5, Y(end) + 3.5, "end", Label(end));
    }
    const int every = std::max(1, static_cast<int>(std::ceil(24 / step_)));
    for (const v1::BoardPoint& point : row_.history()) {
      if (point.version() % every != 0) continue;
      svg += Text(X(point), kHeight - 5, "middle", "#" + std::to_string(point.version() + 1));
    }
    return svg;
  }

  std::string Way(const v1::BoardPoint& from, const v1::BoardPoint& to) const {
    const bool drawn = from.comparable() && to.comparable() && from.outcome() != v1::ERROR &&
                       to.outcome() != v1::ERROR;
    return drawn ? Line(X(from), Y(from.measured()), X(to), Y(to.measured()), "way") : "";
  }

  std::string Mark(const v1::BoardPoint& point) const {
    const double x = X(point);
    std::string svg = "<g class=\"" + verdicts::Word(point.outcome()) +
                      (point.comparable() ? "" : " pale") + "\"><title>" + Html(Words(point)) +
                      "</title>";
    if (point.outcome() == v1::ERROR) {
      return svg + "<rect" + At("x", x - 4) + At("y", kHeight - kBottom - 7) +
             " width=\"8\" height=\"4\"/></g>";
    }
    const double y = Y(point.measured());
    if (!figure_) svg += Line(x, Y(point.upper()), x, Y(point.lower()), "interval");
    if (point.outcome() == v1::FAIL) {
      svg += Line(x - 4, y - 4, x + 4, y + 4, "cross") + Line(x - 4, y + 4, x + 4, y - 4, "cross");
    } else {
      svg += "<circle" + At("cx", x) + At("cy", y) + " r=\"4\"" +
             (point.outcome() == v1::INCONCLUSIVE ? " class=\"ring\"" : "") + "/>";
    }
    return svg + "</g>";
  }

  static std::string Words(const v1::BoardPoint& point) {
    return "#" + std::to_string(point.version() + 1) + ": " + verdicts::Word(point.outcome()) +
           " " + point.shown() + (point.waived() ? ", waived" : "") +
           (point.comparable() ? "" : ", not comparable");
  }
  std::string Words() const {
    std::string words;
    for (const v1::BoardPoint& point : row_.history()) {
      words += (words.empty() ? "" : "; ") + Words(point);
    }
    return words;
  }

  const v1::BoardTest& row_;
  const bool figure_;
  double step_ = 0;
  double low_ = 0;
  double high_ = 1;
  double bound_ = 0;
};

}  // namespace

std::string HistoryChart(const v1::BoardTest& row, const std::string& kind, bool at_most,
                         int versions) {
  if (row.history().empty() || kind == "same_bits") return "";
  return Chart(row, kind, versions).Draw(at_most);
}

}  // namespace bitfoundry::evaluator
