"""How much longer a training step takes under the audit: ``python -m benchmarks.audit``.

The step is that of ``mulfree train digits``; the best of several, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

import mulfree as mf
from mulfree.audit import Audit
from mulfree.models import VisionTransformer

REPEATS = 20


def _best(call: Callable[[], object]) -> float:
    """Milliseconds of the quickest call."""
    call()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times) * 1e3


def main() -> None:
    torch.set_num_threads(1)
    model = mf.convert(VisionTransformer(width=32, depth=2, heads=4, hidden=64, patch_size=2, dropout=0.1))
    optimizer = mf.optim.AdamW(model.parameters())
    loss_fn = mf.nn.CrossEntropyLoss()
    images, labels = torch.zeros(64, 1, 8, 8), torch.zeros(64, dtype=torch.int64)

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(images), labels).backward()
        mf.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def audited() -> Audit:
        with mf.audit(model) as found:
            step()
        return found

    plain, watched, summary = _best(step), _best(audited), audited().report.summary
    calls = sum(summary[f"{kind}_operations"] for kind in ("pa", "integer", "free"))
    print(f"step {plain:.1f} ms, audited {watched:.1f} ms, {calls} operations:", end=" ")
    print(f"{(watched - plain) / calls * 1e3:.0f} microseconds for each")


if __name__ == "__main__":
    main()
