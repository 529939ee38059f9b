// Kernels with a fault each, for the tests of the checks; the first ones have none.
#include "device.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreads = 64;

struct Args {
  std::int32_t* out;
  const std::int32_t* in;
};

inline int thread() { return static_cast<int>(threadIdx.x); }

// The word that thread t ^ `distance` has written.
template <int distance, class Wait>
inline void swap_words(const Args& args, Wait wait) {
  MF_SHARED std::int32_t words[kThreads];
  words[thread()] = args.in[thread()];
  wait();
  args.out[blockIdx.x * kThreads + thread()] = words[thread() ^ distance];
}

MF_KERNEL(swapped_by_block, Args, kThreads) {
  swap_words<32>(args, [] { __syncthreads(); });
}
MF_KERNEL(swapped_by_warp, Args, kThreads) {
  swap_words<1>(args, [] { __syncwarp(); });
}
MF_KERNEL(constant, Args, kThreads) { args.out[global_thread()] = __ldg(args.in + thread()); }

MF_KERNEL(no_barrier, Args, kThreads) {
  swap_words<32>(args, [] {});
}
MF_KERNEL(warp_for_block, Args, kThreads) {
  swap_words<32>(args, [] { __syncwarp(); });
}
MF_KERNEL(no_warp_barrier, Args, kThreads) {
  swap_words<1>(args, [] {});
}
MF_KERNEL(shuffle_for_warp_barrier, Args, kThreads) {
  swap_words<1>(args, [] { __shfl_sync(kAllLanes, 0, 0); });
}

// The barrier before the next turn is missing: a write overtakes reads.
MF_KERNEL(overtaken, Args, kThreads) {
  MF_SHARED std::int32_t word;
  MF_ROLLED
  for (int turn = 0; turn < 2; ++turn) {
    if (thread() == 0) word = args.in[turn];
    __syncthreads();
    args.out[blockIdx.x * kThreads + thread()] = word;
  }
}

MF_KERNEL(blocks_write, Args, kThreads) {
  if (thread() == 0) args.out[0] = static_cast<std::int32_t>(blockIdx.x);
}
MF_KERNEL(block_reads, Args, kThreads) {
  if (thread() > 0) return;
  args.out[blockIdx.x] = 1;
  __syncthreads();
  args.out[gridDim.x + blockIdx.x] = args.out[gridDim.x - 1 - blockIdx.x];
}
MF_KERNEL(constant_written, Args, kThreads) {
  const std::int64_t at = global_thread();
  args.out[at] = 1;
  args.out[at] = __ldg(args.out + at) + 1;
}

MF_KERNEL(reads_beyond, Args, kThreads) { args.out[global_thread()] = args.in[thread() + 1]; }
MF_KERNEL(writes_before, Args, kThreads) { args.out[global_thread() - 1] = 0; }
MF_KERNEL(shared_beyond, Args, kThreads) {
  MF_SHARED std::int32_t words[kThreads];
  words[thread() + 1] = args.in[thread()];
  __syncthreads();
  args.out[global_thread()] = words[thread()];
}
MF_KERNEL(shared_unwritten, Args, kThreads) {
  MF_SHARED std::int32_t words[kThreads];
  if (blockIdx.x == 0) words[thread()] = args.in[thread()];
  args.out[global_thread()] = words[thread()];
}
MF_KERNEL(crooked, Args, kThreads) {
  if (thread() == 0) reinterpret_cast<Quad*>(args.out + 2)[blockIdx.x] = Quad{};
}

struct LongerArgs {
  Args args;
  std::int64_t missing;
};
MF_KERNEL(parameter_beyond, LongerArgs, kThreads) {
  args.args.out[global_thread()] = static_cast<std::int32_t>(args.missing);
}

MF_KERNEL(for_fewer, Args, kThreads / 2) {}
MF_KERNEL(ended_lane, Args, kThreads) {
  if (thread() == 5) return;
  args.out[blockIdx.x * kThreads + thread()] = __shfl_sync(kAllLanes, thread(), 0);
}
MF_KERNEL(different_barriers, Args, kThreads) {
  if (thread() < 32) __syncthreads();
  else __syncthreads_or(0);
}
MF_KERNEL(waits_for_ever, Args, kThreads) {
  if (thread() == 0) __syncthreads();
  else if (thread() < 32) __syncwarp();
}

}  // namespace mulfree::MF_TARGET
