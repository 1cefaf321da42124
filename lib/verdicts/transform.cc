#include "verdicts/transform.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "base/digest.h"
#include "slices/nearest.h"

namespace bitfoundry::verdicts {
namespace {

constexpr uint32_t kOne = 1 << 16;  // of gain and noise
constexpr size_t kMaxText = 200;    // of ParseTransform

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a short generator with a 64-bit state.
uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// Approximately normal, mean 0, standard deviation kOne.
int64_t NextNoise(uint64_t& state) {
  int64_t sum = -6 * int64_t{kOne - 1};
  for (int i = 0; i < 3; ++i) {
    const uint64_t random = NextRandom(state);
    for (int shift = 0; shift < 64; shift += 16) {
      sum += static_cast<int64_t>((random >> shift) & 0xFFFF);
    }
  }
  return sum;
}

Status Invalid(const std::string& message) {
  return Status(Code::kInvalidArgument, "SUITE_INVALID", message);
}

struct Call {
  std::string name, first, second;
};

// "name(1.5, 2)", blanks allowed between all of its parts.
std::optional<Call> ReadCall(std::string_view text) {
  const auto skip_blanks = [&] {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text[0])))
      text.remove_prefix(1);
  };
  const auto take = [&](auto belongs) {
    skip_blanks();
    const auto end = std::find_if_not(text.begin(), text.end(), belongs);
    const std::string taken(text.begin(), end);
    text.remove_prefix(taken.size());
    skip_blanks();
    return taken;
  };
  const auto expect = [&](char c) {
    const bool there = text.starts_with(c);
    if (there) text.remove_prefix(1);
    return there;
  };
  const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  const auto is_number = [](unsigned char c) { return std::isdigit(c) || c == '.'; };
  Call call;
  call.name = take(is_word);
  if (call.name.empty() || !expect('(')) return std::nullopt;
  call.first = take(is_number);
  if (call.first.empty() || !expect(',')) return std::nullopt;
  call.second = take(is_number);
  if (call.second.empty() || !expect(')')) return std::nullopt;
  skip_blanks();
  if (!text.empty()) return std::nullopt;
  return call;
}

}  // namespace

Result<Transform> ParseTransform(const std::string& text) {
  if (text == "none") return Transform();
  if (text.size() > kMaxText) {
    return Invalid("a transform has at most " + std::to_string(kMaxText) + " characters");
  }
  const std::optional<Call> call = ReadCall(text);
  if (!call) {
    const std::string comma =
        text.find('(') != std::string::npos && text.find(')') == std::string::npos
            ? "; inside { } or [ ] a comma ends the text: put quotes around it"
            : slices::Suggest(text, {"none", "darken(0.25, 3)"});
    return Invalid("'" + text + "' is not a transform" + comma);
  }
  if (call->name != "darken") {
    return Invalid("unknown transform '" + call->name + "'" +
                   slices::Suggest(call->name, {"darken", "none"}));
  }
  const double gain = std::strtod(call->first.c_str(), nullptr);
  const double noise = std::strtod(call->second.c_str(), nullptr);
  if (!(gain > 0 && gain <= 1)) return Invalid("the gain of darken is above 0 and at most 1");
  if (!(noise >= 0 && noise <= 64)) return Invalid("the noise of darken is from 0 to 64 levels");
  Transform transform;
  transform.text = "darken(" + call->first + "," + call->second + ")";
  transform.gain = static_cast<uint32_t>(std::lround(gain * kOne));
  transform.noise = static_cast<uint32_t>(std::lround(noise * kOne));
  return transform;
}

std::vector<uint8_t> Apply(const Transform& transform, std::string_view name,
                           std::span<const uint8_t> image) {
  std::vector<uint8_t> out(image.begin(), image.end());
  if (transform.text.empty()) return out;
  uint64_t state = std::stoull(Sha256(name).substr(0, 16), nullptr, 16);
  for (uint8_t& value : out) {
    const int64_t scaled = int64_t{value} * transform.gain +
                           NextNoise(state) * int64_t{transform.noise} / int64_t{kOne};
    value = static_cast<uint8_t>(std::clamp<int64_t>((scaled + kOne / 2) >> 16, 0, 255));
  }
  return out;
}

}  // namespace bitfoundry::verdicts
