// Dropout by random words of counters (docs/spec.md, section 8). A block of Threefry has the words of two elements, 16
// apart in a group of 32. A thread takes four blocks side by side, a quarter of a group.
#include "arithmetic.hpp"
#include "threefry.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreads = 256;
constexpr int kBlocks = 4;  // of a thread; it takes as many elements for the first words and for the second
static_assert(kBlocks == sizeof(Quad) / sizeof(std::int32_t));
constexpr int kQuarters = kRandomLanes / kBlocks;

struct DropoutArgs {
  std::int32_t* out;
  const std::int32_t* x;
  const std::int64_t* seed;
  std::int64_t count;
  std::int64_t start;  // the place of the first element in its group
  std::int64_t group;  // the number of that group
  std::int64_t quads;  // whether four elements of a thread are at multiples of 16 bytes
  std::int64_t threshold, scale;
};


MF_KERNEL(dropout, DropoutArgs, kThreads) {
  const std::int64_t seed = *args.seed;
  const auto low = static_cast<std::uint32_t>(seed), high = static_cast<std::uint32_t>(seed >> 32);
  const std::uint32_t key[3] = {low, high, kThreefryParity ^ low ^ high};
  const Unsigned threshold(static_cast<std::uint32_t>(args.threshold));
  const Int scale(static_cast<std::int32_t>(args.scale));
  const std::int64_t units = (args.start + args.count + 2 * kRandomLanes - 1) / (2 * kRandomLanes) * kQuarters;
  MF_ROLLED
  for (std::int64_t unit = global_thread(); unit < units; unit += all_threads()) {
    const std::int64_t group = unit / kQuarters, lane = unit % kQuarters * kBlocks;
    const std::int64_t counter = (args.group + group) * kRandomLanes + lane;
    Words words[kBlocks];
    MF_UNROLL
    for (int j = 0; j < kBlocks; ++j) {
      words[j].first = Unsigned(static_cast<std::uint32_t>(counter) + j + key[0]);
      words[j].second = Unsigned(static_cast<std::uint32_t>(counter >> 32) + key[1]);
    }
    threefry_rounds(words, key);
    MF_UNROLL
    for (int which = 0; which < 2; ++which) {
      const std::int64_t first = group * 2 * kRandomLanes + which * kRandomLanes + lane - args.start;
      const auto kept = [&](int j, Int x) {
        return mul(x, scale) & ((which ? words[j].second : words[j].first) >= threshold);
      };
      if (args.quads && first >= 0 && first + kBlocks <= args.count) {
        Quad quad = *reinterpret_cast<const Quad*>(args.x + first);
        MF_UNROLL
        for (int j = 0; j < kBlocks; ++j) quad.words[j] = kept(j, quad.words[j]).v;
        *reinterpret_cast<Quad*>(args.out + first) = quad;
        continue;
      }
      MF_UNROLL
      for (int j = 0; j < kBlocks; ++j)
        if (first + j >= 0 && first + j < args.count) args.out[first + j] = kept(j, args.x[first + j]).v;
    }
  }
}

}  // namespace mulfree::MF_TARGET
