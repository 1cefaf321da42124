#include "slices/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "slices/nearest.h"

namespace bitfoundry::slices {
namespace {

Status Invalid(const Origin& at, const std::string& message) {
  return Status(Code::kInvalidArgument, "SLICE_INVALID", at.ToString() + ": " + message);
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

struct Token {
  enum Kind { kEnd, kWord, kText, kNumber, kSign };
  Kind kind = kEnd;
  std::string text;  // of a word, sign or number as written; of a text without its quotes
  double number = 0;
  Origin at;

  bool Is(const char* sign) const { return kind == kSign && text == sign; }
  std::string Name() const {
    if (kind == kEnd) return "the end";
    return kind == kText ? "the text \"" + text + "\"" : "'" + text + "'";
  }
};

// Cuts a text into tokens.
class Lexer {
 public:
  Lexer(std::string_view text, Origin origin) : rest_(text), at_(std::move(origin)) {}

  Result<std::vector<Token>> Run() {
    std::vector<Token> tokens;
    while (true) {
      while (!rest_.empty() && IsSpace(rest_.front())) Advance(1);
      Token token = BF_TRY(Next());
      tokens.push_back(std::move(token));
      if (tokens.back().kind == Token::kEnd) return tokens;
    }
  }

 private:
  Result<Token> Next() {
    Token token;
    token.at = at_;
    if (rest_.empty()) return token;
    const char c = rest_.front();
    if (IsLetter(c)) {
      return Take(Token::kWord, [](char d) { return IsLetter(d) || IsDigit(d) || d == '.'; });
    }
    if (c == '"' || c == '\'') return Text(c);
    const bool dots = rest_.starts_with("..");
    if ((IsDigit(c) || c == '-' || c == '.') && !dots) return Number();
    using Pair = std::pair<std::string_view, std::string_view>;
    for (const auto& [wrong, right] : {Pair{"===", "=="},
                                       {"!==", "!="},
                                       {">==", ">="},
                                       {"<==", "<="},
                                       {"=>", ">="},
                                       {"=<", "<="},
                                       {"<>", "!="}}) {
      if (!rest_.starts_with(wrong)) continue;
      return Invalid(at_, "write " + std::string(right) + ", not " + std::string(wrong));
    }
    for (const std::string_view sign : {"..<", "..", "&&", "||", "==", "!=", "<=", ">=", "<", ">",
                                        "!", "(", ")", "[", "]", ","}) {
      if (!rest_.starts_with(sign)) continue;
      token.kind = Token::kSign;
      token.text = sign;
      Advance(sign.size());
      return token;
    }
    if (c == '&' || c == '|' || c == '=') {
      return Invalid(at_, std::string("write ") + c + c + ", not a single " + c);
    }
    return Invalid(at_, std::string("'") + c + "' is not part of the language");
  }

  template <typename Belongs>
  Token Take(Token::Kind kind, const Belongs& belongs) {
    Token token;
    token.kind = kind;
    token.at = at_;
    size_t size = 0;
    while (size < rest_.size() && belongs(rest_[size]) && rest_.substr(size, 2) != "..") ++size;
    token.text = rest_.substr(0, size);
    Advance(size);
    return token;
  }

  Result<Token> Text(char quote) {
    Token token;
    token.kind = Token::kText;
    token.at = at_;
    Advance(1);
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\' && rest_.size() > 1) Advance(1);  // \" and \\ stand for themselves
      token.text += rest_.front();
      Advance(1);
    }
    if (rest_.empty()) return Invalid(token.at, "a text begins here and does not end");
    Advance(1);
    return token;
  }

  Result<Token> Number() {
    Token token = Take(Token::kNumber, [](char d) {
      return IsDigit(d) || d == '.' || d == '-' || d == '+' || d == 'e' || d == 'E';
    });
    const char* end = token.text.data() + token.text.size();
    const auto [stop, error] = std::from_chars(token.text.data(), end, token.number);
    if (error != std::errc() || stop != end || !std::isfinite(token.number)) {
      return Invalid(token.at, "'" + token.text + "' is not a number");
    }
    return token;
  }

  void Advance(size_t bytes) {
    for (const char c : rest_.substr(0, bytes)) {
      const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;  // UTF-8
      if (c == '\n') {
        ++at_.line;
        at_.column = 1;
      } else if (!continues) {
        ++at_.column;
      }
    }
    rest_.remove_prefix(bytes);
  }

  std::string_view rest_;
  Origin at_;
};

}  // namespace

std::string Origin::ToString() const {
  return (file.empty() ? "" : file + ":") + std::to_string(line) + ":" + std::to_string(column);
}

// Recursive descent, one function for each rule of the grammar; each returns its node's place.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Expression> Run(const std::string& text) {
    expression_.text_ = text;
    expression_.root_ = BF_TRY(Any());
    if (Peek().kind != Token::kEnd) {
      return Invalid(Peek().at, "expected && or || or the end, found " + Peek().Name() + Hint());
    }
    return std::move(expression_);
  }

 private:
  using Kind = Expression::Kind;
  using Node = Expression::Node;
  using Number = Expression::Number;
  using Range = Expression::Range;
  using Source = Expression::Source;

  Result<size_t> Any() {
    size_t left = BF_TRY(All());
    while (Accept("||")) {
      const size_t right = BF_TRY(All());
      left = Join(Kind::kOr, left, right);
    }
    return left;
  }

  Result<size_t> All() {
    size_t left = BF_TRY(Term());
    while (Accept("&&")) {
      const size_t right = BF_TRY(Term());
      left = Join(Kind::kAnd, left, right);
    }
    return left;
  }

  Result<size_t> Term() {
    if (nesting_ >= kMaxNesting) {
      return Invalid(Peek().at, "nested more than " + std::to_string(kMaxNesting) + " deep");
    }
    ++nesting_;
    const size_t term = BF_TRY(Unnested());
    --nesting_;
    return term;
  }

  Result<size_t> Unnested() {
    if (Accept("!")) {
      const size_t term = BF_TRY(Term());
      return Not(term);
    }
    if (Accept("(")) {
      const size_t inner = BF_TRY(Any());
      BF_TRY(Expect(")"));
      return inner;
    }
    const Token word = Peek();
    if (word.kind != Token::kWord) {
      return Invalid(word.at,
                     "expected a condition, like label == \"person\" or tag.pose == "
                     "\"back\", found " +
                         word.Name());
    }
    ++next_;
    if (word.text == "true" || word.text == "false") {
      Node node;
      node.constant = word.text == "true";
      return Add(std::move(node));
    }
    if (word.text == "has_tag") return HasTag();
    Node field = BF_TRY(Field(word));
    return Comparison(std::move(field));
  }

  Result<size_t> HasTag() {
    BF_TRY(Expect("("));
    const Token tag = Peek();
    if (tag.kind != Token::kText) {
      return Invalid(tag.at, "expected a tag's name in quotes, found " + tag.Name());
    }
    ++next_;
    BF_TRY(Expect(")"));
    Node node;
    node.kind = Kind::kHasTag;
    node.source = Source::kTag;
    node.name = tag.text;
    node.origin = tag.at;
    return Add(std::move(node));
  }

  Result<Node> Field(const Token& word) {
    Node node;
    node.origin = word.at;
    const size_t dot = word.text.find('.');
    const std::string root = word.text.substr(0, dot);
    if (dot != std::string::npos) node.name = word.text.substr(dot + 1);

    const std::vector<std::string> roots = {"label", "prediction", "tag", "meta", "attr"};
    const auto found = std::find(roots.begin(), roots.end(), root);
    if (found == roots.end()) {
      if (root == "and" || root == "or" || root == "not") return Invalid(word.at, Operators());
      std::vector<std::string> known = roots;
      known.insert(known.end(), {"has_tag", "true", "false"});
      return Invalid(word.at, "unknown name '" + root + "'" + Suggest(root, known));
    }
    node.source = static_cast<Source>(found - roots.begin());
    const bool named = node.source >= Source::kTag;
    if (named && node.name.empty()) {
      return Invalid(word.at, "expected a name after '" + root + ".', like " + root + ".motion");
    }
    if (!named && !node.name.empty()) {
      return Invalid(word.at,
                     "'" + root + "' has no parts; write " + root + " == \"" + node.name + "\"");
    }
    return node;
  }

  Result<size_t> Comparison(Node node) {
    const Token compare = Peek();
    const bool equality = compare.Is("==") || compare.Is("!=");
    const bool order = compare.Is("<") || compare.Is("<=") || compare.Is(">") || compare.Is(">=");
    const bool in = compare.kind == Token::kWord && compare.text == "in";
    if (!equality && !order && !in) {
      return Invalid(compare.at,
                     std::string("expected ") +
                         (IsText(node) ? "==, != or in" : "==, !=, <, <=, >, >= or in") +
                         ", found " + compare.Name() + Hint());
    }
    ++next_;
    if (order && IsText(node)) {
      return Invalid(compare.at, "text has no order: '" + compare.text +
                                     "' is for numbers; use ==, != or in" + AsNumber(node));
    }
    if (equality && IsOther(node.source, Peek())) {
      ++next_;
      node.kind = Kind::kAgree;
    } else if (IsText(node) || (!order && !IsNumber(node) && IsTextNext())) {
      BF_TRY(in ? Texts(node) : Text(node));
      node.kind = Kind::kOneOf;
    } else {
      BF_TRY(in ? Ranges(node) : Bound(node, compare));
      node.kind = Kind::kWithin;
    }
    // a != b is !(a == b), a > b is !(a <= b), a >= b is !(a < b): unknown stays unknown.
    const bool negated = compare.Is("!=") || compare.Is(">") || compare.Is(">=");
    const size_t place = Add(std::move(node));
    return negated ? Not(place) : place;
  }

  // What meta.* is, unless it is one of these, is decided by what it is compared with.
  static bool IsNumber(const Node& node) {
    return node.source == Source::kAttribute ||
           (node.source == Source::kMeta && node.name == "position");
  }
  static bool IsText(const Node& node) {
    return node.source <= Source::kTag ||
           (node.source == Source::kMeta && (node.name == "camera" || node.name == "session"));
  }
  bool IsTextNext() const { return tokens_[next_ + (Peek().Is("[") ? 1 : 0)].kind == Token::kText; }

  static bool IsOther(Source source, const Token& value) {
    return value.kind == Token::kWord &&
           ((source == Source::kLabel && value.text == "prediction") ||
            (source == Source::kPrediction && value.text == "label"));
  }

  static std::string AsNumber(const Node& node) {
    return node.source == Source::kTag ? "; as a number it is meta." + node.name : "";
  }

  Status Texts(Node& node) {
    BF_TRY(Expect("["));
    do {
      BF_TRY(Text(node));
    } while (Accept(","));
    return Expect("]");
  }

  Status Text(Node& node) {
    const Token value = Peek();
    if (value.kind != Token::kText) {
      return Invalid(value.at, "expected a text in quotes: this field is text; found " +
                                   value.Name() +
                                   (value.kind == Token::kNumber ? AsNumber(node) : ""));
    }
    ++next_;
    node.texts.push_back(value.text);
    return Status();
  }

  Status Bound(Node& node, const Token& compare) {
    Range range;
    range.low = BF_TRY(NumberNext());
    range.high = range.low;
    if (!compare.Is("==") && !compare.Is("!=")) {
      range.low.value = -std::numeric_limits<double>::infinity();
      range.low.is_quantile = false;
    }
    range.below_high = compare.Is("<") || compare.Is(">=");
    node.ranges.push_back(range);
    return Status();
  }

  Status Ranges(Node& node) {
    if (!Accept("[")) return RangeNext(node, /*one_number=*/false);
    do {
      BF_TRY(RangeNext(node, /*one_number=*/true));
    } while (Accept(","));
    return Expect("]");
  }

  Status RangeNext(Node& node, bool one_number) {
    const Origin at = Peek().at;
    Range range;
    range.low = BF_TRY(NumberNext());
    range.high = range.low;
    range.below_high = Accept("..<");
    if (range.below_high || Accept("..")) {
      range.high = BF_TRY(NumberNext());
    } else if (!one_number) {
      return Invalid(Peek().at,
                     "expected a range like 2..7 (with 7) or 2..<7 (without), or a set "
                     "like [2, 7], found " +
                         Peek().Name());
    }
    const double low = range.low.value;
    const double high = range.high.value;
    if (range.low.is_quantile == range.high.is_quantile &&
        (low > high || (range.below_high && low == high))) {
      return Invalid(at, "this range is empty");
    }
    node.ranges.push_back(range);
    return Status();
  }

  Result<Number> NumberNext() {
    const Token value = Peek();
    if (value.kind == Token::kNumber) {
      ++next_;
      return Number{value.number};
    }
    if (value.kind != Token::kWord || value.text != "quantile") {
      const bool near = value.kind == Token::kWord && !Nearest(value.text, {"quantile"}).empty();
      return Invalid(value.at, "expected a number: this field is a number; found " + value.Name() +
                                   (near ? "; did you mean 'quantile'?" : ""));
    }
    ++next_;
    BF_TRY(Expect("("));
    const Token share = Peek();
    if (share.kind != Token::kNumber || !(share.number >= 0 && share.number <= 1)) {
      return Invalid(
          share.at, "expected a share between 0 and 1, like quantile(0.05), found " + share.Name());
    }
    ++next_;
    BF_TRY(Expect(")"));
    return Number{share.number, true};
  }

  const Token& Peek() const { return tokens_[next_]; }

  bool Accept(const char* sign) {
    const bool found = Peek().Is(sign);
    if (found) ++next_;
    return found;
  }

  Status Expect(const char* sign) {
    if (Accept(sign)) return Status();
    return Invalid(Peek().at,
                   std::string("expected ") + sign + ", found " + Peek().Name() + Hint());
  }

  // What people type who think of another language.
  std::string Hint() const {
    const std::string& word = Peek().text;
    const bool spelt =
        Peek().kind == Token::kWord && (word == "and" || word == "or" || word == "not");
    return spelt ? "; " + Operators() : "";
  }
  static std::string Operators() { return "write && for and, || for or, ! for not"; }

  size_t Add(Node node) {
    expression_.nodes_.push_back(std::move(node));
    return expression_.nodes_.size() - 1;
  }
  size_t Not(size_t term) { return Join(Kind::kNot, term, term); }
  size_t Join(Kind kind, size_t left, size_t right) {
    Node node;
    node.kind = kind;
    node.left = left;
    node.right = right;
    return Add(std::move(node));
  }

  const std::vector<Token> tokens_;
  size_t next_ = 0;
  int nesting_ = 0;
  Expression expression_;
};

