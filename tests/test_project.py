"""The project's own files agree with each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pins() -> dict[str, Version]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {name: Version(version) for name, version in pairs}


def _requirements() -> list[Requirement]:
    groups = PROJECT["project"]["optional-dependencies"].values()
    lists = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"], *groups]
    return [Requirement(text) for text in chain.from_iterable(lists)]


@pytest.mark.parametrize("requirement", _requirements(), ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert _pins()[requirement.name] in requirement.specifier


def test_every_dependency_has_a_lowest_version() -> None:
    without = [str(requirement) for requirement in _requirements() if not requirement.specifier]
    assert not without


def test_citation_and_package_have_one_version() -> None:
    version = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert version is not None
    assert version.group(1) == PROJECT["project"]["version"]


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", document.read_text())
    missing = [t for t in targets if not t.startswith("http") and not (document.parent / t).exists()]
    assert not missing


def test_the_map_names_functions_that_exist() -> None:
    missing = []
    for line in (ROOT / "docs" / "map.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        link = re.search(r"\]\((.+)\)", cells[3]) if len(cells) > 4 else None
        if link is None:
            continue
        source = (ROOT / "docs" / link.group(1)).read_text()
        names = re.findall(r"`(\w+)`", cells[4])
        defined = r"^\s*(?:def|class) {}\b" if link.group(1).endswith(".py") else r"^\w.*\b{}\(|^MF_KERNEL\({},"
        missing += [name for name in names if not re.search(defined.replace("{}", name), source, re.MULTILINE)]
    assert not missing


def test_the_example_of_the_readme_runs_without_multiplications(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile("".join(blocks), "README.md", "exec"), {})
    assert capsys.readouterr().out == "0\n"


def test_an_installation_without_a_compiler_has_the_cuda_sources(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core", reason="needs scikit-build-core")
    clone, made = tmp_path / "clone", tmp_path / "made"
    for part in ("src", "csrc"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    before = set(clone.iterdir())
    environment = {name: value for name, value in os.environ.items() if name != "MULFREE_REQUIRE_NATIVE"}
    done = subprocess.run(
        [sys.executable, "-c", f"from scikit_build_core import build; build.build_wheel({str(made)!r})"],
        capture_output=True, text=True, check=False, cwd=clone,
        env={**environment, "CXX": "/bin/false"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = made.glob("mulfree-*-py3-none-any.whl")
    installed = {name for name in ZipFile(wheel).namelist() if name.startswith("mulfree/csrc/")}
    sources = {path for part in ("cuda", "law") for path in (ROOT / "csrc" / part).rglob("*") if path.is_file()}
    assert installed == {f"mulfree/{path.relative_to(ROOT)}" for path in sources}
    assert set(clone.iterdir()) == before  # no build folder that would keep the compiler
