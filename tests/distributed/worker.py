"""One process of a group: ``python worker.py CASE RANK SIZE FILE RESULT``; the group meets at FILE."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

import mulfree as mf
import mulfree.distributed
import mulfree.functional as MF

STEPS = 3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(mf.nn.Linear(6, 8), mf.nn.GELU(), mf.nn.Linear(8, 3))


def batch(rank: int, step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * step + rank)
    return torch.randn(5, 6, generator=generator), torch.randint(3, (5,), generator=generator)


def loss_of(model: nn.Module, rank: int, step: int) -> Tensor:
    x, target = batch(rank, step)
    return MF.cross_entropy(model(x), target)


def averaged(model: nn.Module, size: int, step: int) -> list[Tensor]:
    """The gradients that the processes shall have: PAD of the sum of all batches' gradients."""
    sums: list[Tensor] = []
    for rank in range(size):
        grads = torch.autograd.grad(loss_of(model, rank, step), list(model.parameters()))
        sums = [a + b for a, b in zip(sums, grads, strict=True)] if sums else list(grads)
    return [MF.div(total, float(size)) for total in sums]


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.detach().view(torch.int32), b.detach().view(torch.int32))


def replicated(rank: int, size: int, hook: bool = True) -> dict[str, Any]:
    """DistributedDataParallel with SGD; gradients and parameters against those of one process."""
    alone, model = network(), nn.parallel.DistributedDataParallel(network())
    if hook:
        model.register_comm_hook(None, mf.distributed.average_hook)
    ours, single = (mf.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (model, alone))
    same_gradients = same_parameters = True
    audit = mf.audit()
    for step in range(STEPS):
        x, target = batch(rank, step)
        with audit:
            ours.zero_grad()
            MF.cross_entropy(model(x), target).backward()  # type: ignore[no-untyped-call]
            ours.step()
        grads = [p.grad for p in model.parameters()]
        for p, grad, wanted in zip(alone.parameters(), grads, averaged(alone, size, step), strict=True):
            p.grad = wanted
            same_gradients &= grad is not None and _same(grad, wanted)
        single.step()
        same_parameters &= all(_same(p, q) for p, q in zip(model.parameters(), alone.parameters(), strict=True))
    return _report(audit, same_gradients, same_parameters, list(model.parameters()))


def _report(audit: Any, gradients: bool, parameters: bool, weights: list[Any]) -> dict[str, Any]:
    return {
        "multiplying": [str(finding) for finding in audit.findings if finding.known],
        "unknown": [finding.op for finding in audit.unknown],
        "phases": {entry.phase for entry in audit.report.work},
        "gradients": gradients,
        "parameters": parameters,
        "weights": [weight.detach().clone() for weight in weights],
    }


def replicated_without_hook(rank: int, size: int) -> dict[str, Any]:
    return replicated(rank, size, hook=False)


def sharded(rank: int, size: int) -> dict[str, Any]:
    """Fully sharded, with AdamW."""
    from torch.distributed.fsdp import fully_shard

    alone, model = network(), network()
    for part in model:  # type: ignore[attr-defined]
        if list(part.parameters()):
            fully_shard(part)
    fully_shard(model)
    mf.distributed.average_fully_sharded(model)  # type: ignore[arg-type]
    ours, single = (mf.optim.AdamW(m.parameters(), lr=0.01) for m in (model, alone))
    same_gradients = same_parameters = True
    audit = mf.audit()
    for step in range(STEPS):
        x, target = batch(rank, step)
        with audit:
            ours.zero_grad()
            MF.cross_entropy(model(x), target).backward()  # type: ignore[no-untyped-call]
            ours.step()
        grads = [p.grad.full_tensor() for p in model.parameters()]  # type: ignore[union-attr]
        for p, grad, wanted in zip(alone.parameters(), grads, averaged(alone, size, step), strict=True):
            p.grad = wanted
            same_gradients &= _same(grad, wanted)
        single.step()
        weights = [p.full_tensor() for p in model.parameters()]  # type: ignore[operator]
        same_parameters &= all(_same(p, q) for p, q in zip(weights, alone.parameters(), strict=True))
    return _report(audit, same_gradients, same_parameters, weights) | {"clipping": _error_of_clipping(model)}


def _error_of_clipping(model: nn.Module) -> str:
    try:
        mf.optim.clip_grad_norm_(model.parameters(), 1.0)
    except NotImplementedError as error:
        return str(error)
    return "none"


CASES: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "replicated": replicated,
    "replicated without hook": replicated_without_hook,
    "sharded": sharded,
}


def main(case: str, rank: int, size: int, meeting: str, result: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=size, timeout=timedelta(seconds=60)
    )
    try:
        torch.save(CASES[case](rank, size), Path(result))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:6])