Result<Expression> Expression::Parse(const std::string& text, const Origin& origin) {
  if (text.size() > kMaxExpressionBytes) {
    return Invalid(origin, "longer than " + std::to_string(kMaxExpressionBytes) + " bytes");
  }
  std::vector<Token> tokens = BF_TRY(Lexer(text, origin).Run());
  return Parser(std::move(tokens)).Run(text);
}

bool Expression::UsesPrediction() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [](const Node& node) {
    return node.kind == Kind::kAgree ||
           (node.kind > Kind::kAgree && node.source == Source::kPrediction);
  });
}

namespace {

// Values that differ in digits alone, like names of cameras, are not mistyped.
std::string WithoutDigits(std::string text) {
  std::erase_if(text, IsDigit);
  return text;
}

// The value that was probably meant by one that no sample has; "" if none was.
std::string Misspelt(const std::string& text, const std::vector<std::string>& known) {
  const auto lower = [](std::string word) {
    for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return word;
  };
  for (const std::string& word : known) {
    if (lower(word) == lower(text)) return word;
  }
  const std::string near = Nearest(text, known);
  return WithoutDigits(near) == WithoutDigits(text) ? "" : near;  // "door2"
}

}  // namespace

std::vector<Expression::UnknownValue> Expression::UnknownValues(
    const Vocabulary& vocabulary) const {
  std::vector<UnknownValue> unknown;
  for (const Node& node : nodes_) {
    if (node.kind < Kind::kHasTag) continue;
    if (node.source != Source::kTag && node.source != Source::kMeta) continue;
    const auto known = vocabulary.texts.find(node.name);
    if (known == vocabulary.texts.end()) continue;
    for (const std::string& text : node.texts) {
      if (std::ranges::find(known->second, text) != known->second.end()) continue;
      unknown.push_back({node.origin, text, known->second});
    }
  }
  return unknown;
}

