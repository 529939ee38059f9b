"""Every barrier of the CUDA kernels is needed, and the checked emulation sees it: without one a fault is found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mulfree.backends.cuda.kernels import source_root
from tests.cuda.cases import CASES
from tests.cuda.checks import CheckedBackend, FaultError, skip_without_checks
from tests.cuda.emulator import Schedule

pytestmark = [pytest.mark.native, pytest.mark.slow, *skip_without_checks()]

_BARRIER = "__syncthreads();"
_GROUPS = {  # of the cases that run a source
    "layer_norm_columns.cu": "rows",
    "passes.hpp": "sums",
    "product.cu": "patches",
    "survey.cu": "products",
    "targets.cu": "sums",
}


def _barriers() -> Iterator[tuple[str, int]]:
    """Files of ``csrc/cuda`` and the places of barriers in them."""
    for path in sorted((source_root() / "cuda").glob("*.*")):
        for found in re.finditer(re.escape(_BARRIER), path.read_text()):
            yield path.name, found.start()


def _finds_a_fault(backend: CheckedBackend, group: str) -> bool:
    for case in CASES:
        if case.group == group and not case.slow:
            try:
                case.run(backend)
            except FaultError:
                return True
    return False


@pytest.mark.usefixtures("small_grids")
@pytest.mark.parametrize(("name", "start"), [*_barriers()])
def test_without_a_barrier_there_is_a_fault(name: str, start: int, tmp_path: Path) -> None:
    folder = tmp_path / "cuda"
    shutil.copytree(source_root() / "cuda", folder)
    text = (folder / name).read_text()
    (folder / name).write_text(text[:start] + ";" + text[start + len(_BARRIER) :])
    assert _finds_a_fault(CheckedBackend(Schedule(), 1, folder), _GROUPS[name])
