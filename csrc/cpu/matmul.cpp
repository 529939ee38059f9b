#include "matmul.hpp"

#include "simd.hpp"

namespace mulfree::MF_TARGET {
extern const MatmulKernels matmul_kernels;
const MatmulKernels matmul_kernels{};
}  // namespace mulfree::MF_TARGET
