#include "slices/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "slices/nearest.h"

namespace bitfoundry::slices {
namespace {

Status Invalid(const Origin& at, const std::string& message) {
  return Status(Code::kInvalidArgument, "SLICE_INVALID", at.ToString() + ": " + message);
}

Truth ToTruth(bool value) { return value ? Truth::kTrue : Truth::kFalse; }

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
    if (IsLetter(c))
      return Take(Token::kWord, [](char d) { return IsLetter(d) || IsDigit(d) || d == '.'; });
    if (c == '"' || c == '\'') return Text(c);
    if (IsDigit(c) || c == '-' || c == '.') return Number();
    for (const std::string_view sign :
         {"&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ","}) {
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
    const auto* end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    token.text = std::string(rest_.begin(), end);
    Advance(token.text.size());
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
      node.constant = ToTruth(word.text == "true");
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
    const bool number = node.source == Source::kAttribute;
    if (compare.kind == Token::kWord && compare.text == "in") {
      ++next_;
      BF_TRY(Expect("["));
      do {
        BF_TRY(Literal(node));
      } while (Accept(","));
      BF_TRY(Expect("]"));
      node.kind = Kind::kOneOf;
      return Add(std::move(node));
    }
    const bool equality = compare.Is("==") || compare.Is("!=");
    const bool order = compare.Is("<") || compare.Is("<=") || compare.Is(">") || compare.Is(">=");
    if (!equality && !order) {
      return Invalid(compare.at, std::string("expected ") +
                                     (number ? "==, !=, <, <=, >, >= or in" : "==, != or in") +
                                     ", found " + compare.Name() + Hint());
    }
    if (order && !number) {
      return Invalid(compare.at,
                     "text has no order: '" + compare.text + "' is for attr.*; use ==, != or in");
    }
    ++next_;
    BF_TRY(Literal(node));
    // a != b is !(a == b), a > b is !(a <= b), a >= b is !(a < b): unknown stays unknown.
    node.kind = equality                              ? Kind::kOneOf
                : compare.Is("<") || compare.Is(">=") ? Kind::kBelow
                                                      : Kind::kAtMost;
    const bool negated = compare.Is("!=") || compare.Is(">") || compare.Is(">=");
    const size_t place = Add(std::move(node));
    return negated ? Not(place) : place;
  }

  Status Literal(Node& node) {
    const Token value = Peek();
    const bool number = node.source == Source::kAttribute;
    if (value.kind != (number ? Token::kNumber : Token::kText)) {
      return Invalid(value.at, std::string("expected a ") +
                                   (number ? "number: attributes are numbers"
                                           : "text in quotes: this field is text") +
                                   "; found " + value.Name());
    }
    ++next_;
    if (number) node.numbers.push_back(value.number);
    if (!number) node.texts.push_back(value.text);
    return Status();
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
  return Status();
}

Truth Expression::Evaluate(const Row& row, size_t place) const {
  const Node& node = nodes_[place];
  switch (node.kind) {
    case Kind::kConstant:
      return node.constant;
    case Kind::kNot:
      return static_cast<Truth>(2 - static_cast<int>(Evaluate(row, node.left)));
    case Kind::kAnd:
      return std::min(Evaluate(row, node.left), Evaluate(row, node.right));
    case Kind::kOr:
      return std::max(Evaluate(row, node.left), Evaluate(row, node.right));
    case Kind::kHasTag:
      return ToTruth(row.tags->contains(node.name));
    default:
      break;
  }
  if (node.source == Source::kAttribute) {
    const auto found = row.attributes->find(node.name);
    if (found == row.attributes->end() || std::isnan(found->second)) return Truth::kUnknown;
    const double value = found->second;
    if (node.kind == Kind::kBelow) return ToTruth(value < node.numbers[0]);
    if (node.kind == Kind::kAtMost) return ToTruth(value <= node.numbers[0]);
    return ToTruth(std::find(node.numbers.begin(), node.numbers.end(), value) !=
                   node.numbers.end());
  }
  const std::string* value = row.label;
  if (node.source == Source::kPrediction) value = row.prediction;
  if (node.source == Source::kTag || node.source == Source::kMeta) {
    const auto& facts = node.source == Source::kTag ? *row.tags : *row.meta;
    const auto found = facts.find(node.name);
    value = found == facts.end() ? nullptr : &found->second;
  }
  if (value == nullptr) return Truth::kUnknown;
  return ToTruth(std::find(node.texts.begin(), node.texts.end(), *value) != node.texts.end());
}

}  // namespace bitfoundry::slices
