// Interface of the elementwise kernels; the law is in docs/spec.md, sections 2 to 4, 7 and 8.
#pragma once
#include <cstdint>

namespace mulfree {

constexpr int kMaxOperands = 3;
constexpr int kMaxDimensions = 16;

// One operation on contiguous operands. `offset` is the compensation; operations without one ignore it.
struct Operation {
  const char* name;
  int operands;
  void (*run)(float* out, const float* const* operands, std::int64_t n, std::int32_t offset);
};

// How to drop elements (section 8): a key for the random words, the word from which an element is kept, the bits of
// the scale of those that are kept, and the counter of the first element's words.
struct Dropout {
  std::uint32_t key[2];
  std::uint32_t threshold;
  std::int32_t scale;
  std::int64_t block;
};

struct ElementwiseKernels {
  const Operation* operations;  // the same order in every target
  int count;
  // Elements begin to end of the tensors at `out` and `x`; begin is a multiple of 32.
  void (*dropout)(float* out, const float* x, std::int64_t begin, std::int64_t end, const Dropout& how);
};

// A broadcast: sizes of the result, strides of each operand (0 where it is repeated), outermost dimension first.
struct Broadcast {
  int operands = 0;
  int dimensions = 0;
  std::int64_t sizes[kMaxDimensions];
  std::int64_t strides[kMaxOperands][kMaxDimensions];

  std::int64_t elements() const;
  // Joins neighbouring dimensions that every operand walks through as one, and drops those of size one.
  void collapse();
};

// Contiguous operands of n elements each.
void run_flat(const Operation& operation, float* out, const float* const* operands, std::int64_t n,
              std::int32_t offset, int threads);

// Operands of any strides; `out` is contiguous.
void run_broadcast(const Operation& operation, float* out, const float* const* operands, Broadcast shape,
                   std::int32_t offset, int threads);

void run_dropout(const ElementwiseKernels& kernels, float* out, const float* x, std::int64_t n, const Dropout& how,
                 int threads);

}  // namespace mulfree
