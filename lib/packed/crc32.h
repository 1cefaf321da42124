// CRC-32 as zlib, PNG and Ethernet have it: reflected polynomial 0xEDB88320, start and final XOR
// with all ones. Crc32 of "123456789" is 0xCBF43926.
#pragma once

#include <cstdint>
#include <span>

namespace bitfoundry::packed {

// The CRC-32 of `bytes`, or, given the CRC-32 of what came before, that of both together.
uint32_t Crc32(std::span<const uint8_t> bytes, uint32_t before = 0);

}  // namespace bitfoundry::packed
