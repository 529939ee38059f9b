#include <stdexcept>

#include "binding.hpp"
#include "dispatch.hpp"
#include "matmul.hpp"

namespace mulfree {
namespace {

namespace nb = nanobind;
using Strides = std::vector<std::int64_t>;

// An operand comes as (address, row stride, column stride, batch strides).

Matrix place(const nb::tuple& operand, std::size_t batch_dims, std::int64_t* batch_strides) {
  if (operand.size() != 4) throw std::invalid_argument("an operand is (address, row stride, column stride, batch)");
  const auto strides = nb::cast<Strides>(operand[3]);
  if (strides.size() != batch_dims) throw std::invalid_argument("batch strides and sizes differ in number");
  std::copy(strides.begin(), strides.end(), batch_strides);
  return {reinterpret_cast<const void*>(nb::cast<std::uintptr_t>(operand[0])), nb::cast<std::int64_t>(operand[1]),
          nb::cast<std::int64_t>(operand[2])};
}

void matmul(const nb::tuple& left, const nb::tuple& right, const nb::object& slope, std::uintptr_t out,
            std::uintptr_t bias, const Strides& sizes, const Strides& batch_sizes, int format, int mantissa_bits,
            std::int32_t offset, int threads) {
  if (batch_sizes.size() > kMaxBatchDims) throw std::invalid_argument("too many batch dimensions");
  MatmulProblem problem{};
  problem.left = place(left, batch_sizes.size(), problem.left_strides);
  problem.right = place(right, batch_sizes.size(), problem.right_strides);
  if (!slope.is_none())
    problem.slope = place(nb::cast<nb::tuple>(slope), batch_sizes.size(), problem.slope_strides);
  problem.out = reinterpret_cast<float*>(out);
  problem.bias = reinterpret_cast<const float*>(bias);
  problem.rows = sizes.at(0), problem.columns = sizes.at(1), problem.depth = sizes.at(2);
  problem.format = static_cast<Format>(format);
  problem.mantissa_bits = mantissa_bits;
  problem.offset = offset;
  problem.threads = threads;
  problem.batch_dims = static_cast<int>(batch_sizes.size());
  std::copy(batch_sizes.begin(), batch_sizes.end(), problem.batch_sizes);
  nb::gil_scoped_release release;
  current().matmul->matmul(problem);
}

}  // namespace

void bind_matmul(nb::module_& m) {
  m.attr("MAX_BATCH_DIMS") = kMaxBatchDims;
  m.def("matmul", &matmul, nb::arg("left"), nb::arg("right"), nb::arg("slope").none(), nb::arg("out"), nb::arg("bias"),
        nb::arg("sizes"), nb::arg("batch_sizes"), nb::arg("format"), nb::arg("mantissa_bits"), nb::arg("offset"),
        nb::arg("threads"));
  m.def("repeat_tile", [](std::int64_t times) { return current().matmul->repeat_tile(times); }, nb::arg("times"));
  m.def("take_tile_counts", [] {
    const TileCounts counts = current().matmul->take_tile_counts();
    return nb::make_tuple(counts.empty, counts.fast, counts.general);
  });
}

}  // namespace mulfree
