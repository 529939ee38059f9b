"""Sources to machine code by NVRTC, kept on disk; neither a toolkit nor a device is needed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

from mulfree.backends.cuda.kernels import SOURCE_FOLDERS, Program, source_root

CACHE_VARIABLE = "MULFREE_CACHE"
_DIGEST = hashlib.sha256().digest_size
_STANDARD = "c++20"


def cache_folder() -> Path:
    """``MULFREE_CACHE`` if set, else the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mulfree"


class CompilationError(RuntimeError):
    """NVRTC refuses a program; the message has its reasons."""


@cache
def _sources_digest() -> bytes:
    """Of every header and source, so that no change of one leaves old machine code in use."""
    digest = hashlib.sha256()
    root = source_root()
    for path in sorted(path for folder in SOURCE_FOLDERS for path in (root / folder).rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


@cache
def compiler_version() -> str:
    """Of NVRTC.

    Raises:
        ImportError: the extra ``mulfree[cuda]`` is not installed, or not all of it.
    """
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise ImportError(f"CUDA kernels need cuda-core: pip install 'mulfree[cuda]' ({error})") from error
    try:
        status, major, minor = nvrtc.nvrtcVersion()
    except RuntimeError as error:  # cuda-pathfinder's, where the library is not found
        raise ImportError(f"NVRTC is missing: pip install 'mulfree[cuda]' ({error})") from error
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise ImportError(f"NVRTC does not answer: {status}")
    return f"{major}.{minor}"


def known_architectures() -> tuple[int, ...]:
    """Of devices, as NVRTC numbers them: 90 is sm_90.

    Raises:
        ImportError: as ``compiler_version``.
        RuntimeError: NVRTC does not name them.
    """
    compiler_version()
    from cuda.bindings import nvrtc

    status, numbers = nvrtc.nvrtcGetSupportedArchs()
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise RuntimeError(f"NVRTC does not name its architectures: {status}")
    return tuple(numbers)


def compile_program(program: Program, arch: str) -> bytes:
    """Machine code (cubin) of a program for ``arch``, such as "sm_90".

    Raises:
        ImportError: the extra ``mulfree[cuda]`` is not installed.
        CompilationError: the compiler refuses the program.
    """
    version = compiler_version()
    from cuda.core import Program as Source
    from cuda.core import ProgramOptions

    root = source_root()
    options = ProgramOptions(
        name=program.source,
        std=_STANDARD,
        arch=arch,
        ftz=True,
        fma=False,
        device_as_default_execution_space=True,
        define_macro=[("MF_TARGET", "cuda"), *program.defines],
        include_path=[str(root / "cuda"), str(root / "cuda" / "nvrtc"), str(root / "law")],
    )
    try:
        return bytes(Source((root / "cuda" / program.source).read_text(), "c++", options).compile("cubin").code)
    except Exception as error:  # cuda.core's own classes of errors carry the compiler's messages
        messages = str(error).replace("\0", "").strip()
        raise CompilationError(f"NVRTC {version} cannot compile {program} for {arch}: {messages}") from error


def machine_code(program: Program, arch: str, driver: str = "") -> bytes:
    """``compile_program``, kept in ``cache_folder()`` by sources, macros, architecture, compiler and driver."""
    key = hashlib.sha256(_sources_digest())
    key.update(repr((str(program), arch, compiler_version(), _STANDARD, driver)).encode())
    path = cache_folder() / "kernels" / f"{key.hexdigest()}.cubin"
    kept = _read(path)
    if kept is not None:
        return kept
    code = compile_program(program, arch)
    _write(path, code)
    return code


def _read(path: Path) -> bytes | None:
    """The code in a file of the cache; None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Atomically; a folder that cannot be written only costs a compilation in the next process."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(temporary, path)
    except OSError:
        return
