// Bit constants and accumulation lengths; the twin of src/mulfree/numerics/formats.py (a test compares them).
#pragma once
#include <cstdint>

namespace mulfree {

constexpr std::int32_t kSign = INT32_MIN;
constexpr std::int32_t kMagnitude = 0x7fffffff;
constexpr std::int32_t kMantissa = 0x007fffff;
constexpr std::int32_t kStep = 1 << 23;
constexpr std::int32_t kOne = 0x3f800000;
constexpr std::int32_t kMin = 0x00800000;
constexpr std::int32_t kMax = 0x7f7fffff;
constexpr std::int32_t kInf = 0x7f800000;
constexpr std::int32_t kNan = 0x7fc00000;
constexpr std::int32_t kTwo = 0x40000000;
constexpr std::int32_t kSigmoidMost = 0x42fe0000;  // 127
constexpr std::int32_t kLog2e = 0x3fb8aa3b;
constexpr std::int32_t kLn2 = 0x3f317218;
constexpr std::int32_t kGeluCubic = 0x3d372713;
constexpr std::int32_t kGeluScale = 0x3fcc422a;

constexpr int kDotChunk = 256;
constexpr int kSumChunk = 1024;
constexpr int kSumLanes = 32;

// Threefry-2x32 (docs/spec.md, section 8).
constexpr std::uint32_t kThreefryParity = 0x1bd11bda;
constexpr int kThreefryRounds = 20;
constexpr int kThreefryInjection = 4;
constexpr int kRandomLanes = 16;

}  // namespace mulfree
