#include "packed/format.h"

#include <algorithm>
#include <array>

#include "packed/crc32.h"

namespace bitfoundry::packed {
namespace {

// Names and numbers are those of docs/artefact_format.md.
constexpr std::array<uint8_t, 4> kMagic = {'B', 'F', 'N', 'N'};
constexpr uint32_t kMajor = 2;
constexpr uint32_t kMinor = 0;
constexpr size_t kAlign = 16;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kSectionHeaderBytes = 16;
constexpr size_t kInputBytes = 32;

enum Section : uint32_t {
  kInput = 1,
  kStem = 16,
  kBinaryConv = 17,
  kMaxPool = 18,
  kGlobalSum = 19,
  kDense = 20,
  kBinaryDense = 21,
  kBinarize = 22,
  kAveragePool = 23,
};

// The first 32 bytes of every operation. What its kind does not have is 0.
struct Head {
  uint32_t input = 0;
  uint32_t channels = 0;
  uint32_t kernel = 0;
  uint32_t stride = 0;
  uint32_t shift = 0;
  uint32_t gives_ints = 0;
  uint32_t relu = 0;
  uint32_t add = 0;
};
constexpr std::array kHeadFields = {&Head::input, &Head::channels,   &Head::kernel, &Head::stride,
                                    &Head::shift, &Head::gives_ints, &Head::relu,   &Head::add};

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
  void Align() { bytes.resize(Aligned(bytes.size())); }

  std::vector<uint8_t> bytes;
};

// Writes an operation's payload: the head, then its arrays, each aligned.
class OpWriter {
 public:
  OpWriter(uint32_t input, Writer& out) : out_(out) { head_.input = input; }

  uint32_t operator()(const Stem& op) {
    WriteHead(op.channels, op.kernel, op.stride, op.output);
    Arrays(op.output);
    Bytes(op.weights);
    return kStem;
  }
  uint32_t operator()(const BinaryConv& op) {
    WriteHead(op.channels, op.kernel, op.stride, op.output);
    Arrays(op.output);
    Integers(op.weights);
    return kBinaryConv;
  }
  uint32_t operator()(const BinaryDense& op) {
    WriteHead(op.channels, 0, 0, op.output);
    Arrays(op.output);
    Integers(op.weights);
    return kBinaryDense;
  }
  uint32_t operator()(const Binarize& op) {
    WriteHead(static_cast<uint32_t>(op.thresholds.size()), 0, 0);
    Integers(op.thresholds);
    return kBinarize;
  }
  uint32_t operator()(const MaxPool& op) {
    WriteHead(0, op.kernel, op.stride);
    return kMaxPool;
  }
  uint32_t operator()(const AveragePool& op) {
    head_.shift = op.shift;
    WriteHead(0, op.kernel, op.stride);
    return kAveragePool;
  }
  uint32_t operator()(const GlobalSum& op) {
    head_.shift = op.shift;
    WriteHead(0, 0, 0);
    return kGlobalSum;
  }
  uint32_t operator()(const Dense& op) {
    WriteHead(op.classes, 0, 0);
    Integers(op.biases);
    Bytes(op.weights);
    return kDense;
  }

 private:
  void WriteHead(uint32_t channels, uint32_t kernel, uint32_t stride,
                 const Output& output = ToBits{}) {
    head_.channels = channels;
    head_.kernel = kernel;
    head_.stride = stride;
    if (const auto* ints = std::get_if<ToInts>(&output)) {
      head_.shift = ints->shift;
      head_.gives_ints = 1;
      head_.relu = ints->relu ? 1 : 0;
      head_.add = ints->add;
    }
    for (const auto field : kHeadFields) out_.U32(head_.*field);
  }
  void Arrays(const Output& output) {
    if (const auto* bits = std::get_if<ToBits>(&output)) return Integers(bits->thresholds);
    Integers(std::get<ToInts>(output).scales);
    Integers(std::get<ToInts>(output).biases);
  }
  template <typename T>
  void Integers(const std::vector<T>& values) {
    out_.Align();
    for (const T value : values) out_.U32(static_cast<uint32_t>(value));
  }
  void Bytes(const std::vector<int8_t>& values) {
    out_.Align();
    for (const int8_t value : values) out_.bytes.push_back(static_cast<uint8_t>(value));
  }

  Writer& out_;
  Head head_;
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

// Takes values off bytes. Past their end it gives zeros and empty arrays.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  uint32_t U32() {
    const std::span<const uint8_t> b = Take(4);
    if (b.empty()) return 0;
    return b[0] | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
  }
  // Taken whole or not at all, so a length that lies allocates nothing.
  std::vector<int32_t> Integers(uint64_t count) { return Words<int32_t>(TakeAligned(count * 4)); }
  // What is left.
  std::vector<uint32_t> RestAsWords() { return Words<uint32_t>(TakeAligned(left() / 4 * 4)); }
  std::vector<int8_t> RestAsBytes() {
    const std::span<const uint8_t> bytes = TakeAligned(left());
    return {bytes.begin(), bytes.end()};
  }

 private:
  size_t left() const { return bytes_.size() - std::min(Aligned(at_), bytes_.size()); }

