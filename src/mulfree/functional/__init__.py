"""The operations as functions, with the names, shapes and signatures of ``torch`` and ``torch.nn.functional``.

All take float32, float16 or bfloat16 tensors (one dtype per call) and raise ``TypeError`` for others. Three
keyword arguments are added where they apply:

- ``derivative``: "approximate" (default) or "exact", for each operand of ``mul``, ``div``, ``matmul``, ``linear``
  and convolutions if a pair. Exact is the slope of the piecewise affine function, approximate the analytic
  derivative of the original function in PA arithmetic (Table 1).
- ``compensation``: a positive number alpha; every product becomes alpha times larger (section 2.7).
- ``mantissa_bits``: matrix operands are rounded to so many mantissa bits, 1 to 23 (Appendix D).
"""

from mulfree.functional._attention import dropout, scaled_dot_product_attention
from mulfree.functional._convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from mulfree.functional._elementwise import div, exp, exp2, gelu, log, log2, mul, pow, sqrt
from mulfree.functional._loss import cross_entropy, mse_loss
from mulfree.functional._options import Derivative, Derivatives
from mulfree.functional._products import linear, matmul
from mulfree.functional._rows import layer_norm, log_softmax, logsumexp, softmax
from mulfree.functional._sums import mean, sum

__all__ = [
    "Derivative",
    "Derivatives",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "div",
    "dropout",
    "exp",
    "exp2",
    "gelu",
    "layer_norm",
    "linear",
    "log",
    "log2",
    "log_softmax",
    "logsumexp",
    "matmul",
    "mean",
    "mse_loss",
    "mul",
    "pow",
    "scaled_dot_product_attention",
    "softmax",
    "sqrt",
    "sum",
]
