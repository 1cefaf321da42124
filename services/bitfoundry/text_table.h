// Tables of plain text and of Markdown.
#pragma once

#include <string>
#include <vector>

namespace bitfoundry::cli {

using Rows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell; two spaces between them.
std::string Align(const Rows& rows);

// Safe inside a cell of a Markdown table.
std::string MarkdownCell(const std::string& text);

}  // namespace bitfoundry::cli
