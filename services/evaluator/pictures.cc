#include "services/evaluator/pictures.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "services/evaluator/html.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

using verdicts::DataTest;
using verdicts::Evidence;
using verdicts::Kind;
using verdicts::Metric;
using Colour = std::array<double, 3>;

constexpr Colour kFor = {230, 97, 1};
constexpr Colour kAgainst = {33, 102, 172};
constexpr double kStrongest = 0.8;  // opacity, where the map is farthest from 0

// The map in colours over gray levels, one for each pixel.
images::Image Paint(const saliency::Heatmap& map, const std::vector<double>& under) {
  double most = 0;
  for (const double value : map.values) most = std::max(most, std::abs(value));
  images::Image image =
      images::Blank(static_cast<int>(map.width), static_cast<int>(map.height), /*channels=*/3);
  for (size_t i = 0; i < map.values.size(); ++i) {
    const double strength = most == 0 ? 0 : kStrongest * std::abs(map.values[i]) / most;
    const Colour& colour = map.values[i] > 0 ? kFor : kAgainst;
    for (size_t c = 0; c < 3; ++c) {
      const double level = under[i] * (1 - strength) + colour[c] * strength;
      image.pixels[3 * i + c] = static_cast<uint8_t>(std::lround(level));
    }
  }
  return image;
}

images::Image Overlay(const images::Image& picture, const saliency::Heatmap& map) {
  const std::vector<uint8_t> gray = images::ToGray(picture).pixels;
  std::vector<double> under;
  for (const uint8_t level : gray) under.push_back(70 + 0.7 * level);  // lighter, so colours show
  return Paint(map, under);
}

class Album {
 public:
  Album(const verdicts::Subject& subject, const Evidence& evidence,
        const Explanations& explanations, const DataTest& test)
      : subject_(subject), evidence_(evidence), explanations_(explanations), test_(test) {}

  std::string Row(const Shown& shown) const {
    if (shown.places.empty()) return "";
    std::string html = "<h3>" + shown.title + ": " + std::to_string(shown.places.size()) + " of " +
                       std::to_string(shown.of) + "</h3><div class=\"pictures\">\n";
    for (size_t i = 0; i < shown.places.size(); ++i) {
      html += Figure(shown.places[i], shown.wrong, /*explain=*/i < kExplainedPerTest);
    }
    return html + "</div>\n";
  }

 private:
  const snapshot::Row& RowOf(size_t place) const {
    return evidence_.data.rows[evidence_.rows[place]];
  }
  std::string ClassOf(size_t index) const { return Html(evidence_.data.classes[index]); }

  images::Image Seen(size_t place, const verdicts::Transform* transform) const {
    const size_t row = evidence_.rows[place];
    const auto pixels = evidence_.data.Image(row);
    images::Image image =
        images::Blank(evidence_.data.width, evidence_.data.height, evidence_.data.channels);
    image.pixels = transform == nullptr ? std::vector<uint8_t>(pixels.begin(), pixels.end())
                                        : verdicts::Apply(*transform, evidence_.data, row);
    return image;
  }

  // The object's box, over a picture.
  std::string Box(size_t place) const {
    const packed::Shape& input = subject_.network.input;
    const auto box = verdicts::BoxOf(RowOf(place), input);
    if (!box) return "";
    const auto share = [](const char* name, uint32_t of, uint32_t all) {
      return std::string(name) + Format(":%.2f%%;", 100.0 * of / all);
    };
    return "<i style=\"" + share("left", box->left, input.width) +
           share("top", box->top, input.height) + share("width", box->width, input.width) +
           share("height", box->height, input.height) + "\"></i>";
  }

  std::string Panel(const images::Image& image, const char* kind, size_t place, bool with_box,
                    const std::string& label) const {
    return std::string("<div><div class=\"frame ") + kind + "\"><img alt=\"\" src=\"" +
           DataUri(image) + "\">" + (with_box ? Box(place) : "") + "</div>" +
           "<div class=\"label\">" + label + "</div></div>";
  }

  // The picture with one answer to a question on it.
  std::string Answer(const Question& question, const Explanation& why) const {
    const auto* transform = question.view.empty() ? nullptr : &test_.transforms[0];
    std::string label = test_.kind != Kind::kRegression ? "what speaks for <b>"
                        : question.shipped              ? "shipped: for <b>"
                                                        : "candidate: for <b>";
    label += ClassOf(question.of_class) + "</b>";
    if (const auto box = verdicts::BoxOf(RowOf(question.place), subject_.network.input)) {
      label += Format(", %.0f&nbsp;%% in the box", 100 * saliency::EnergyInside(why.map, *box));
    }
    if (why.deletion && why.insertion) {
      label += "<br>deletion " + Format("%.2f", *why.deletion) + ", insertion " +
               Format("%.2f", *why.insertion);
    }
    return Panel(Overlay(Seen(question.place, transform), why.map), "map", question.place, true,
                 label);
  }

