"""``[arithmetic]``: what of a training step is computed without multiplications, and all that follows from it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Annotated, Any, Literal, TypeVar, get_args

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mulfree.convert import convert
from mulfree.functional import Derivative, MantissaBits
from mulfree.numerics.number import PA
from mulfree.policy import Base, Group, GroupName, Policy, Products
from mulfree.train.settings import CHECKED, Rate

PolicyName = Literal["standard", "matmul", "full"]
Pass = Literal["both", "forward", "backward"]
Part = Literal[GroupName, "optimizer"]
PARTS: tuple[Part, ...] = (*get_args(GroupName), "optimizer")
_OF_POLICY: dict[PolicyName, tuple[Part, ...]] = {"standard": (), "matmul": ("matmul",), "full": PARTS}

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Derivatives:
    """``[arithmetic.derivative]``: "exact" or "approximate" for single groups; None for the policy's (table 3)."""

    matmul: Derivative | None = None
    softmax: Derivative | None = None
    norm: Derivative | None = None
    activation: Derivative | None = None
    elementwise: Derivative | None = None
    loss: Derivative | None = None


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Arithmetic:
    """``[arithmetic]``.

    Attributes:
        policy: "full": nothing multiplies (the last row of table 3); "matmul": only matrix products and convolutions
            are replaced (table 2); "standard": nothing is.
        parts: in place of the policy's, the groups of operations that are replaced, of matmul, softmax, norm,
            activation, elementwise, loss and optimizer. The last stands for optimizer, schedule, clipping and the
            division of gradients by the size of the batch.
        derivative: of single groups.
        mantissa_bits: that matrix products read of their operands, 1 to 23 (appendix D).
        narrow: the passes in which they read so few: "both" (the paper), "forward" or "backward".
        base: "2" for softmax and cross-entropy in base 2 (section 5), where they are replaced. Measurements of scores
            outside of the model, such as the validation loss and the order of a beam search, still read base e.
        compensation: factor on every product of matrix products (section 2.7); None for none.
    """

    policy: PolicyName = "full"
    parts: tuple[Part, ...] | None = None
    derivative: Derivatives = Field(default_factory=Derivatives)
    mantissa_bits: Annotated[int, Field(ge=1, le=23, strict=True)] = 23
    narrow: Pass = "both"
    compensation: Rate | None = None
    base: Base = "e"

    def __post_init__(self) -> None:
        if self.base == "2" and not {"softmax", "loss"} & set(self.replaced):
            raise ValueError('base = "2" needs softmax or loss among the groups that are replaced')

    @property
    def replaced(self) -> tuple[Part, ...]:
        return _OF_POLICY[self.policy] if self.parts is None else self.parts

    @property
    def multiplication_free(self) -> bool:
        """True if a whole training step shall have no multiplication."""
        return set(self.replaced) == set(PARTS)

    @property
    def label(self) -> str:
        """Short and different for different arithmetics; fit for file names."""
        parts = self.policy if self.parts is None else "+".join(self.parts) or "standard"
        chosen = [f"{group.name}-{kind}" for group in fields(self.derivative) if (kind := self._kind(group.name))]
        place = "" if self.narrow == "both" else f"-{self.narrow}"
        bits = [f"{self.mantissa_bits}bit{place}"] if self.mantissa_bits < 23 else []
        scale = [] if self.compensation is None else [f"x{self.compensation:g}"]
        base = ["base2"] if self.base == "2" else []
        return "_".join([parts, *chosen, *bits, *scale, *base])

    def _kind(self, group: str) -> Derivative | None:
        found: Derivative | None = getattr(self.derivative, group)
        return found

    def conversion(self) -> Policy:
        """The policy by which model and criterion are converted."""
        full = Policy.full()
        groups: dict[str, Any] = {}
        for name in get_args(GroupName):
            default = getattr(full, name).derivative
            derivative = self._kind(name) or default
            on = name in self.replaced
            groups[name] = Group(on=on, derivative=derivative)
        groups["matmul"] = Products(
            on="matmul" in self.replaced,
            derivative=groups["matmul"].derivative,
            mantissa_bits=self._mantissa_bits(),
            compensation=self.compensation,
        )
        return replace(full, base=self.base, **groups)

    def _mantissa_bits(self) -> MantissaBits:
        forward = self.mantissa_bits if self.narrow != "backward" else 23
        backward = self.mantissa_bits if self.narrow != "forward" else 23
        return forward if forward == backward else (forward, backward)

    def converted(self, module: _Module) -> _Module:
        """``module``, converted in place unless nothing of it is replaced."""
        policy = self.conversion()
        return module if policy.is_standard else convert(module, policy)

    @property
    def free_steps(self) -> bool:
        """True if optimizer, schedule, clipping and the division of gradients are replaced."""
        return "optimizer" in self.replaced

    def reciprocal(self, count: int, device: torch.device) -> Tensor:
        """1 / count, the gradient that enters a sum over ``count`` items: a PAD where steps are free."""
        share = float(PA(1.0) / PA(float(count))) if self.free_steps else 1.0 / count
        return torch.tensor(share, dtype=torch.float32, device=device)
