// Looks through both operands of a product once: the spans that tell which loop is exact for which tile.
#include "problem.hpp"

namespace mulfree::MF_TARGET {

constexpr int kSurveyThreads = 256, kWarps = kSurveyThreads / kWarp;

inline std::int32_t least_of_warp(std::int32_t v) {
  MF_UNROLL
  for (int width = kWarp / 2; width > 0; width /= 2) {
    const std::int32_t other = __shfl_xor_sync(kAllLanes, v, width);
    v = other < v ? other : v;
  }
  return v;
}

constexpr int kAtOnce = 8;  // entries that a thread asks for before it looks at the first

// Entries number `first`, `first` + step, ... below count of a line or a depth.
template <class At, class Holds>
inline void take(Survey* seen, int first, int count, int step, int drop, const At& at, const Holds& holds) {
  MF_ROLLED
  for (int i = first; i < count; i += kAtOnce * step) {
    std::int32_t bits[kAtOnce];
    std::uint32_t there = 0;
    MF_UNROLL
    for (int n = 0; n < kAtOnce; ++n) {
      const int index = i + n * step;
      bits[n] = 0;
      if (index >= count || !holds(index)) continue;
      bits[n] = *at(index);
      there |= 1u << n;
    }
    MF_UNROLL
    for (int n = 0; n < kAtOnce; ++n)
      if (i + n * step < count) seen->take(there >> n & 1 ? lawful(widened(bits[n]), drop) : kMissing);
  }
}

template <bool patches, bool deep>
inline Survey look(const Reader<patches>& reader, std::int64_t first, int lines, std::int64_t k, int depth) {
  // Neighbouring threads read neighbours in memory; what a thread reads shares its line, or its depth.
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  Survey seen;
  MF_ROLLED
  for (int i = warp; i < (deep ? lines : depth); i += kWarps) {
    const Place place = deep ? reader.line(first + i) : reader.depth(k + i);
    const auto line = [&](int n) { return deep ? place : reader.line(first + n); };
    const auto step = [&](int n) { return deep ? reader.depth(k + n) : place; };
    take(
        &seen, lane, deep ? depth : lines, kWarp, reader.drop, [&](int n) { return reader.entry(line(n), step(n)); },
        [&](int n) { return reader.holds(line(n), step(n)); });
  }
  return seen;
}

inline Survey look_left(const Problem& args, std::int64_t batch, std::int64_t panel, std::int64_t k, int depth) {
  const std::int64_t first = panel * kTileRows, start = args.left.start + batch_start(args, batch, kLeft);
  const Reader<MF_LEFT_PATCHES> reader{args.left, start, static_cast<int>(args.drop)};
  const int lines = static_cast<int>(least(kTileRows, args.rows - first));
  return look<MF_LEFT_PATCHES, MF_LEFT_DEEP>(reader, first, lines, k, depth);
}

inline Survey look_right(const Problem& args, std::int64_t batch, std::int64_t panel, std::int64_t k, int depth) {
  const std::int64_t first = panel * kTileColumns, start = args.right.start + batch_start(args, batch, kRight);
  const Reader<MF_RIGHT_PATCHES> reader{args.right, start, static_cast<int>(args.drop)};
  const int lines = static_cast<int>(least(kTileColumns, args.columns - first));
  return look<MF_RIGHT_PATCHES, MF_RIGHT_DEEP>(reader, first, lines, k, depth);
}

// Panels on x, chunks on y, batches on z.
MF_KERNEL(survey, Problem, kSurveyThreads) {
  MF_SHARED std::int32_t of_warps[4][kWarps];
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  const std::int64_t panel = blockIdx.x, chunks = chunks_of(args);
  for (std::int64_t batch = blockIdx.z; batch < args.batches; batch += gridDim.z)
    for (std::int64_t chunk = blockIdx.y; chunk < chunks; chunk += gridDim.y) {
      const std::int64_t k = chunk * kDotChunk;
      const int depth = static_cast<int>(least(kDotChunk, args.depth - k));
      const Survey seen = panel < args.panels.divisor ? look_left(args, batch, panel, k, depth)
                                              : look_right(args, batch, panel - args.panels.divisor, k, depth);
      // All as minima.
      const std::int32_t found[4] = {least_of_warp(seen.low), least_of_warp(-seen.high), least_of_warp(-seen.zero),
                                     least_of_warp(-seen.special)};
      if (lane == 0)
        for (int i = 0; i < 4; ++i) of_warps[i][warp] = found[i];
      __syncthreads();
      if (threadIdx.x < 4) {
        std::int32_t v = of_warps[threadIdx.x][0];
        for (int w = 1; w < kWarps; ++w) v = of_warps[threadIdx.x][w] < v ? of_warps[threadIdx.x][w] : v;
        const std::int64_t at = (batch * gridDim.x + panel) * chunks + chunk;
        args.spans[4 * at + threadIdx.x] = threadIdx.x == 0 ? v : -v;
      }
      __syncthreads();
    }
}

}  // namespace mulfree::MF_TARGET
