#include "verdicts/words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace bitfoundry::verdicts {
namespace {

std::string Number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.10g", value);
  return text.data();
}

// Of a name in capitals.
std::string Lower(std::string name) {
  for (char& c : name) c = static_cast<char>(c | 0x20);
  return name;
}

bool IsFigure(const v1::TestResult& test) { return test.kind() == "fits"; }

// What the proof or the alarm rests on.
std::string Shown(const v1::TestResult& test) {
  if (IsFigure(test)) return Number(test.measured());
  if (test.kind() == "same_bits") return "equal to the reference, layer by layer";
  if (test.kind() == "shortcut" && test.outcome() == v1::PASS) {
    return "every bin differs by at most " + Percent(test.upper());
  }
  if (test.kind() == "shortcut") {  // the bin that shows it, and the rest
    std::string bins;
    for (const v1::Group& group : test.groups()) {
      bins += (bins.empty() ? "" : "; ") + std::to_string(group.successes()) + "/" +
              std::to_string(group.n()) + " of " + group.name();
    }
    return bins;
  }
  const bool from_below = (test.outcome() == v1::PASS) != test.at_most();
  return from_below ? "at least " + Percent(test.lower()) : "at most " + Percent(test.upper());
}

}  // namespace

std::string Word(v1::Outcome outcome) { return Lower(v1::Outcome_Name(outcome)); }

std::string Model(const v1::Verdict& verdict) {
  if (!verdict.has_remote_model()) return verdict.artefact().substr(0, 12);
  return verdict.remote_model().model() + " " + verdict.remote_model().version();
}

std::string Origin(const v1::Verdict& verdict) {
  if (!verdict.has_remote_model()) return "";
  const v1::RemoteModel& remote = verdict.remote_model();
  const bool detects = remote.kind() == v1::RemoteModel::DETECTOR;
  std::string words = "Answers that the " + Lower(v1::RemoteModel::Kind_Name(remote.kind())) + " " +
                      Model(verdict) + " at " + remote.address() + " gave";
  if (detects) {
    words += " about whole images (" + remote.rule() + "); " +
             std::to_string(verdict.unsure_answers()) + " were unsure";
  }
  return words +
         ". No replay can give them again; such a model is never released and never a baseline.";
}

std::string Roles(const v1::BoardModel& model) {
  std::string roles;
  for (const int role : model.roles()) {
    const auto name = v1::BoardModel::Role_Name(static_cast<v1::BoardModel::Role>(role));
    roles += (roles.empty() ? "" : ", ") + Lower(name);
  }
  return roles;
}

std::string Percent(double rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * rate);
  return text.data();
}

std::string Claim(const v1::TestResult& test) {
  if (test.kind() == "same_bits") return "equal outputs on " + test.core();
  std::string claim = test.metric();
  if (test.kind() == "regression") claim = "loss of " + claim;
  if (test.kind() == "gap") claim = "gap of " + claim;
  if (test.kind() == "shortcut") claim = "gap between bins";
  claim += (test.at_most() ? " <= " : " >= ") + Number(test.bound());
  if (!test.transform().empty()) claim += " " + test.transform();
  return IsFigure(test) ? claim + " on " + test.core() : claim;
}

std::string Counted(const v1::TestResult& test) {
  const std::string n = std::to_string(test.n());
  if (IsFigure(test)) return "";
  if (test.kind() == "regression") {
    return std::to_string(test.losses()) + " lost, " + std::to_string(test.gains()) +
           " gained of " + n;
  }
  const bool counts =
      test.kind() != "gap" && test.kind() != "shortcut" && test.metric() != "saliency_in_box";
  const std::string counted = counts ? std::to_string(test.successes()) + "/" + n : n;
  if (test.design_effect() <= 1) return counted;
  return counted + " (as " + std::to_string(std::lround(test.n() / test.design_effect())) + ")";
}

std::string Measured(const v1::TestResult& test) {
  if (IsFigure(test)) return test.measured() == 0 ? "-" : Number(test.measured());
  const bool nothing = test.n() == 0 || (test.kind() == "shortcut" && test.outcome() == v1::ERROR);
  return nothing ? "-" : Percent(test.measured());
}

std::string Finding(const v1::TestResult& test) {
  std::string finding;
  switch (test.outcome()) {
    case v1::PASS:
    case v1::FAIL:
      finding = test.reason().empty() ? Shown(test) : test.reason();
      break;
    case v1::INCONCLUSIVE:
      finding = Percent(test.lower()) + " to " + Percent(test.upper()) + "; " + test.reason();
      break;
    default:
      finding = test.reason();
  }
  if (test.unknown_rows() > 0 && test.outcome() != v1::ERROR) {
    finding += "; " + std::to_string(test.unknown_rows()) + " more rows could not be decided";
  }
  if (!test.firmware().empty()) {
    finding += (finding.empty() ? "" : "; ") + ("artefact pull " + test.firmware());
  }
  if (test.waived_by().empty() || test.outcome() == v1::PASS) return finding;
  return finding + " (waived until " + test.waived_until() + " by " + test.waived_by() + ": " +
         test.waiver_reason() + ")";
}

std::string Summary(const v1::Verdict& verdict) {
  std::string summary;
  for (const v1::Outcome outcome : {v1::PASS, v1::FAIL, v1::INCONCLUSIVE, v1::ERROR}) {
    const auto count = std::count_if(verdict.tests().begin(), verdict.tests().end(),
                                     [&](const auto& test) { return test.outcome() == outcome; });
    if (count == 0) continue;
    summary += (summary.empty() ? "" : ", ") + std::to_string(count) + " " + Word(outcome);
  }
  return summary;
}

}  // namespace bitfoundry::verdicts
