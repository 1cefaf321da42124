// The tables of a firmware's model.c: weights and thresholds in the layouts that the runtime's
// kernels read. The layouts are defined in lib/mcu/bf_mcu.h, at each operation.
//
// Rows of weights are network.h's: [channels][words], where `words` counts those of a window.
// Pure functions; sizes are the caller's to have checked (packed::Describe).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bitfoundry::packed {

// `bf_layer.planes` of the fast and lean kernels, for windows of `bits` weights (K).
uint32_t Planes(uint32_t bits);

// The fast kernel's three-input tables: [groups of 32 channels][blocks of 3 words][32][8][2].
std::vector<uint32_t> PackFast(std::span<const uint32_t> rows, uint32_t channels);

// The lean kernel's bit-sliced pairs: [groups of 32 channels][words][16][2].
std::vector<uint32_t> PackLean(std::span<const uint32_t> rows, uint32_t channels);

// Thresholds of the fast and lean kernels: [groups of 32 channels][Planes(bits)].
std::vector<uint32_t> PackThresholds(std::span<const int32_t> thresholds, uint32_t bits);

// The stem's weights, four channels after the other.
std::vector<int8_t> PackStem(std::span<const int8_t> weights, uint32_t channels);

// The stem's levels, what each channel's sum starts from: [channels rounded up to 4].
//
//   mean        [input channels]
//   thresholds  [channels] to bits; empty to integers
std::vector<int32_t> StemLevels(std::span<const int8_t> weights, uint32_t channels,
                                std::span<const uint8_t> mean, std::span<const int32_t> thresholds);

}  // namespace bitfoundry::packed