  // What an image became by the transform that flipped its answer; or by the first.
  std::string Flip(size_t place) const {
    const size_t before = evidence_.predictions.at("")[place];
    const verdicts::Transform* shown = &test_.transforms[0];
    for (const verdicts::Transform& transform : test_.transforms) {
      if (evidence_.predictions.at(transform.text)[place] == before) continue;
      shown = &transform;
      break;
    }
    const size_t after = evidence_.predictions.at(shown->text)[place];
    return Panel(Seen(place, nullptr), "plain", place, false, Caption(place)) +
           Panel(Seen(place, shown), "plain", place, false,
                 "after " + Html(shown->text) + " said <b>" + ClassOf(after) + "</b>");
  }

  std::string Caption(size_t place) const {
    const snapshot::Row& row = RowOf(place);
    std::string facts;
    for (const auto& [key, value] : row.tags) {
      facts += (facts.empty() ? "" : ", ") + key + "=" + value;
    }
    return "said <b>" + ClassOf(evidence_.predictions.at(test_.view())[place]) + "</b>, is <b>" +
           ClassOf(static_cast<size_t>(row.class_index)) + "</b><div class=\"soft\">" +
           Html(facts) + "</div>";
  }

  std::string Figure(size_t place, bool wrong, bool explain) const {
    std::string panels;
    size_t count = 1;
    if (test_.metric == Metric::kFlipRate) {
      panels = Flip(place);
      count = 2;
    } else {
      std::string answers;
      for (const Question& question : Questions(test_, evidence_, place)) {
        const auto why = explanations_.pictures.find(question);
        if (!explain || why == explanations_.pictures.end()) continue;
        answers += Answer(question, why->second);
        ++count;
      }
      const auto* transform = test_.view().empty() ? nullptr : &test_.transforms[0];
      panels = Panel(Seen(place, transform), "plain", place, count > 1, Caption(place)) + answers;
    }
    constexpr const char* kWide[] = {"", "", " two", " three"};
    return std::string("<figure class=\"") + (wrong ? "wrong" : "right") + kWide[count] +
           "\" title=\"" + Html(RowOf(place).name) + "\"><div class=\"panels\">" + panels +
           "</div></figure>\n";
  }

  const verdicts::Subject& subject_;
  const Evidence& evidence_;
  const Explanations& explanations_;
  const DataTest& test_;
};

}  // namespace

std::string Pictures(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                     const Explanations& explanations, size_t test) {
  const DataTest& of = subject.suite.tests[test];
  const Album album(subject, evaluated.evidence, explanations, of);
  std::string html;
  for (const Shown& shown : Choose(of, evaluated.tests[test], evaluated.evidence)) {
    html += album.Row(shown);
  }
  return html;
}

std::string WhereItLooks(const verdicts::Subject& subject, const Explanations& explanations) {
  if (explanations.pictures.empty()) return "";
  const std::string patch = std::to_string(explanations.options.patch);
  std::string html =
      "<h2>Where it looks</h2><div class=\"card prose\"><p><b>Occlusion on the packed bytes</b>: "
      "each square of " +
      patch + " x " + patch + " pixels, every " + std::to_string(explanations.options.stride) +
      ", is taken away in turn (it becomes the network's mean), and the network that ships is "
      "asked "
      "again. What the margin of its answer loses is laid to the pixels of the square (Zeiler and "
      "Fergus 2014). No gradient and no stand-in: the same map on every machine. It shows what the "
      "answer hangs on, not why.</p><p>against<span class=\"key\"></span>for the answer; each "
      "picture by its own strongest pixel. The yellow frame is the teacher's box. "
      "<b>Deletion</b>: how much of the margin is left, on average, while the pixels that speak "
      "most "
      "for the answer are taken away; low is good. <b>Insertion</b>: while they are put back; high "
      "is good (Petsiuk, Das and Saenko 2018).</p>";
  if (!explanations.averages.empty()) {
    html += "<h3>Averages by slice and answer</h3><div class=\"pictures\">\n";
  }
  for (const Average& average : explanations.averages) {
    const std::vector<double> white(average.map.values.size(), 250);
    html += "<figure><div class=\"frame\"><img alt=\"\" src=\"" +
            DataUri(Paint(average.map, white)) + "\"></div><div class=\"label\"><b>" +
            Html(average.slice) + "</b>, said <b>" + Html(subject.data.classes[average.of_class]) +
            "</b><div class=\"soft\">mean of " + std::to_string(average.averaged) + " of " +
            std::to_string(average.of) + "</div></div></figure>\n";
  }
  return html + (explanations.averages.empty() ? "" : "</div>") + "</div>\n";
}

}  // namespace bitfoundry::evaluator
