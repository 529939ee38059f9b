// How many targets are not ignored; -1 if one of them is no class. A sum of each block, then the sum of those.
#include "device.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreads = 256;

struct TargetArgs {
  const std::int64_t* in;
  std::int64_t* out;  // one for each block
  std::int64_t count, classes, ignore_index;
};

inline std::int64_t joined(std::int64_t a, std::int64_t b) { return a < 0 || b < 0 ? -1 : a + b; }

// What the threads of a block have counted, in thread 0. The number of threads is a power of two.
inline std::int64_t count_of_block(std::int64_t count) {
  MF_SHARED std::int64_t counts[kThreads];
  counts[threadIdx.x] = count;
  for (unsigned width = blockDim.x / 2; width > 0; width /= 2) {
    __syncthreads();
    if (threadIdx.x < width) counts[threadIdx.x] = joined(counts[threadIdx.x], counts[threadIdx.x + width]);
  }
  return counts[threadIdx.x];
}

MF_KERNEL(count_of_blocks, TargetArgs, kThreads) {
  std::int64_t count = 0;
  MF_ROLLED
  for (std::int64_t i = global_thread(); i < args.count; i += all_threads()) {
    const std::int64_t target = args.in[i];
    if (target != args.ignore_index) count = joined(count, target >= 0 && target < args.classes ? 1 : -1);
  }
  count = count_of_block(count);
  if (threadIdx.x == 0) args.out[blockIdx.x] = count;
}

MF_KERNEL(total_count, TargetArgs, kThreads) {
  std::int64_t count = 0;
  MF_ROLLED
  for (std::int64_t i = threadIdx.x; i < args.count; i += blockDim.x) count = joined(count, args.in[i]);
  count = count_of_block(count);
  if (threadIdx.x == 0) args.out[0] = count;
}

}  // namespace mulfree::MF_TARGET
