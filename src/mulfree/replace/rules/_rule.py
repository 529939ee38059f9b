"""What a rule is and how rules are registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mulfree.policy import GroupName, Policy

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """What takes the place of the torch functions of one name.

    Attributes:
        apply: called as ``apply(policy, *args, **kwargs)`` with the arguments of the torch function.
        groups: of the policy; if all are off the torch function stays.
        composition: the function in plain torch operations, run under the mode if only some of the groups are on.
        closed: integers in, integers out: then the torch function stays.
    """

    apply: Callable[..., Any]
    groups: tuple[GroupName, ...]
    composition: Callable[..., Any] | None = None
    closed: bool = False


RULES: dict[str, Rule] = {}
"""By the plain name of the torch function."""


def rule(
    *names: str,
    groups: tuple[GroupName, ...] = ("elementwise",),
    composition: Callable[..., Any] | None = None,
    closed: bool = False,
) -> Callable[[_Function], _Function]:
    """Register the decorated function as the rule for ``names``."""

    def register(function: _Function) -> _Function:
        entry = Rule(function, groups, composition, closed)
        for name in names:
            assert name not in RULES, name
            RULES[name] = entry
        return function

    return register


def direct(group: GroupName, function: Callable[..., Any], *names: str, closed: bool = False) -> None:
    """Register a function of ``mulfree.functional`` that takes the arguments of torch's as they are."""
    options = product_options if group == "matmul" else derivative_of(group)

    def apply(policy: Policy, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs, **options(policy))

    rule(*(names or (function.__name__,)), groups=(group,), closed=closed)(apply)


def plain(group: GroupName, function: Callable[..., Any], *names: str, closed: bool = False) -> None:
    """``direct`` for a function without options."""

    def apply(policy: Policy, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    rule(*(names or (function.__name__,)), groups=(group,), closed=closed)(apply)


def product_options(policy: Policy) -> dict[str, Any]:
    """The options of matrix products."""
    products = policy.matmul
    return {
        "derivative": products.derivative,
        "mantissa_bits": products.mantissa_bits,
        "compensation": products.compensation,
    }


def derivative_of(group: GroupName) -> Callable[[Policy], dict[str, Any]]:
    def options(policy: Policy) -> dict[str, Any]:
        return {"derivative": getattr(policy, group).derivative}

    return options
