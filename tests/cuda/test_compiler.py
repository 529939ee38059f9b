"""Machine code is kept on disk, checked when it is read, and never stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from mulfree.backends.cuda import compiler
from mulfree.backends.cuda.elementwise import program
from mulfree.backends.cuda.kernels import Program

try:
    compiler.compiler_version()
    MISSING = ""
except ImportError as error:
    MISSING = str(error)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "NVRTC is there")
MUL = program("mul")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(compiler.CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "kernels"


def _refuse(*_: object) -> bytes:
    raise AssertionError("compiled again")


def test_a_program_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compiler.machine_code(MUL, "sm_90")
    assert code[:4] == b"\x7fELF"
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(compiler, "compile_program", _refuse)
    assert compiler.machine_code(MUL, "sm_90") == code


def test_what_the_code_depends_on_is_in_its_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.machine_code(MUL, "sm_90")
    compiler.machine_code(MUL, "sm_80")
    compiler.machine_code(MUL, "sm_90", driver="13000")
    compiler.machine_code(program("div"), "sm_90")
    monkeypatch.setattr(compiler, "_sources_digest", lambda: b"other sources")
    compiler.machine_code(MUL, "sm_90")
    assert len(list(cache.iterdir())) == 5


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, None])
def test_damaged_code_is_compiled_again(cache: Path, damage: bytes | None) -> None:
    code = compiler.machine_code(MUL, "sm_90")
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert compiler.machine_code(MUL, "sm_90") == code
    assert path.read_bytes()[compiler._DIGEST :] == code


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(compiler.CACHE_VARIABLE, str(tmp_path / "file"))
    assert compiler.machine_code(MUL, "sm_90")[:4] == b"\x7fELF"


def test_errors_carry_the_messages_of_the_compiler() -> None:
    wrong = Program("elementwise.cu", (("MF_OPERANDS", "1"), ("MF_EXPRESSION", "nonsense(a)")))
    with pytest.raises(compiler.CompilationError, match=r"(?s)elementwise\.cu.*sm_90.*nonsense"):
        compiler.compile_program(wrong, "sm_90")


def test_a_missing_library_is_no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda.bindings import nvrtc

    def fail() -> None:
        raise RuntimeError("libnvrtc is not found")

    compiler.compiler_version.cache_clear()
    monkeypatch.setattr(nvrtc, "nvrtcVersion", fail)
    with pytest.raises(ImportError, match=r"NVRTC is missing: pip install 'mulfree\[cuda\]'"):
        compiler.compiler_version()
    monkeypatch.undo()
    compiler.compiler_version.cache_clear()
