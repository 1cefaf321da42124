#include "verdicts/transform.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/digest.h"
#include "images/codec.h"
#include "slices/nearest.h"

namespace bitfoundry::verdicts {
namespace {

using Kind = Transform::Kind;

constexpr int64_t kOne = 1 << 16;  // of the numbers of a transform
constexpr size_t kMaxText = 200;   // of ParseTransform

// ---- Reading

struct Number {
  const char* name;
  double least;
  double most;
  bool whole = false;
};

struct Form {
  Kind kind;
  std::string name;
  std::string example;
  std::vector<Number> numbers;
};

const std::vector<Form>& Forms() {
  static const std::vector<Form> kForms = {
      {Kind::kDarken, "darken", "darken(0.25, 3)", {{"gain", 0.01, 1}, {"noise", 0, 64}}},
      {Kind::kGamma, "gamma", "gamma(0.6)", {{"exponent", 0.1, 10}}},
      {Kind::kShift, "shift", "shift(4, 0)", {{"dx", -64, 64, true}, {"dy", -64, 64, true}}},
      {Kind::kBlur, "blur", "blur(1.5)", {{"sigma", 0.3, 8}}},
      {Kind::kNoise, "noise", "noise(8)", {{"sd", 0.1, 64}}},
      {Kind::kJpeg, "jpeg", "jpeg(50)", {{"quality", 1, 100, true}}}};
  return kForms;
}

Status Invalid(const std::string& message) {
  return Status(Code::kInvalidArgument, "SUITE_INVALID", message);
}

struct Call {
  std::string name;
  std::vector<std::string> numbers;

