// Random words of counters, and dropout by them (docs/spec.md, section 8).
#pragma once
#include "arithmetic.hpp"
#include "elementwise.hpp"

namespace mulfree::MF_TARGET {

struct Words {
  Unsigned first, second;
};

template <int count>
inline Unsigned rotated(Unsigned word) {
  return word << count | word >> (32 - count);
}

template <int round>
inline void threefry_round(Words& w, const std::uint32_t* key) {
  constexpr int rotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
  w.first += w.second;
  w.second = rotated<rotations[round % 8]>(w.second) ^ w.first;
  if constexpr ((round + 1) % kThreefryInjection == 0) {
    constexpr int injection = (round + 1) / kThreefryInjection;
    w.first += key[injection % 3];
    w.second += key[(injection + 1) % 3] + injection;
  }
}

template <int round = 0>
inline void threefry_rounds(Words& w, const std::uint32_t* key) {
  if constexpr (round < kThreefryRounds) {
    threefry_round<round>(w, key);
    threefry_rounds<round + 1>(w, key);
  }
}

// Both words of the blocks `block`, `block` + 1, ..., one a lane; they do not cross a multiple of 2^32.
inline Words threefry(const std::uint32_t* key, std::int64_t block) {
  Words w{(Unsigned)lane_numbers() + static_cast<std::uint32_t>(block) + key[0],
          Unsigned{} + static_cast<std::uint32_t>(block >> 32) + key[1]};
  threefry_rounds(w, key);
  return w;
}

inline Int dropped_or_scaled(Int x, Unsigned word, const Dropout& how, const Offset& none) {
  return mul(x, splat(how.scale), none) & (word >= how.threshold);
}

// Elements begin to end of a tensor; begin is a multiple of 2 * kRandomLanes.
inline void dropout(float* out, const float* x, std::int64_t begin, std::int64_t end, const Dropout& how) {
  const Offset none(0);
  const std::uint32_t key[3] = {how.key[0], how.key[1], kThreefryParity ^ how.key[0] ^ how.key[1]};
  const auto part_of_vector = [&](std::int64_t i, Unsigned word) {
    if (i >= end) return;
    const Int part = first_lanes(end - i < kLanes ? end - i : kLanes);
    store_part(out + i, part, dropped_or_scaled(load_part(x + i, part), word, how, none));
  };
  for (std::int64_t group = begin; group < end; group += 2 * kRandomLanes) {
    for (int lane = 0; lane < kRandomLanes; lane += kLanes) {
      const Words w = threefry(key, group / 2 + lane);
      const std::int64_t i = group + lane, j = i + kRandomLanes;
      if (j + kLanes <= end) {
        store(out + i, dropped_or_scaled(load(x + i), w.first, how, none));
        store(out + j, dropped_or_scaled(load(x + j), w.second, how, none));
      } else {
        part_of_vector(i, w.first);
        part_of_vector(j, w.second);
      }
    }
  }
}

}  // namespace mulfree::MF_TARGET
