"""Audits of live steps: the first one, then every so many, and when SIGUSR1 asks for one."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mulfree.audit import audit
from mulfree.train.errors import AuditError
from mulfree.train.records import Metrics, write_json


class Audits:
    """Contexts for steps; those that are due are audited, recorded and written to ``audit-<step>.json``.

    Args:
        folder: of the run; None records nothing.
        metrics: of the run.
        every: steps between audits; 0 for only the first step.
        wanted: False for an arithmetic that multiplies: nothing is audited then.
        strict: a finding ends the training.
    """

    def __init__(self, folder: Path | None, metrics: Metrics | None, every: int, wanted: bool, strict: bool) -> None:
        self.folder, self.metrics, self.every = folder, metrics, every
        self.wanted, self.strict = wanted, strict
        self.audited: set[int] = set()
        self._asked = False
        with suppress(ValueError):  # only the main thread may
            signal.signal(signal.SIGUSR1, self._ask)

    def _ask(self, *_: Any) -> None:
        self._asked = True

    def _due(self, step: int) -> bool:
        asked, self._asked = self._asked, False
        return self.wanted and (step == 1 or asked or (self.every > 0 and step % self.every == 0))

    @contextmanager
    def __call__(self, step: int) -> Iterator[None]:
        """Raises AuditError after a step with findings if ``strict``."""
        if not self._due(step):
            yield
            return
        with audit() as found:
            yield
        self.audited.add(step)
        if self.metrics is not None and self.folder is not None:
            self.metrics.add("audit", step, multiplications=found.multiplications, findings=len(found.findings))
            write_json(self.folder / f"audit-{step}.json", json.loads(found.to_json()))
        if self.strict and found.findings:
            raise AuditError(f"step {step} is not free of multiplications:\n{found}")
