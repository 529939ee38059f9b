// The rounds of Threefry-2x32 (docs/spec.md, section 8) on `count` vectors of blocks side by side.
#pragma once
#include "lanes.hpp"

namespace mulfree::MF_TARGET {

struct Words {
  Unsigned first, second;
};

template <int places>
inline Unsigned rotated(Unsigned word) {
  return word << places | word >> (32 - places);
}

template <int round, int count>
inline void threefry_round(Words (&group)[count], const std::uint32_t* key) {
  constexpr int rotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
  for (Words& w : group) {
    w.first += w.second;
    w.second = rotated<rotations[round % 8]>(w.second) ^ w.first;
    if constexpr ((round + 1) % kThreefryInjection == 0) {
      constexpr int injection = (round + 1) / kThreefryInjection;
      w.first += key[injection % 3];
      w.second += key[(injection + 1) % 3] + injection;
    }
  }
}

template <int round = 0, int count>
inline void threefry_rounds(Words (&group)[count], const std::uint32_t* key) {
  if constexpr (round < kThreefryRounds) {
    threefry_round<round>(group, key);
    threefry_rounds<round + 1>(group, key);
  }
}

}  // namespace mulfree::MF_TARGET
