// Walks broadcast operands: cuts the result into pieces along its innermost dimension and lays operands that are not
// contiguous there into small buffers, so that the kernels see contiguous memory only.
#include <algorithm>

#include "elementwise.hpp"
#include "fresh_memory.hpp"
#include "threads.hpp"

namespace mulfree {
namespace {

constexpr std::int64_t kTask = 1 << 15;   // elements that one thread takes at a time
constexpr std::int64_t kBuffer = 512;     // elements laid out at a time

// A position in the result and the matching place in every operand.
struct Cursor {
  const Broadcast& shape;
  const float* place[kMaxOperands];
  std::int64_t index[kMaxDimensions];

  Cursor(const Broadcast& s, const float* const* operands, std::int64_t element) : shape(s) {
    std::copy(operands, operands + shape.operands, place);
    for (int d = shape.dimensions - 1; d >= 0; --d) {
      index[d] = element % shape.sizes[d];
      element /= shape.sizes[d];
      for (int k = 0; k < shape.operands; ++k) place[k] += index[d] * shape.strides[k][d];
    }
  }

  std::int64_t left_in_run() const { return shape.sizes[shape.dimensions - 1] - index[shape.dimensions - 1]; }

  void advance(std::int64_t count) {
    int d = shape.dimensions - 1;
    index[d] += count;
    for (int k = 0; k < shape.operands; ++k) place[k] += count * shape.strides[k][d];
    for (; d > 0 && index[d] == shape.sizes[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      for (int k = 0; k < shape.operands; ++k)
        place[k] += shape.strides[k][d - 1] - shape.sizes[d] * shape.strides[k][d];
    }
  }
};

void lay_out(float* buffer, const float* source, std::int64_t stride, std::int64_t count) {
  if (stride == 0) std::fill(buffer, buffer + count, *source);
  else for (std::int64_t i = 0; i < count; ++i) buffer[i] = source[i * stride];
}

void run_range(const Operation& operation, float* out, const float* const* operands, const Broadcast& shape,
               std::int32_t offset, std::int64_t begin, std::int64_t end) {
  float buffers[kMaxOperands][kBuffer];
  const int inner = shape.dimensions - 1;
  bool contiguous = true;
  for (int k = 0; k < shape.operands; ++k) contiguous &= shape.strides[k][inner] == 1;
  Cursor cursor(shape, operands, begin);
  for (std::int64_t element = begin; element < end;) {
    std::int64_t count = std::min(cursor.left_in_run(), end - element);
    if (!contiguous) count = std::min(count, kBuffer);
    const float* in[kMaxOperands];
    for (int k = 0; k < shape.operands; ++k) {
      in[k] = cursor.place[k];
      if (shape.strides[k][inner] == 1) continue;
      lay_out(buffers[k], in[k], shape.strides[k][inner], count);
      in[k] = buffers[k];
    }
    operation.run(out + element, in, count, offset);
    cursor.advance(count);
    element += count;
  }
}

}  // namespace

std::int64_t Broadcast::elements() const {
  std::int64_t n = 1;
  for (int d = 0; d < dimensions; ++d) n *= sizes[d];
  return n;
}

void Broadcast::collapse() {
  int kept = 0;
  for (int d = 0; d < dimensions; ++d) {
    const std::int64_t size = sizes[d];
    if (size == 1) continue;
    bool joins = kept > 0;
    for (int k = 0; k < operands; ++k) joins = joins && strides[k][kept - 1] == strides[k][d] * size;
    if (!joins) sizes[kept++] = 1;
    sizes[kept - 1] *= size;
    for (int k = 0; k < operands; ++k) strides[k][kept - 1] = strides[k][d];
  }
  if (kept == 0) {
    sizes[kept++] = 1;
    for (int k = 0; k < operands; ++k) strides[k][0] = 1;
  }
  dimensions = kept;
}

void run_flat(const Operation& operation, float* out, const float* const* operands, std::int64_t n,
              std::int32_t offset, int threads) {
  expect_writes(out, n);
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    const std::int64_t begin = task * kTask, count = std::min(kTask, n - begin);
    const float* in[kMaxOperands];
    for (int k = 0; k < operation.operands; ++k) in[k] = operands[k] + begin;
    operation.run(out + begin, in, count, offset);
  });
}

void run_dropout(const ElementwiseKernels& kernels, float* out, const float* x, std::int64_t n, const Dropout& how,
                 int threads) {
  expect_writes(out, n);
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    kernels.dropout(out, x, task * kTask, std::min(n, (task + 1) * kTask), how);
  });
}

void run_broadcast(const Operation& operation, float* out, const float* const* operands, Broadcast shape,
                   std::int32_t offset, int threads) {
  const std::int64_t n = shape.elements();
  if (n == 0) return;
  expect_writes(out, n);
  shape.collapse();
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    run_range(operation, out, operands, shape, offset, task * kTask, std::min(n, (task + 1) * kTask));
  });
}

}  // namespace mulfree
