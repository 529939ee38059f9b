"""The two networks of a comparison follow the same schedule."""

from __future__ import annotations

import pytest

from mulfree.models import VisionTransformer
from mulfree.train import TrainingConfig, networks
from mulfree.train.networks import Network


def _rates(network: Network, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(network.optimizer.param_groups[0]["lr"]))
        network.optimizer.step()
        network.schedule.step()
    return rates


def test_schedules_agree() -> None:
    config = TrainingConfig(epochs=5, warmup_epochs=1)
    initial = VisionTransformer(width=8, depth=1, heads=2)
    ordinary, free = (_rates(networks.build(name, initial, config, 4), 20) for name in networks.names("full"))
    assert ordinary[0] < ordinary[4] == config.lr
    assert ordinary[-1] < config.lr / 10
    # A PAM is at most 1/9 below the product (section 2.2 of the paper), and never above.
    assert all(0.88 * a <= b <= a * (1 + 1e-6) for a, b in zip(ordinary, free, strict=True))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be one of standard, mulfree, got 'other'"):
        networks.build("other", VisionTransformer(width=8, depth=1, heads=2), TrainingConfig(), 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["full", "matmul", "standard"])
def test_names(policy: networks.PolicyName) -> None:
    assert networks.names(policy)[0] == "standard"
    assert ("mulfree" in networks.names(policy)) == (policy != "standard")
