"""The operations as functions, with the names, shapes and signatures of ``torch`` and ``torch.nn.functional``.

All take float32, float16 or bfloat16 tensors (one dtype per call) and raise ``TypeError`` for others. Three
keyword arguments are added where they apply:

- ``derivative``: "approximate" (default) or "exact", for each operand of ``mul``, ``div``, ``matmul`` and
  ``linear`` if a pair. Exact is the slope of the piecewise affine function, approximate the analytic
  derivative of the original function in PA arithmetic (Table 1).
- ``compensation``: a positive number alpha; every product becomes alpha times larger (section 2.7).
- ``mantissa_bits``: matrix operands are rounded to so many mantissa bits, 1 to 23 (Appendix D).
"""

from mulfree.functional._attention import dropout, scaled_dot_product_attention
from mulfree.functional._base2 import log_softmax2, softmax2
from mulfree.functional._bilinear import bilinear
from mulfree.functional._classes import cross_entropy, cross_entropy2, multi_margin_loss, nll_loss
from mulfree.functional._distances import (
    cosine_embedding_loss,
    cosine_similarity,
    margin_ranking_loss,
    pairwise_distance,
    triplet_margin_loss,
)
from mulfree.functional._elementwise import div, exp, exp2, gelu, log, log2, mul, pow, sqrt
from mulfree.functional._embedding import embedding, embedding_bag
from mulfree.functional._interpolation import interpolate, upsample
from mulfree.functional._likelihood import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge_embedding_loss,
    kl_div,
    soft_margin_loss,
)
from mulfree.functional._maxima import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from mulfree.functional._options import Derivative, Derivatives
from mulfree.functional._pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from mulfree.functional._products import linear, matmul
from mulfree.functional._regression import (
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from mulfree.functional._rows import layer_norm, log_softmax, logsumexp, softmax
from mulfree.functional._sums import mean, sum

__all__ = [
    "Derivative",
    "Derivatives",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "cross_entropy2",
    "div",
    "dropout",
    "embedding",
    "embedding_bag",
    "exp",
    "exp2",
    "gaussian_nll_loss",
    "gelu",
    "hinge_embedding_loss",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "linear",
    "log",
    "log2",
    "log_softmax",
    "log_softmax2",
    "logsumexp",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "matmul",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mean",
    "mse_loss",
    "mul",
    "multi_margin_loss",
    "nll_loss",
    "pairwise_distance",
    "poisson_nll_loss",
    "pow",
    "scaled_dot_product_attention",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmax2",
    "sqrt",
    "sum",
    "triplet_margin_loss",
    "upsample",
]