  std::string ToString() const {
    std::string text = name + "(";
    for (size_t i = 0; i < numbers.size(); ++i) text += (i == 0 ? "" : ",") + numbers[i];
    return text + ")";
  }
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
  const auto is_number = [](unsigned char c) { return std::isdigit(c) || c == '.' || c == '-'; };
  Call call;
  call.name = take(is_word);
  if (call.name.empty() || !expect('(')) return std::nullopt;
  do {
    call.numbers.push_back(take(is_number));
    if (call.numbers.back().empty()) return std::nullopt;
  } while (expect(','));
  if (!expect(')')) return std::nullopt;
  skip_blanks();
  if (!text.empty()) return std::nullopt;
  return call;
}

// In 1/65536.
Result<int64_t> ReadNumber(const std::string& text, const Number& number, const std::string& of) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool read = error == std::errc() && stop == text.data() + text.size();
  if (read && value >= number.least && value <= number.most &&
      (!number.whole || value == std::floor(value))) {
    return std::llround(value * static_cast<double>(kOne));
  }
  std::array<char, 80> range{};
  std::snprintf(range.data(), range.size(), "%s %g to %g",
                number.whole ? "a whole number from" : "from", number.least, number.most);
  return Invalid(std::string("the ") + number.name + " of " + of + " is " + range.data() +
                 ", not " + text);
}

// ---- Powers, in integers

// log2(n) in 1/2^32, to 2^-29: each squaring of a number in [1, 2) yields a digit. n >= 1.
uint64_t Log2(uint32_t n) {
  const int whole = std::bit_width(n) - 1;
  uint64_t x = uint64_t{n} << (31 - whole);  // in 1/2^31
  auto log = static_cast<uint64_t>(whole);
  for (int digit = 0; digit < 32; ++digit) {
    x = (x * x) >> 31;
    const uint64_t two_or_more = x >> 32;
    x >>= two_or_more;
    log = 2 * log + two_or_more;
  }
  return log;
}

// most / 2^halvings, rounded; halvings in 1/2^32. That is the largest n for which
// log2(n - 1/2) <= log2(most) - halvings.
uint32_t Halved(uint32_t most, uint64_t halvings) {
  const uint64_t log = Log2(2 * most);
  uint32_t least = 0;
  while (least < most) {
    const uint32_t n = (least + most + 1) / 2;
    const bool within = Log2(2 * n - 1) + halvings <= log;
    (within ? least : most) = within ? n : n - 1;
  }
  return least;
}

std::vector<uint32_t> GammaTable(int64_t exponent) {
  std::vector<uint32_t> table = {0};
  for (uint32_t level = 1; level < 256; ++level) {
    const uint64_t halvings = Log2(255) - Log2(level);
    table.push_back(Halved(255, halvings * static_cast<uint64_t>(exponent) / kOne));
  }
  return table;
}

// exp(-i^2 / (2 sigma^2)) in 1/4096, as far as it is not 0.
std::vector<uint32_t> BlurTable(int64_t sigma) {
  constexpr uint64_t kLog2OfE = 6'196'328'019;                // in 1/2^32
  const auto s = static_cast<uint64_t>((sigma + 128) / 256);  // sigma in 1/256
  std::vector<uint32_t> table;
  for (uint64_t i = 0; table.empty() || table.back() > 0; ++i) {
    table.push_back(Halved(4096, i * i * kLog2OfE * 32768 / (s * s)));
  }
  table.pop_back();
  return table;
}

// ---- Applying

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a short generator with a 64-bit state.
uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// Approximately normal, mean 0, standard deviation kOne: the sum of twelve uniform numbers has a
// standard deviation of one range and is as normal as 8 bits can tell.
int64_t NextNoise(uint64_t& state) {
  int64_t sum = -6 * (kOne - 1);
  for (int i = 0; i < 3; ++i) {
    const uint64_t random = NextRandom(state);
    for (int shift = 0; shift < 64; shift += 16) {
      sum += static_cast<int64_t>((random >> shift) & 0xFFFF);
    }
  }
  return sum;
}

void Darken(int64_t gain, int64_t noise, std::string_view name, images::Image& image) {
  uint64_t state = std::stoull(Sha256(name).substr(0, 16), nullptr, 16);
  for (uint8_t& value : image.pixels) {
    const int64_t scaled = value * gain + NextNoise(state) * noise / kOne;
    value = static_cast<uint8_t>(std::clamp<int64_t>((scaled + kOne / 2) >> 16, 0, 255));
  }
}

// Places in the pixels of an image; those beyond an edge are on it.
size_t At(const images::Image& image, int x, int y, int channel) {
  const int column = std::clamp(x, 0, image.width - 1);
  const int row = std::clamp(y, 0, image.height - 1);
  return static_cast<size_t>((row * image.width + column) * image.channels + channel);
}

images::Image Shift(int dx, int dy, const images::Image& image) {
  images::Image out = images::Blank(image.width, image.height, image.channels);
  const auto pixel = static_cast<size_t>(image.channels);
  const int first = std::clamp(dx, 0, image.width);               // columns that are wholly inside
  const int last = std::clamp(image.width + dx, 0, image.width);  // [first, last)
  for (int y = 0; y < image.height; ++y) {
    uint8_t* const to = &out.pixels[At(image, 0, y, 0)];
    const auto copy = [&](int x, int from, int columns) {
      std::copy_n(&image.pixels[At(image, from, y - dy, 0)], static_cast<size_t>(columns) * pixel,
                  to + static_cast<size_t>(x) * pixel);
    };
    for (int x = 0; x < first; ++x) copy(x, 0, 1);
    if (first < last) copy(first, first - dx, last - first);
    for (int x = last; x < image.width; ++x) copy(x, image.width - 1, 1);
  }
  return out;
}

// First along the rows, then along the columns, and rounded once.
void Blur(const std::vector<uint32_t>& weights, images::Image& image) {
  const auto reach = static_cast<int>(weights.size()) - 1;
  const auto weight = [&](int i) { return weights[static_cast<size_t>(std::abs(i))]; };
  uint64_t all = 0;
  for (int i = -reach; i <= reach; ++i) all += weight(i);

  const size_t row_values = image.RowBytes();
  std::vector<uint32_t> along(image.pixels.size());
  for (int i = -reach; i <= reach; ++i) {
    const images::Image moved = Shift(-i, 0, image);
    for (size_t k = 0; k < along.size(); ++k) along[k] += weight(i) * moved.pixels[k];
  }
  std::vector<uint64_t> sums(row_values);
  for (int y = 0; y < image.height; ++y) {
    std::fill(sums.begin(), sums.end(), all * all / 2);
    for (int i = -reach; i <= reach; ++i) {
      const size_t row = At(image, 0, y + i, 0);
      for (size_t k = 0; k < row_values; ++k) sums[k] += uint64_t{weight(i)} * along[row + k];
    }
    const size_t row = At(image, 0, y, 0);
    for (size_t k = 0; k < row_values; ++k) {
      image.pixels[row + k] = static_cast<uint8_t>(sums[k] / (all * all));
    }
  }
}

}  // namespace

