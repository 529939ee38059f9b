#include "rows.hpp"
#include "simd.hpp"
namespace mulfree::MF_TARGET { extern const RowKernels row_kernels; const RowKernels row_kernels{}; }