  std::span<const uint8_t> Take(uint64_t n) {
    if (n > bytes_.size() - at_) return {};
    at_ += n;
    return bytes_.subspan(at_ - n, n);
  }
  std::span<const uint8_t> TakeAligned(uint64_t n) {
    at_ = std::min(Aligned(at_), bytes_.size());
    return Take(n);
  }
  template <typename T>
  static std::vector<T> Words(std::span<const uint8_t> bytes) {
    Reader in(bytes);
    std::vector<T> values(bytes.size() / 4);
    for (T& value : values) value = static_cast<T>(in.U32());
    return values;
  }

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

Output ReadOutput(const Head& head, Reader& in) {
  if (head.gives_ints == 0) return ToBits{in.Integers(head.channels)};
  ToInts ints{in.Integers(head.channels), {}, head.shift, head.relu != 0, head.add};
  ints.biases = in.Integers(head.channels);
  return ints;
}

Kind ReadKind(uint32_t type, const Head& head, Reader& in) {
  switch (type) {
    case kStem: {
      Stem op{head.channels, head.kernel, head.stride, {}, ReadOutput(head, in)};
      op.weights = in.RestAsBytes();
      return op;
    }
    case kBinaryConv: {
      BinaryConv op{head.channels, head.kernel, head.stride, {}, ReadOutput(head, in)};
      op.weights = in.RestAsWords();
      return op;
    }
    case kBinaryDense: {
      BinaryDense op{head.channels, {}, ReadOutput(head, in)};
      op.weights = in.RestAsWords();
      return op;
    }
    case kBinarize:
      return Binarize{in.Integers(head.channels)};
    case kMaxPool:
      return MaxPool{head.kernel, head.stride};
    case kAveragePool:
      return AveragePool{head.kernel, head.stride, head.shift};
    case kGlobalSum:
      return GlobalSum{head.shift};
    default: {
      Dense op{head.channels, {}, in.Integers(head.channels)};
      op.weights = in.RestAsBytes();
      return op;
    }
  }
}

// Reads one operation. The length of its last array follows from that of the payload; whether it
// is as long as the shapes ask for, Describe() checks.
//
// Errors: BAD_SECTION unless writing it again gives the same bytes: so a field that its kind does
// not have is 0, and so is all padding.
Result<Op> ReadOp(uint32_t type, std::span<const uint8_t> payload) {
  Reader in(payload);
  Head head;
  for (const auto field : kHeadFields) head.*field = in.U32();
  Op op{head.input, ReadKind(type, head, in)};
  Writer again;
  std::visit(OpWriter(op.input, again), op.kind);
  if (!std::ranges::equal(again.bytes, payload)) {
    return Bad("BAD_SECTION", "malformed operation of type " + std::to_string(type));
  }
  return op;
}

bool IsOp(uint32_t type) { return type >= kStem && type <= kAveragePool; }

bool AllZero(std::span<const uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](uint8_t b) { return b == 0; });
}

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
    if (head.U32() != 0 || !AllZero(padding)) return Bad("BAD_PADDING", where);
    if (const Status status = Take(type, payload); !status.ok()) return status.In(where);
    return at + kSectionHeaderBytes + Aligned(length);
  }

  Status Take(uint32_t type, std::span<const uint8_t> payload) {
    if (type == kInput) return TakeInput(payload);
    if (!IsOp(type)) return Status();  // of a later minor version
    if (!seen_input_) return Bad("BAD_SECTION", "an operation before the input section");
    if (network_.ops.size() == kMaxOps) return Bad("TOO_MANY_OPS", "more than 256");
    network_.ops.push_back(BF_TRY(ReadOp(type, payload)));
    return Status();
  }

  Status TakeInput(std::span<const uint8_t> payload) {
    if (seen_input_) return Bad("BAD_SECTION", "a second input section");
    seen_input_ = true;
    Reader in(payload);
    network_.input = {in.U32(), in.U32(), in.U32()};
    op_count_ = in.U32();
    uint32_t largest = 0;
    for (uint8_t& mean : network_.mean) {
      const uint32_t value = in.U32();
      mean = static_cast<uint8_t>(value);
      largest = std::max(largest, value);
    }
    if (largest > 255) return Bad("BAD_SHAPE", "a mean of " + std::to_string(largest));
    if (payload.size() != kInputBytes || in.U32() != 0) {
      return Bad("BAD_SECTION", "malformed input section");
    }
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
    return Bad(bytes.size() < length ? "TRUNCATED" : "TOO_LONG",
               "the header says " + std::to_string(length) + " bytes, there are " +
                   std::to_string(bytes.size()));
  }
  return SectionReader(bytes).Read();
}

Result<std::vector<uint8_t>> Serialize(const Network& network) {
  BF_TRY(Describe(network));
  Writer sections;
  Writer input;
  for (const size_t v :
       {size_t{network.input.height}, size_t{network.input.width}, size_t{network.input.channels},
        network.ops.size(), size_t{network.mean[0]}, size_t{network.mean[1]},
        size_t{network.mean[2]}, size_t{0}}) {
    input.U32(v);
  }
  AppendSection(kInput, input, sections);
  for (const Op& op : network.ops) {
    Writer payload;
    const uint32_t type = std::visit(OpWriter(op.input, payload), op.kind);
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
