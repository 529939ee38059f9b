// The blocked product on any two sources of lines (product.cpp), for kernels that are products in disguise.
#pragma once
#include "matmul.hpp"
#include "sources.hpp"
#include "tiles.hpp"

namespace mulfree::MF_TARGET {

using LeftSource = Source<kTileRows>;
using RightSource = Source<kTileColumns>;

// problem.left and .right are not read; the result goes to `out`, rows x columns, row-major. The caller has set the
// law's float environment.
void run_product(const MatmulProblem& problem, LeftSource& left, RightSource& right, float* out, int threads);

TileCounts take_tile_counts();

}  // namespace mulfree::MF_TARGET
