// Interface of the matrix product kernels; the law is in docs/spec.md, section 6.
#pragma once
#include <cstdint>

namespace mulfree {

struct MatmulKernels {};

}  // namespace mulfree
