#include "packed/format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "packed/crc32.h"

namespace bitfoundry::packed {
namespace {

// Names and numbers are those of docs/artefact_format.md.
constexpr std::array<uint8_t, 4> kMagic = {'B', 'F', 'N', 'N'};
constexpr uint32_t kMajor = 1;
constexpr uint32_t kMinor = 0;
constexpr size_t kAlign = 16;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kSectionHeaderBytes = 16;

enum Section : uint32_t {
  kInput = 1,
  kStem = 16,
  kBinaryConv = 17,
  kMaxPool = 18,
  kGlobalSum = 19,
  kDense = 20,
};

Status Bad(const char* reason, const std::string& message) {
  return Status(Code::kInvalidArgument, reason, message);
}

constexpr size_t Aligned(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// ---- Writing

class Writer {
 public:
  void U32(uint64_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<uint8_t>(value >> shift & 0xFF));
    }
  }
  void I32(int32_t value) { U32(static_cast<uint32_t>(value)); }
  void Align() { bytes.resize(Aligned(bytes.size())); }

  std::vector<uint8_t> bytes;
};

struct OpWriter {
  Writer& out;

  uint32_t operator()(const Stem& op) {
    for (const uint32_t v : {op.channels, op.kernel, op.stride, 0U}) out.U32(v);
    for (const int32_t t : op.thresholds) out.I32(t);
    for (const int8_t w : op.weights) out.bytes.push_back(static_cast<uint8_t>(w));
    return kStem;
  }
  uint32_t operator()(const BinaryConv& op) {
    for (const uint32_t v : {op.channels, op.kernel, op.stride, 0U}) out.U32(v);
    for (const int32_t t : op.thresholds) out.I32(t);
    for (const uint32_t w : op.weights) out.U32(w);
    return kBinaryConv;
  }
  uint32_t operator()(const MaxPool&) { return kMaxPool; }
  uint32_t operator()(const GlobalSum&) { return kGlobalSum; }
  uint32_t operator()(const Dense& op) {
    for (const uint32_t v : {op.classes, 0U, 0U, 0U}) out.U32(v);
    for (const int32_t b : op.biases) out.I32(b);
    out.Align();
    for (const int8_t w : op.weights) out.bytes.push_back(static_cast<uint8_t>(w));
    return kDense;
  }
};

void AppendSection(uint32_t type, const Writer& payload, Writer& file) {
  Writer head;
  head.U32(type);
  head.U32(payload.bytes.size());
  const uint32_t crc = Crc32(payload.bytes, Crc32(head.bytes));
  file.bytes.insert(file.bytes.end(), head.bytes.begin(), head.bytes.end());
  file.U32(crc);
  file.U32(0);
  file.bytes.insert(file.bytes.end(), payload.bytes.begin(), payload.bytes.end());
  file.Align();
}

// ---- Reading

// Takes integers off a payload. Past its end it gives zeros and `ok` turns false.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  uint32_t U32() {
    const std::span<const uint8_t> b = Take(4);
    if (b.empty()) return 0;
    return b[0] | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
  }
  std::span<const uint8_t> Take(uint64_t n) {
    if (n > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    at_ += n;
    return bytes_.subspan(at_ - n, n);
  }
  void Zeros(size_t n) {
    for (const uint8_t byte : Take(n)) ok_ = ok_ && byte == 0;
  }
  void Align() { Zeros(std::min(Aligned(at_), bytes_.size()) - at_); }

  // Arrays are taken whole or not at all, so a length that lies allocates nothing.
  std::vector<uint32_t> Words(uint64_t count) {
    Reader words(Take(count * 4));
    std::vector<uint32_t> values(words.bytes_.size() / 4);
    for (uint32_t& value : values) value = words.U32();
    return values;
  }
  std::vector<int32_t> Integers(uint64_t count) {
    const std::vector<uint32_t> words = Words(count);
    return {words.begin(), words.end()};
  }
  std::vector<int8_t> Bytes(uint64_t count) {
    const std::span<const uint8_t> bytes = Take(count);
    return {bytes.begin(), bytes.end()};
  }

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && at_ == bytes_.size(); }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// The weights are what the section holds beyond its fixed part and its thresholds; whether that is
// as many as the shape asks for, Describe() checks.
std::optional<Op> ReadOp(uint32_t type, std::span<const uint8_t> payload) {
  Reader in(payload);
  switch (type) {
    case kStem: {
      Stem op{in.U32(), in.U32(), in.U32(), {}, {}};
      in.Zeros(4);
      op.thresholds = in.Integers(op.channels);
      if (!in.ok()) return std::nullopt;
      op.weights = in.Bytes(payload.size() - 16 - 4 * op.thresholds.size());
      return op;
    }
    case kBinaryConv: {
      BinaryConv op{in.U32(), in.U32(), in.U32(), {}, {}};
      in.Zeros(4);
      op.thresholds = in.Integers(op.channels);
      if (!in.ok()) return std::nullopt;
      op.weights = in.Words((payload.size() - 16 - 4 * op.thresholds.size()) / 4);
      if (!in.at_end()) return std::nullopt;
      return op;
    }
    case kMaxPool:
      return in.at_end() ? std::optional<Op>(MaxPool{}) : std::nullopt;
    case kGlobalSum:
      return in.at_end() ? std::optional<Op>(GlobalSum{}) : std::nullopt;
    default: {
      Dense op{in.U32(), {}, {}};
      in.Zeros(12);
      op.biases = in.Integers(op.classes);
      in.Align();
      if (!in.ok()) return std::nullopt;
      op.weights = in.Bytes(payload.size() - Aligned(16 + 4 * op.biases.size()));
      return in.at_end() ? std::optional<Op>(std::move(op)) : std::nullopt;
    }
  }
}

