"""Functions of ``mulfree.functional`` that take the arguments of torch's namesakes as they are."""

from __future__ import annotations

import mulfree.functional as MF
from mulfree.policy import GroupName
from mulfree.replace.rules._rule import direct, plain

DIRECT: dict[GroupName, str] = {
    "matmul": "linear bilinear",
    "softmax": "logsumexp",
    "norm": "layer_norm",
    "activation": "gelu",
    "elementwise": """
        avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d lp_pool1d lp_pool2d
        lp_pool3d interpolate upsample cosine_similarity pairwise_distance
    """,
    "loss": """
        cross_entropy nll_loss multi_margin_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss
        smooth_l1_loss huber_loss kl_div gaussian_nll_loss poisson_nll_loss soft_margin_loss hinge_embedding_loss
        margin_ranking_loss cosine_embedding_loss triplet_margin_loss
    """,
}
"""By group; a name is that of the function here and in torch."""

PLAIN = "dropout embedding embedding_bag adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
"""Without options; they belong to the group elementwise."""

ALIASES: dict[str, tuple[str, ...]] = {"cross_entropy": ("cross_entropy", "cross_entropy_loss")}
"""Other names that torch has for them."""

for _group, _names in DIRECT.items():
    for _name in _names.split():
        direct(_group, getattr(MF, _name), *ALIASES.get(_name, (_name,)))
for _name in PLAIN.split():
    plain("elementwise", getattr(MF, _name), _name)
