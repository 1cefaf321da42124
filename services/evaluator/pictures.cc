#include "services/evaluator/pictures.h"

#include <algorithm>

#include "saliency/paint.h"
#include "services/evaluator/html.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

using verdicts::DataTest;
using verdicts::Evidence;
using verdicts::Kind;
using verdicts::Metric;

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
                        : question.baseline             ? "baseline: for <b>"
                                                        : "candidate: for <b>";
    label += ClassOf(question.of_class) + "</b>";
    if (const auto box = verdicts::BoxOf(RowOf(question.place), subject_.network.input)) {
      label += Format(", %.0f&nbsp;%% in the box", 100 * saliency::EnergyInside(why.map, *box));
    }
    if (why.deletion && why.insertion) {
      label += "<br>deletion " + Format("%.2f", *why.deletion) + ", insertion " +
               Format("%.2f", *why.insertion);
    }
    return Panel(saliency::Overlay(Seen(question.place, transform), why.map), "map", question.place,
                 true, label + Preview(why));
  }

  // What a gradient would have shown, and what that is worth.
  static std::string Preview(const Explanation& why) {
    return "<div class=\"preview\"><img alt=\"\" src=\"" +
           DataUri(saliency::OverWhite(why.preview.surrogate)) + "\"><span>surrogate" +
           (why.agreement ? ",<br>rank " + Format("%.2f", *why.agreement) : "") + "</span></div>";
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

std::string Averages(const verdicts::Subject& subject, const Explanations& explanations) {
  if (explanations.averages.empty()) return "";
  std::string html = "<h3>Averages by slice and answer</h3><div class=\"pictures\">\n";
  for (const Average& average : explanations.averages) {
    html += "<figure><div class=\"frame\"><img alt=\"\" src=\"" +
            DataUri(saliency::OverWhite(average.map)) + "\"></div><div class=\"label\"><b>" +
            Html(average.slice) + "</b>, said <b>" + Html(subject.data.classes[average.of_class]) +
            "</b><div class=\"soft\">mean of " + std::to_string(average.averaged) + " of " +
            std::to_string(average.of) + "</div></div></figure>\n";
  }
  return html + "</div>";
}

// What the small maps are, and how far they are to be believed here.
std::string Surrogates(const Explanations& explanations) {
  double sum = 0;
  int count = 0;
  for (const auto& [question, why] : explanations.pictures) {
    if (!why.agreement) continue;
    sum += *why.agreement;
    ++count;
  }
  std::string html =
      "<p><b>Surrogate</b>, the small map: what a gradient would show, for whoever is used to one. "
      "This network has none; what is differentiated is another, with straight lines in place of "
      "its thresholds. <b>Rank</b>: how well its order of pixels agrees with the exact map "
      "(Spearman; 1 is the same, 0 none)";
  if (count > 0) {
    html += Format(", on average <b>%.2f</b> over ", sum / count) + std::to_string(count) +
            " pictures of this report";
  }
  return html + ". No test rests on it.</p>";
}

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
  return "<h2>Where it looks</h2><div class=\"card prose\"><p><b>Occlusion on the packed "
         "bytes</b>: each square of " +
         patch + " x " + patch + " pixels, every " + std::to_string(explanations.options.stride) +
         ", is taken away in turn (it becomes the network's mean), and the network that ships is "
         "asked again. What the margin of its answer loses is laid to the pixels of the square "
         "(Zeiler and Fergus 2014). No gradient and no stand-in: the same map on every machine. It "
         "shows what the answer hangs on, not why.</p><p>against<span class=\"key\"></span>for the "
         "answer; each picture by its own strongest pixel. The yellow frame is the object's box, "
         "where one is known. "
         "<b>Deletion</b>: how much of the margin is left, on average, while the pixels that speak "
         "most for the answer are taken away; low is good. <b>Insertion</b>: while they are put "
         "back; high is good (Petsiuk, Das and Saenko 2018).</p>" +
         Surrogates(explanations) + Averages(subject, explanations) + "</div>\n";
}

}  // namespace bitfoundry::evaluator