Status Expression::CheckValues(const Vocabulary& vocabulary) const {
  for (const UnknownValue& value : UnknownValues(vocabulary)) {
    return Invalid(value.origin,
                   "no sample has '" + value.text + "' there" + Suggest(value.text, value.known));
  }
  return Status();
}

Status Expression::Check(const Vocabulary& vocabulary) const {
  const auto check = [](const Origin& at, const char* what, const std::string& name,
                        const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return Status();
    return Invalid(
        at, std::string("no sample has the ") + what + " '" + name + "'" + Suggest(name, known));
  };
  for (const Node& node : nodes_) {
    if (node.kind < Kind::kHasTag) continue;
    const Origin& at = node.origin;
    switch (node.source) {
      case Source::kTag:
        BF_TRY(check(at, "tag", node.name, vocabulary.tags));
        break;
      case Source::kMeta:
        BF_TRY(check(at, "capture fact", node.name, vocabulary.meta));
        if (node.kind != Kind::kWithin) break;
        BF_TRY(check(at, "numeric capture fact", node.name, vocabulary.numbers));
        break;
      case Source::kAttribute:
        BF_TRY(check(at, "attribute", node.name, vocabulary.attributes));
        break;
      case Source::kLabel:
      case Source::kPrediction:
        for (const std::string& name : node.texts) {
          BF_TRY(check(at, "class", name, vocabulary.classes));
        }
    }
  }
  for (const UnknownValue& value : UnknownValues(vocabulary)) {
    const std::string meant = Misspelt(value.text, value.known);
    if (meant.empty()) continue;
    return Invalid(value.origin,
                   "no sample has '" + value.text + "' there; did you mean '" + meant + "'?");
  }
  return Status();
}

}  // namespace bitfoundry::slices
