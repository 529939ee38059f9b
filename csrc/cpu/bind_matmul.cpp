#include <stdexcept>

#include "binding.hpp"
#include "dispatch.hpp"
#include "matmul.hpp"

namespace mulfree {
namespace {

namespace nb = nanobind;

// Places a matrix or a batch of matrices, and its batch strides, in the batch of the result.
Matrix place(const nb::handle& matrix, const nb::tuple& sizes, std::int64_t* batch_strides) {
  const Operand operand(matrix);
  if (operand.dimensions() < 2) throw std::invalid_argument("a matrix has two dimensions");
  const std::size_t batch_dims = sizes.size() - 2;
  for (std::size_t d = 0; d < batch_dims; ++d) batch_strides[d] = operand.stride(d, sizes);
  return {reinterpret_cast<const void*>(operand.address()), operand.own_stride(2), operand.own_stride(1)};
}

// `sizes` are those of the result; `slope` may be empty.
void matmul(const nb::handle& left, const nb::handle& right, const nb::tuple& slope, std::uintptr_t out,
            const nb::tuple& sizes, std::int64_t depth, std::uintptr_t bias, int format, int mantissa_bits,
            std::int32_t offset, int threads) {
  if (sizes.size() < 2 || sizes.size() > kMaxBatchDims + 2) throw std::invalid_argument("too many batch dimensions");
  const std::size_t batch_dims = sizes.size() - 2;
  MatmulProblem problem{};
  problem.left = place(left, sizes, problem.left_strides);
  problem.right = place(right, sizes, problem.right_strides);
  if (slope.size() > 0) problem.slope = place(slope, sizes, problem.slope_strides);
  problem.out = reinterpret_cast<float*>(out);
  problem.bias = reinterpret_cast<const float*>(bias);
  problem.rows = Operand::number(sizes, batch_dims);
  problem.columns = Operand::number(sizes, batch_dims + 1);
  problem.depth = depth;
  problem.format = static_cast<Format>(format);
  problem.mantissa_bits = mantissa_bits;
  problem.offset = offset;
  problem.threads = threads;
  problem.batch_dims = static_cast<int>(batch_dims);
  for (std::size_t d = 0; d < batch_dims; ++d) problem.batch_sizes[d] = Operand::number(sizes, d);
  nb::gil_scoped_release release;
  current().matmul->matmul(problem);
}

}  // namespace

void bind_matmul(nb::module_& m) {
  m.attr("MAX_BATCH_DIMS") = kMaxBatchDims;
  m.def("matmul", &matmul);
  m.def("repeat_tile", [](std::int64_t times) { return current().matmul->repeat_tile(times); }, nb::arg("times"));
  m.def("take_tile_counts", [] {
    const TileCounts counts = current().matmul->take_tile_counts();
    return nb::make_tuple(counts.empty, counts.fast, counts.general);
  });
}

}  // namespace mulfree
