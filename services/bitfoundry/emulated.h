// What an emulated core made of a model: in words, as Markdown and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "emulate/emulate.h"

namespace bitfoundry::cli {

struct Emulated {
  emulate::Prepared prepared;  // of one network
  emulate::Report report;
  std::vector<emulate::Difference> differences;
};

// The firmware that --flash (0: no budget) and --kernel (empty: chosen) ask for; that of neither is
// the published one.
packed::FirmwareOptions FirmwareFor(const packed::Network& network, uint64_t flash_bytes,
                                    const std::string& kernel);

// Builds a network's firmware, runs its golden images, compares.
//
// Errors: those of emulate::Prepare and emulate::Run, with the core's name.
Result<Emulated> EmulateOn(emulate::Core core, const emulate::Case& one,
                           const packed::FirmwareOptions& options);

// Of several images the one that took most, since operators on integers branch on their values.
nlohmann::ordered_json ToJson(const Emulated& emulated);
std::string ToText(const Emulated& emulated);
std::string ToMarkdown(const Emulated& emulated);

}  // namespace bitfoundry::cli
