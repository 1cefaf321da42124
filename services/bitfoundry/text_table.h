// Tables of plain text and of Markdown, and messages as JSON.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace bitfoundry::cli {

using Rows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell; two spaces between them.
std::string Align(const Rows& rows);

// Safe inside a cell of a Markdown table.
std::string MarkdownCell(const std::string& text);

// The first row is the head.
std::string MarkdownTable(const Rows& rows);

// A message as JSON, on one line or indented on many: field names as in the .proto, absent numbers
// shown as 0.
std::string ToJson(const google::protobuf::Message& message, bool on_lines = false);

}  // namespace bitfoundry::cli
