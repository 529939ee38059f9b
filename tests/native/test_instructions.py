"""The machine code of the native kernels holds no float multiply, divide, fused multiply-add, root or reciprocal."""

from __future__ import annotations

import pytest

from mulfree.audit.disassembly import DisassemblerError
from mulfree.audit.instructions import TargetReport, inspect_library, kernel_library

pytestmark = pytest.mark.native

LEAST_SYMBOLS, LEAST_INSTRUCTIONS, LEAST_ADDITIONS = 10, 3000, 50
"""Far below what the kernels of a target have; less would mean that the wrong thing was inspected."""


@pytest.fixture(scope="module")
def reports() -> dict[str, TargetReport]:
    library = kernel_library()
    if library is None:
        pytest.skip("the native kernels are not built")
    try:
        return {report.target: report for report in inspect_library(library)}
    except DisassemblerError as error:
        pytest.skip(str(error))


def test_every_target_is_inspected(reports: dict[str, TargetReport]) -> None:
    from mulfree.backends import _cpu

    assert set(_cpu.targets()) <= set(reports)
    for report in reports.values():
        assert report.symbols >= LEAST_SYMBOLS
        assert report.instructions >= LEAST_INSTRUCTIONS
        assert report.classes["float add"] >= LEAST_ADDITIONS
        assert report.classes["integer add"] >= LEAST_ADDITIONS


def test_no_kernel_multiplies(reports: dict[str, TargetReport]) -> None:
    violations = [(report.target, violation) for report in reports.values() for violation in report.violations]
    assert violations == []
