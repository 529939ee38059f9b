"""Functions of ``mulfree.functional`` that take the arguments of torch's namesakes as they are."""

from __future__ import annotations

import mulfree.functional as MF
from mulfree.policy import GroupName
from mulfree.replace.rules._rule import direct, plain

DIRECT: dict[GroupName, str] = {
    "matmul": """
        linear bilinear matmul mm bmm mv dot vdot inner addmm addbmm addmv addr baddbmm chain_matmul multi_dot einsum
        tensordot grouped_mm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    """,
    "softmax": "logsumexp softmin",
    "norm": "layer_norm rms_norm batch_norm group_norm instance_norm local_response_norm",
    "activation": """
        gelu sigmoid tanh silu mish elu celu selu leaky_relu prelu rrelu hardsigmoid hardswish softplus softsign
        tanhshrink logsigmoid glu
    """,
    "elementwise": """
        avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d lp_pool1d lp_pool2d
        lp_pool3d interpolate upsample embedding_bag cosine_similarity pairwise_distance normalize norm vector_norm
        outer ger kron cross prod var std var_mean std_mean nanmean mean
    """,
    "loss": """
        nll_loss multi_margin_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss
        smooth_l1_loss huber_loss kl_div gaussian_nll_loss poisson_nll_loss soft_margin_loss hinge_embedding_loss
        margin_ranking_loss cosine_embedding_loss triplet_margin_loss
    """,
}
"""By group; a name is that of the function here and in torch."""

PLAIN = "dropout embedding adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax amin abs sum"
"""Without options; they belong to the group elementwise."""

ALIASES: dict[str, tuple[str, ...]] = {
    "logsigmoid": ("logsigmoid", "log_sigmoid"),
    "sigmoid": ("sigmoid", "expit"),
    "abs": ("abs", "absolute"),
    "grouped_mm": ("grouped_mm",),
}
"""Names that torch has for them."""

CLOSED = """
    matmul mm bmm mv dot vdot inner addmm addbmm addmv addr baddbmm einsum tensordot outer ger kron cross prod
    amax amin abs sum
"""
"""Integers in, integers out."""

for _group, _names in DIRECT.items():
    for _name in _names.split():
        direct(_group, getattr(MF, _name), *ALIASES.get(_name, (_name,)), closed=_name in CLOSED.split())
for _name in PLAIN.split():
    plain("elementwise", getattr(MF, _name), *ALIASES.get(_name, (_name,)), closed=_name in CLOSED.split())
