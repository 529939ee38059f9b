"""``python -m tests.cuda.simulation [--default] MODULE [ARGUMENT ...]`` runs a module, such as pytest, where there is a
simulated device; ``--default`` makes it the device of tensors that name none.
"""

from __future__ import annotations

import ctypes
import runpy
import subprocess
import sys


def _load() -> ctypes.CDLL:
    """Before torch is imported, which asks for its devices once."""
    build = [sys.executable, "-m", "tests.cuda.simulation.build"]
    path = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)


def _start() -> None:
    device = _load()

    from mulfree.backends.cuda import launcher
    from mulfree.backends.cuda.kernels import Program
    from tests.cuda.build import built
    from tests.cuda.simulation import torch_cuda

    torch_cuda.install(device)

    def machine_code(program: Program, arch: str, driver: str = "") -> bytes:
        """What the simulated driver loads."""
        return str(built(program)[1]).encode() + b"\0"

    launcher.machine_code = machine_code


if __name__ == "__main__":
    _start()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "--default":
        import torch

        torch.set_default_device("cuda")
        sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
