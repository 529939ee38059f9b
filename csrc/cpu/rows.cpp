#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {

extern const RowKernels row_kernels;
const RowKernels row_kernels{sum,           softmax,       softmax_grad,       log_softmax, log_softmax_grad, logsumexp,
                             logsumexp_grad, cross_entropy, cross_entropy_grad, layer_norm,  layer_norm_grad,
                             batch_norm,    batch_norm_grad,    adamw};

}  // namespace mulfree::MF_TARGET
