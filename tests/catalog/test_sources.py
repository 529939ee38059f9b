"""The line of the user's code behind a call."""

from __future__ import annotations

import sysconfig
from functools import partial
from pathlib import Path

import pytest
import torch

import mulfree
from mulfree.catalog.sources import is_library, user_line

PACKAGE, TORCH = Path(mulfree.__file__).parent, Path(torch.__file__).parent
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize(
    "file",
    [
        PACKAGE / "nn" / "__init__.py",
        PACKAGE / "distributed.py",
        TORCH / "nn" / "functional.py",
        STANDARD_LIBRARY / "functools.py",
        "<frozen importlib._bootstrap>",
    ],
)
def test_libraries(file: Path | str) -> None:
    assert is_library(str(file))


@pytest.mark.parametrize(
    "file",
    [
        __file__,
        PACKAGE / "models" / "vit.py",
        PACKAGE / "data" / "digits.py",
        PACKAGE / "train" / "loop.py",
        PACKAGE / "cli" / "__init__.py",
        STANDARD_LIBRARY / "site-packages" / "transformers" / "model.py",
        "<stdin>",
    ],
)
def test_code_that_uses_the_library(file: Path | str) -> None:
    assert not is_library(str(file))


def test_the_innermost_line_of_the_user() -> None:
    lines: list[str] = []
    torch.utils._pytree.tree_map(lambda leaf: lines.append(user_line()), [0])
    partial(lines.append, user_line())()
    first, second = (line.rpartition(":") for line in lines)
    assert first[0].endswith("test_sources.py")
    assert int(second[2]) == int(first[2]) + 1


def test_the_search_ends_where_it_is_told_to() -> None:
    passed: list[str] = []

    def stop(file: str) -> bool:
        passed.append(file)
        return False

    found: list[str] = []
    namespace = {"user_line": user_line, "stop": stop, "found": found}
    code = compile("def f():\n    found.append(user_line(passing=stop))\n", str(TORCH / "made_up.py"), "exec")
    exec(code, namespace)
    namespace["f"]()  # type: ignore[operator]
    assert found == [""]
    assert passed == [str(TORCH / "made_up.py")]
