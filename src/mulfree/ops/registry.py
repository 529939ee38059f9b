"""From one definition of an operation, its two routes: the registered operation and the direct call.

An operation is a schema, a kernel (plain tensors in, plain tensors out; it calls the
backend), a fake (shapes only) and, where it has one, a derivative. ``define`` registers
it with torch under ``mulfree::`` and returns the function that the floors above call:

- whenever anything watches or rewrites torch calls (dispatch and function modes,
  ``torch.compile`` and export, functorch transforms, tracing, tensor subclasses), it calls
  the registered operation, so that ``mulfree.audit`` and the compilers see it; likewise on the device ``meta``,
  where the fake serves;
- otherwise it calls the kernel at once, through a small ``torch.autograd.Function`` if a
  gradient is wanted. That saves several dispatcher round trips per call.

Derivatives are written with such functions, so the choice is made anew in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.library import Library

Kernel = Callable[..., Any]
Operation = Callable[..., Any]
Setup = Callable[[Any, tuple[Any, ...], Any], None]
"""Stores in the context (first) what the derivative needs of the arguments and the output."""

library = Library("mulfree", "DEF")

_PLAIN = frozenset({Tensor, torch.nn.Parameter, type(None)})
_dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_functorch_active = torch._C._are_functorch_transforms_active
_is_tracing = torch._C._is_tracing
_any_requires_grad = torch._C._any_requires_grad
_is_grad_enabled = torch.is_grad_enabled
_is_traced = torch.compiler.is_dynamo_compiling
"""True for the tracer of ``torch.compile``; what traces its graph afterwards, or exports, is a dispatch mode."""


def watched() -> bool:
    """True if torch calls made now are observed or rewritten, so that kernels must not be called directly."""
    return bool(_is_traced() or _dispatch_modes() or _function_modes() or _functorch_active() or _is_tracing())


def define(
    schema: str,
    kernel: Kernel,
    fake: Kernel,
    *,
    setup: Setup = lambda ctx, inputs, output: None,
    backward: Kernel | None = None,
) -> Operation:
    """Register ``mulfree::<schema>`` and return the function that calls it by the better route.

    Args:
        schema: in torch's notation, without namespace; arguments are positional, tensors first, and have no defaults.
        kernel: computes the result; sees no gradients.
        fake: returns empty tensors of the result's shape, dtype and strides.
        setup: see ``Setup``.
        backward: ``backward(ctx, *grads)`` returns one gradient or None per argument. An operation
            without it raises when a gradient through it is asked for.
    """
    name = schema.partition("(")[0]
    _register(name, schema, kernel)
    torch.library.register_fake(f"mulfree::{name}", fake, lib=library)
    derivative = _no_derivative(name) if backward is None else backward

    torch.library.register_autograd(f"mulfree::{name}", derivative, setup_context=setup, lib=library)
    registered = getattr(torch.ops.mulfree, name).default
    differentiable = _direct_function(name, kernel, setup, derivative)
    tensors = slice(sum("Tensor" in str(x.type) for x in registered._schema.arguments))
    assert all("Tensor" in str(x.type) for x in registered._schema.arguments[tensors]), "tensors come first"

    def call(*args: Any) -> Any:
        if forward_ad._current_level >= 0:
            _refuse_tangents(name, args)
        operands = args[tensors]
        if (
            _is_traced()
            or _dispatch_modes()
            or _function_modes()
            or _functorch_active()
            or _is_tracing()
            or not _PLAIN.issuperset(map(type, operands))
            or operands[0].is_meta
        ):
            return registered(*args)
        if _is_grad_enabled() and _any_requires_grad(*operands):
            return differentiable(*args)
        return kernel(*args)

    call.__name__ = call.__qualname__ = name
    return call


def define_in_place(schema: str, kernel: Kernel, mutated: tuple[int, ...]) -> Callable[..., None]:
    """``define`` for an operation on lists of tensors, without result or gradient; it changes lists ``mutated``."""
    name = schema.partition("(")[0]
    _register(name, schema, kernel)
    torch.library.register_fake(f"mulfree::{name}", lambda *args: None, lib=library)
    registered = getattr(torch.ops.mulfree, name).default

    def call(*args: Any) -> None:
        tensors = [x for arg in args if type(arg) is list for x in arg]
        if watched() or not _PLAIN.issuperset(map(type, tensors)):
            registered(*args)
            return
        kernel(*args)
        torch.autograd.graph.increment_version([x for i in mutated for x in args[i]])

    call.__name__ = call.__qualname__ = name
    return call


def _register(name: str, schema: str, kernel: Kernel) -> None:
    library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    library.impl(name, kernel, "CompositeExplicitAutograd")


def _direct_function(name: str, kernel: Kernel, setup: Setup, derivative: Kernel) -> Kernel:
    """``apply`` of an autograd function around ``kernel``, past the checks that ``call`` has already made."""

    def forward(ctx: Any, *args: Any) -> Any:
        output = kernel(*args)
        setup(ctx, args, output)
        return output

    methods = {"forward": staticmethod(forward), "backward": staticmethod(derivative)}
    function = type(f"Mulfree_{name}", (torch.autograd.Function,), methods)
    direct: Kernel = super(torch.autograd.Function, function).apply  # type: ignore[misc]
    return direct


def _refuse_tangents(name: str, args: tuple[Any, ...]) -> None:
    """torch would drop the tangents of a custom operation without a word."""
    for x in args:
        if isinstance(x, Tensor) and forward_ad.unpack_dual(x).tangent is not None:
            raise NotImplementedError(f"mulfree::{name} does not support forward-mode differentiation")


def _no_derivative(name: str) -> Kernel:
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            f"mulfree::{name} has no derivative: differentiating a gradient again is supported for "
            "mul, div, sum, approximate matrix products and convolutions, and exp2, log2, exp, log, sqrt"
        )

    return backward