Result<Transform> ParseTransform(const std::string& text) {
  if (text == "none") return Transform();
  if (text.size() > kMaxText) {
    return Invalid("a transform has at most " + std::to_string(kMaxText) + " characters");
  }
  std::vector<std::string> names = {"none"};
  std::vector<std::string> examples = {"none"};
  for (const Form& form : Forms()) {
    names.push_back(form.name);
    examples.push_back(form.example);
    if (text == form.name) return Invalid(form.name + " takes numbers, like " + form.example);
  }
  const std::optional<Call> call = ReadCall(text);
  if (!call) {
    const bool cut = text.find('(') != std::string::npos && text.find(')') == std::string::npos;
    return Invalid("'" + text + "' is not a transform" +
                   (cut ? "; inside { } or [ ] a comma ends the text: put quotes around it"
                        : slices::Suggest(text, examples)));
  }
  const auto form = std::find_if(Forms().begin(), Forms().end(),
                                 [&](const Form& known) { return known.name == call->name; });
  if (form == Forms().end()) {
    return Invalid("unknown transform '" + call->name + "'" + slices::Suggest(call->name, names));
  }
  if (call->numbers.size() != form->numbers.size()) {
    return Invalid(form->name + " takes " +
                   (form->numbers.size() == 1 ? "one number" : "two numbers") + ", like " +
                   form->example);
  }
  Transform transform;
  transform.text = call->ToString();
  transform.kind = form->kind;
  transform.first = BF_TRY(ReadNumber(call->numbers[0], form->numbers[0], form->name));
  if (call->numbers.size() > 1) {
    transform.second = BF_TRY(ReadNumber(call->numbers[1], form->numbers[1], form->name));
  }
  const int64_t idle = form->kind == Kind::kDarken || form->kind == Kind::kGamma ? kOne : 0;
  if (transform.first == idle && transform.second == 0) {
    return Invalid(transform.text + " changes nothing");
  }
  if (form->kind == Kind::kGamma) transform.table = GammaTable(transform.first);
  if (form->kind == Kind::kBlur) transform.table = BlurTable(transform.first);
  return transform;
}

images::Image Apply(const Transform& transform, std::string_view name, images::Image image) {
  const auto whole = [](int64_t number) { return static_cast<int>(number / kOne); };
  switch (transform.kind) {
    case Kind::kNone:
      break;
    case Kind::kDarken:
      Darken(transform.first, transform.second, name, image);
      break;
    case Kind::kGamma:
      for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(transform.table[value]);
      break;
    case Kind::kShift:
      return Shift(whole(transform.first), whole(transform.second), image);
    case Kind::kBlur:
      Blur(transform.table, image);
      break;
    case Kind::kNoise:
      Darken(kOne, transform.first, name, image);
      break;
    case Kind::kJpeg:
      return *images::Decode(images::EncodeJpeg(image, whole(transform.first)));
  }
  return image;
}

std::vector<uint8_t> Apply(const Transform& transform, const snapshot::Snapshot& data, size_t row) {
  const auto pixels = data.Image(row);
  return Apply(transform, data.rows[row].name,
               {data.width, data.height, data.channels, {pixels.begin(), pixels.end()}})
      .pixels;
}

}  // namespace bitfoundry::verdicts
