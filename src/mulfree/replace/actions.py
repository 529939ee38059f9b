"""From a torch function and a policy to what happens when a converted module calls the function.

In this order: a rule takes its place; it is free of multiplications and stays; it is a composition, written here or the
body of a Python function of torch, that runs under the mode; or it multiplies and has no piecewise affine form, which
is an error unless the policy allows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves

from mulfree.catalog import CONDITIONAL, FREE
from mulfree.catalog.sources import user_line
from mulfree.policy import Policy
from mulfree.replace.bodies import body_of
from mulfree.replace.free import FREE_CALLS, NOT_FREE
from mulfree.replace.rules import RULES, Rule
from mulfree.replace.rules._schema import is_dispatcher_form, translated
from mulfree.replace.rules.compositions import COMPOSITIONS

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]
Function = Callable[..., Any]
Action = Callable[[TorchFunctionMode, Arguments, Keywords], Any]

_DEEPEST = 8
"""Nested calls of one composition; more is taken for a function that only comes back to itself."""

_OPERATORS = frozenset({"add", "sub", "rsub", "mul", "div", "floor_divide", "pow", "matmul"})

_DUNDERS = {"truediv": "div", "div": "div", "floordiv": "floor_divide", "mod": "remainder"}


def plain_name(function: Function) -> tuple[str, bool]:
    """The name under which rules know a torch function, and whether the call changes its first argument.

    ``torch.mul``, ``Tensor.mul_``, ``Tensor.__imul__`` and ``torch.ops.aten.mul.Tensor`` are all ``mul``.
    """
    if isinstance(function, torch._ops.OpOverload):
        name = function._schema.name.partition("::")[2]
    else:
        name = function.__name__
    if name.startswith("__") and name.endswith("__"):
        inner = name.strip("_")
        if inner.startswith("i") and inner[1:] in ("add", "sub", "mul", "pow", "matmul", *_DUNDERS):
            return _DUNDERS.get(inner[1:], inner[1:]), True
        if inner in ("add", "radd", "sub", "mul", "rmul", "matmul", "pow"):
            return inner.removeprefix("r"), False
        return _DUNDERS.get(inner, name), False
    if name.endswith("_"):
        return name.rstrip("_"), True
    return name, False


def action_for(function: Function, policy: Policy) -> Action | None:
    """What to do when ``function`` is called under ``policy``; None to call it as it is."""
    name, in_place = plain_name(function)
    if policy.is_standard or policy.allows(name):
        return None
    names = (name, name.removeprefix("special_"), name.removeprefix("linalg_"))
    for known in names:
        if known in RULES:
            replaced = _replaced(function, known, RULES[known], policy)
            return _in_place(replaced, function) if replaced and in_place else replaced
    if name in CONDITIONAL:
        return _conditional(function, name)
    if name not in NOT_FREE and (name in FREE or name in FREE_CALLS or function.__name__ in FREE_CALLS):
        return None
    written = next((COMPOSITIONS[known] for known in names if known in COMPOSITIONS), None)
    if written is not None:
        composed = _composed(written, _unsupported(function, name))
        return _in_place(composed, function) if in_place else composed
    body = body_of(function)
    return _unsupported(function, name) if body is None else _composed(body, _unsupported(function, name))


def _replaced(function: Function, name: str, rule: Rule, policy: Policy) -> Action | None:
    on = [getattr(policy, group).on for group in rule.groups]
    if not any(on):
        return None
    apply, composition, closed = rule.apply, rule.composition, rule.closed
    if is_dispatcher_form(function, name):
        apply = translated(apply, function, name)
    # A fused softmax is in base e.
    in_single_operations = policy.base != "e" and composition is not None and "softmax" in rule.groups
    if not all(on) or in_single_operations:
        assert composition is not None, name
        return _composed(composition, _unsupported(function, name))

    def action(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        if closed and not _takes_floats(args, kwargs):
            return function(*args, **kwargs)
        out = kwargs.pop("out", None) if kwargs else None
        result = apply(policy, *args, **kwargs)
        return result if out is None else _written(result, out)

    return _outspoken(action) if name in _OPERATORS else action


def _outspoken(action: Action) -> Action:
    """A TypeError within an operator would become Python's "unsupported operand type(s)", without the reason."""

    def outspoken(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        try:
            return action(mode, args, kwargs)
        except TypeError as error:
            raise RuntimeError(str(error)) from error

    return outspoken


def _takes_floats(args: Arguments, kwargs: Keywords) -> bool:
    """True if an argument is a number or tensor with a fraction, lists included."""
    for x in args:
        if isinstance(x, Tensor):
            if x.is_floating_point():
                return True
        elif isinstance(x, float):
            return True
    return any(
        x.is_floating_point() or x.is_complex() if isinstance(x, Tensor) else isinstance(x, float | torch.dtype)
        for x in tree_leaves((args, kwargs))
    )


def _written(result: Any, out: Any) -> Tensor:
    if not (isinstance(out, Tensor) and isinstance(result, Tensor)):
        raise NotImplementedError("out= is supported for a single tensor only")
    if not torch.can_cast(result.dtype, out.dtype):
        raise RuntimeError(f"result type {result.dtype} can't be cast to {out.dtype} of 'out'")
    if out.shape != result.shape:
        out.resize_(result.shape)
    return out.copy_(result)


def _in_place(replaced: Action, function: Function) -> Action:
    def action(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        target: Tensor = args[0]
        if torch.is_grad_enabled():  # the derivative needs the operand as it was
            before = target.clone()
            args = tuple(before if x is target else x for x in args)
        result = replaced(mode, args, kwargs)
        if result is target:
            return target
        if result.shape != target.shape:
            raise RuntimeError(
                f"{function.__name__}(): the result of shape {tuple(result.shape)} does not fit the tensor of shape "
                f"{tuple(target.shape)} that it shall be written to"
            )
        if not torch.can_cast(result.dtype, target.dtype):
            raise RuntimeError(
                f"{function.__name__}(): result type {result.dtype} can't be cast to {target.dtype} of the tensor that "
                "it shall be written to"
            )
        return target.copy_(result)

    return action


def _composed(body: Function, otherwise: Action) -> Action:
    """Run a composition under the mode; one that only comes back to itself is none."""
    running = threading.local()

    def action(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        depth = getattr(running, "depth", 0)
        if depth >= _DEEPEST:
            return otherwise(mode, args, kwargs)
        running.depth = depth + 1
        try:
            with mode:
                return body(*args, **kwargs)
        finally:
            running.depth = depth

    return action


def _conditional(function: Function, name: str) -> Action:
    """A function whose arguments decide whether it multiplies."""
    multiplies, otherwise = CONDITIONAL[name], _unsupported(function, name)
    schema = function._schema if isinstance(function, torch._ops.OpOverload) else None

    def action(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        names = [argument.name for argument in (schema or _schema_of(name, len(args))).arguments]
        given = dict(zip(names, args, strict=False)) | kwargs
        return otherwise(mode, args, kwargs) if multiplies(given) else function(*args, **kwargs)

    return action


def _schema_of(name: str, positional: int) -> Any:
    """The first schema of the dispatcher's operation with room for that many positional arguments."""
    packet = getattr(torch.ops.aten, name)
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    return next(schema for schema in schemas if len(schema.arguments) >= positional)


def _unsupported(function: Function, name: str) -> Action:
    def action(mode: TorchFunctionMode, args: Arguments, kwargs: Keywords) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if tensors and not any(x.is_floating_point() or x.is_complex() for x in tensors):
            result = function(*args, **kwargs)
            if not any(isinstance(x, Tensor) and x.is_floating_point() for x in tree_leaves(result)):
                return result
        scope = getattr(mode, "scope", None)
        within = f" in module '{scope.module}'" if scope is not None and scope.module else ""
        raise NotImplementedError(
            f"{resolve_name(function) or name}: not known to be free of multiplications and without a piecewise affine "
            f"form; called at {user_line() or 'an unknown line'}{within}. Leave it as it is with "
            f"Policy(allow=('{name}',)), or exclude the module with convert(..., where=...)"
        )

    return action
