// "Did you mean ...?": the known name that somebody probably meant to type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bitfoundry::slices {

// The candidate with the fewest insertions, deletions, substitutions and swaps of neighbours from
// `name`, if these are at most a third of its length (and at least one is allowed); else "".
std::string Nearest(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'motion'?", or, where nothing is near, "; known: a, b, c" (the first eight).
std::string Suggest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace bitfoundry::slices
