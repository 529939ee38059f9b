"""Signatures of the compiled kernels. Tensors are addresses of contiguous memory unless strides are given."""

from collections.abc import Sequence

_Operand = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Address, sizes and strides of a tensor that broadcasts."""

def targets() -> list[str]: ...
def target() -> str: ...
def choose(name: str, /) -> None: ...
def set_thread_team(team: int, /) -> None: ...
def operations() -> list[str]: ...
def flat(code: int, out: int, a: int, b: int, c: int, n: int, offset: int, threads: int, /) -> None: ...
def broadcast(
    code: int, out: int, sizes: tuple[int, ...], operands: tuple[_Operand, ...], offset: int, threads: int, /
) -> None: ...
def dropout(x: int, out: int, seed: int, n: int, first: int, threshold: int, scale: int, threads: int, /) -> None: ...
def sum(x: int, out: int, outer: int, n: int, inner: int, threads: int, /) -> None: ...
def softmax(x: int, out: int, stats: int, rows: int, n: int, threads: int, /) -> None: ...
def softmax_grad(grad: int, x: int, stats: int, out: int, rows: int, n: int, exact: bool, threads: int, /) -> None: ...
def log_softmax(x: int, out: int, stats: int, rows: int, n: int, threads: int, /) -> None: ...
def log_softmax_grad(
    grad: int, x: int, stats: int, out: int, rows: int, n: int, exact: bool, threads: int, /
) -> None: ...
def logsumexp(x: int, out: int, stats: int, rows: int, n: int, threads: int, /) -> None: ...
def logsumexp_grad(
    grad: int, x: int, stats: int, out: int, rows: int, n: int, exact: bool, threads: int, /
) -> None: ...
def count_targets(target: int, rows: int, classes: int, ignore_index: int, /) -> int: ...
def cross_entropy(
    x: int,
    target: int,
    out: int,
    stats: int,
    rows: int,
    n: int,
    ignore_index: int,
    smooth: bool,
    by_target: int,
    by_class: int,
    threads: int,
    /,
) -> None: ...
def cross_entropy_grad(
    grad: int,
    x: int,
    target: int,
    stats: int,
    out: int,
    rows: int,
    n: int,
    ignore_index: int,
    smooth: bool,
    by_target: int,
    by_class: int,
    exact: bool,
    threads: int,
    /,
) -> None: ...
def layer_norm(
    x: int, weight: int, bias: int, out: int, stats: int, rows: int, n: int, eps: int, count: int, threads: int, /
) -> None: ...
def layer_norm_grad(
    grad: int,
    x: int,
    weight: int,
    stats: int,
    out: int,
    by_weight: int,
    by_bias: int,
    rows: int,
    n: int,
    count: int,
    exact: bool,
    threads: int,
    /,
) -> None: ...
def batch_norm(
    x: int,
    weight: int,
    bias: int,
    out: int,
    stats: int,
    batch: int,
    channels: int,
    positions: int,
    eps: int,
    count: int,
    threads: int,
    /,
) -> None: ...
def batch_norm_grad(
    grad: int,
    x: int,
    weight: int,
    stats: int,
    out: int,
    by_weight: int,
    by_bias: int,
    batch: int,
    channels: int,
    positions: int,
    count: int,
    exact: bool,
    threads: int,
    /,
) -> None: ...
def adamw(
    param: int, grad: int, exp_avg: int, exp_avg_sq: int, n: int, scalars: Sequence[int], threads: int, /
) -> None: ...
def sgd(
    param: int, grad: int, buffer: int, n: int, scalars: Sequence[int], nesterov: bool, threads: int, /
) -> None: ...
def adam(
    param: int,
    grad: int,
    exp_avg: int,
    exp_avg_sq: int,
    max_exp_avg_sq: int,
    n: int,
    scalars: Sequence[int],
    threads: int,
    /,
) -> None: ...
def rmsprop(
    param: int,
    grad: int,
    square_avg: int,
    grad_avg: int,
    buffer: int,
    n: int,
    scalars: Sequence[int],
    threads: int,
    /,
) -> None: ...
def lion(param: int, grad: int, exp_avg: int, n: int, scalars: Sequence[int], threads: int, /) -> None: ...
def moving_average(average: int, param: int, n: int, share: int, threads: int, /) -> None: ...

MAX_BATCH_DIMS: int

def matmul(
    left: _Operand,
    right: _Operand,
    slope: _Operand | tuple[()],
    out: int,
    sizes: tuple[int, ...],
    depth: int,
    bias: int,
    format: int,
    mantissa_bits: int,
    offset: int,
    threads: int,
    /,
) -> None: ...
def repeat_tile(times: int) -> int: ...
def take_tile_counts() -> tuple[int, int, int]: ...
def convolve(
    x: Sequence[int],
    weight: int,
    bias: int,
    slope: Sequence[int],
    result: Sequence[int],
    axes: Sequence[Sequence[int]],
    sizes: Sequence[int],
    mantissa_bits: int,
    offset: int,
    threads: int,
    /,
) -> None: ...
def convolve_weight(
    dense: Sequence[int],
    x: Sequence[int],
    slope: int,
    result: int,
    axes: Sequence[Sequence[int]],
    sizes: Sequence[int],
    x_is_grad: bool,
    mantissa_bits: int,
    offset: int,
    threads: int,
    /,
) -> None: ...