bool IsOp(uint32_t type) { return type >= kStem && type <= kDense; }

// Reads the sections into a network; the header is done.
class SectionReader {
 public:
  explicit SectionReader(std::span<const uint8_t> file) : file_(file) {}

  Result<Network> Read() {
    size_t at = kHeaderBytes;
    while (at < file_.size()) at = BF_TRY(ReadSection(at));
    if (!seen_input_) return Bad("BAD_SECTION", "no input section");
    if (network_.ops.size() != op_count_) {
      return Bad("BAD_SECTION", std::to_string(network_.ops.size()) +
                                    " operations that are known here, but the network has " +
                                    std::to_string(op_count_));
    }
    BF_TRY(Describe(network_));
    return std::move(network_);
  }

 private:
  // Returns where the next section begins.
  Result<size_t> ReadSection(size_t at) {
    const std::string where = "section at byte " + std::to_string(at);
    if (file_.size() - at < kSectionHeaderBytes) return Bad("TRUNCATED", where + ": its header");
    Reader head(file_.subspan(at, kSectionHeaderBytes));
    const uint32_t type = head.U32();
    const uint32_t length = head.U32();
    const uint32_t crc = head.U32();
    const size_t rest = file_.size() - at - kSectionHeaderBytes;
    if (Aligned(length) > rest) {
      return Bad("TRUNCATED", where + ": " + std::to_string(length) + " bytes announced, " +
                                  std::to_string(rest) + " left in the file");
    }
    const auto payload = file_.subspan(at + kSectionHeaderBytes, length);
    if (Crc32(payload, Crc32(file_.subspan(at, 8))) != crc) return Bad("BAD_CRC", where);
    const auto padding = file_.subspan(at + kSectionHeaderBytes + length, Aligned(length) - length);
    head.Zeros(4);
    if (!head.ok() ||
        std::any_of(padding.begin(), padding.end(), [](uint8_t b) { return b != 0; })) {
      return Bad("BAD_PADDING", where);
    }
    if (const Status status = Take(type, payload); !status.ok()) return status.In(where);
    return at + kSectionHeaderBytes + Aligned(length);
  }

  Status Take(uint32_t type, std::span<const uint8_t> payload) {
    if (type == kInput) return TakeInput(payload);
    if (!IsOp(type)) return Status();  // of a later minor version
    if (!seen_input_) return Bad("BAD_SECTION", "an operation before the input section");
    if (network_.ops.size() == kMaxOps) return Bad("TOO_MANY_OPS", "more than 256");
    std::optional<Op> op = ReadOp(type, payload);
    if (!op) return Bad("BAD_SECTION", "malformed operation of type " + std::to_string(type));
    network_.ops.push_back(*std::move(op));
    return Status();
  }

  Status TakeInput(std::span<const uint8_t> payload) {
    if (seen_input_) return Bad("BAD_SECTION", "a second input section");
    seen_input_ = true;
    Reader in(payload);
    network_.input = {in.U32(), in.U32(), in.U32()};
    network_.mean = static_cast<int32_t>(in.U32());
    op_count_ = in.U32();
    in.Zeros(12);
    if (!in.at_end()) return Bad("BAD_SECTION", "malformed input section");
    return Status();
  }

  std::span<const uint8_t> file_;
  Network network_;
  size_t op_count_ = 0;
  bool seen_input_ = false;
};

}  // namespace

Result<Network> Parse(std::span<const uint8_t> bytes) {
  if (bytes.size() > kMaxModelBytes) {
    return Bad("TOO_LARGE", std::to_string(bytes.size()) + " bytes; at most 4 MiB");
  }
  if (bytes.size() < kHeaderBytes) return Bad("TRUNCATED", "the file ends inside its header");
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    return Bad("BAD_MAGIC", "this is not a model.bnn");
  }
  Reader head(bytes.subspan(4));
  const uint32_t version = head.U32();
  const uint32_t length = head.U32();
  if (Crc32(bytes.first(12)) != head.U32()) return Bad("BAD_CRC", "the header's");
  if ((version & 0xFFFF) != kMajor) {
    return Bad("UNKNOWN_VERSION", "major version " + std::to_string(version & 0xFFFF) +
                                      "; this reader knows " + std::to_string(kMajor));
  }
  if (length != bytes.size()) {
    return Bad("TRUNCATED", "the header says " + std::to_string(length) + " bytes, there are " +
                                std::to_string(bytes.size()));
  }
  return SectionReader(bytes).Read();
}

Result<std::vector<uint8_t>> Serialize(const Network& network) {
  BF_TRY(Describe(network));
  Writer sections;
  Writer input;
  for (const uint32_t v : {network.input.height, network.input.width, network.input.channels,
                           static_cast<uint32_t>(network.mean),
                           static_cast<uint32_t>(network.ops.size()), 0U, 0U, 0U}) {
    input.U32(v);
  }
  AppendSection(kInput, input, sections);
  for (const Op& op : network.ops) {
    Writer payload;
    const uint32_t type = std::visit(OpWriter{payload}, op);
    AppendSection(type, payload, sections);
  }

  Writer file;
  file.bytes.assign(kMagic.begin(), kMagic.end());
  file.U32(kMajor | kMinor << 16);
  file.U32(kHeaderBytes + sections.bytes.size());
  file.U32(Crc32(file.bytes));
  file.bytes.insert(file.bytes.end(), sections.bytes.begin(), sections.bytes.end());
  if (file.bytes.size() > kMaxModelBytes) {
    return Bad("TOO_LARGE", std::to_string(file.bytes.size()) + " bytes; at most 4 MiB");
  }
  return std::move(file.bytes);
}

}  // namespace bitfoundry::packed
