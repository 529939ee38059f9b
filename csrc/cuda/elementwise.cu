// One operation on every element. MF_EXPRESSION is the operation in the words a, b, c of its MF_OPERANDS operands, and
// in `offset`, the compensation.
#include "gelu.hpp"
#include "logistic.hpp"

namespace mulfree::MF_TARGET {

inline Int operation(Int a, [[maybe_unused]] Int b, [[maybe_unused]] Int c, [[maybe_unused]] const Offset& offset) {
  return MF_EXPRESSION;
}

constexpr int kThreads = 256;
constexpr int kMaxDims = 8;

struct FlatArgs {
  std::int32_t* out;
  const std::int32_t* operands[3];
  std::int64_t count, offset;
};

// Contiguous operands of one shape, four elements a thread at a time; all addresses are multiples of 16 bytes.
MF_KERNEL(flat, FlatArgs, kThreads) {
  const Offset offset(static_cast<std::int32_t>(args.offset));
  const std::int64_t quads = args.count / 4;
  MF_ROLLED
  for (std::int64_t i = global_thread(); i < quads; i += all_threads()) {
    Quad in[3] = {}, result;
    MF_UNROLL
    for (int k = 0; k < MF_OPERANDS; ++k) in[k] = reinterpret_cast<const Quad*>(args.operands[k])[i];
    MF_UNROLL
    for (int j = 0; j < 4; ++j)
      result.words[j] = operation(in[0].words[j], in[1].words[j], in[2].words[j], offset).v;
    reinterpret_cast<Quad*>(args.out)[i] = result;
  }
  const std::int64_t last = 4 * quads + global_thread();
  if (last >= args.count) return;
  Int in[3];
  MF_UNROLL
  for (int k = 0; k < MF_OPERANDS; ++k) in[k] = args.operands[k][last];
  args.out[last] = operation(in[0], in[1], in[2], offset).v;
}

struct StridedArgs {
  std::int32_t* out;
  const std::int32_t* operands[3];
  std::int64_t count, offset;
  std::int64_t dims;
  Divider sizes[kMaxDims];             // the last dimension first
  std::int64_t strides[3][kMaxDims];  // of each operand, likewise; 0 where it is broadcast
};

// Operands of any strides and a contiguous result.
MF_KERNEL(strided, StridedArgs, kThreads) {
  const Offset offset(static_cast<std::int32_t>(args.offset));
  MF_ROLLED
  for (std::int64_t i = global_thread(); i < args.count; i += all_threads()) {
    std::int64_t rest = i, at[3] = {};
    for (int d = 0; d < args.dims; ++d) {
      const std::int64_t digit = args.sizes[d].divide(&rest);
      MF_UNROLL
      for (int k = 0; k < MF_OPERANDS; ++k) at[k] += digit * args.strides[k][d];
    }
    Int in[3];
    MF_UNROLL
    for (int k = 0; k < MF_OPERANDS; ++k) in[k] = args.operands[k][at[k]];
    args.out[i] = operation(in[0], in[1], in[2], offset).v;
  }
}

}  // namespace mulfree::MF_TARGET
