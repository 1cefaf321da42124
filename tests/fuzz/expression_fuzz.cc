// Reads bytes as the expression of a slice, and evaluates it.
#include <cstdint>
#include <cstdlib>

#include "slices/expression.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitfoundry::slices;
  bitfoundry::snapshot::Snapshot rows;
  rows.classes = {"a", "b"};
  rows.rows = {{.class_index = 1, .tags = {{"t", "x"}}, .attributes = {{"u", 2}, {"v", 0.5}}},
               {.camera = "c", .position = 3, .tags = {{"t", "7"}}, .attributes = {{"u", -1}}}};
  static const Columns columns = Columns::Of(rows, std::vector<size_t>{0, 1});
  const auto expression = Expression::Parse({reinterpret_cast<const char*>(data), size});
  if (!expression.ok()) {
    if (expression.status().reason() != "SLICE_INVALID") std::abort();
    return 0;
  }
  (void)expression->Check(columns.Names());
  const Selection selected = expression->Select(columns, std::vector<size_t>{1, 1});
  for (const uint64_t row : selected.Rows()) {
    if (row > 1) std::abort();
  }
  if (selected.Count() + selected.Unknown() > 2) std::abort();
  return 0;
}
