"""Reading Liberty files, as far as energy and delay need them: pins' capacitances, tables of delay, slew and energy."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_TOKENS: Final = re.compile(r'"(?P<text>[^"]*)"|(?P<word>[^\s{}();:,"\\]+)|(?P<mark>[{}();:,])')
_REMARKS: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


class LibertyError(ValueError):
    """A file is no Liberty file, or lacks what is needed of it."""


@dataclass
class Group:
    """``name (arguments) { ... }``, or an attribute ``name (arguments);`` with nothing inside."""

    name: str
    arguments: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def all(self, name: str) -> list[Group]:
        return [group for group in self.groups if group.name == name]

    def one(self, name: str) -> Group | None:
        return next(iter(self.all(name)), None)

    @property
    def numbers(self) -> list[float]:
        """All numbers of the arguments."""
        return [float(number) for argument in self.arguments for number in re.split(r"[\s,]+", argument.strip())]


def parse(text: str) -> Group:
    """The group ``library`` of a file.

    Raises:
        LibertyError: it has none, or ends within one.
    """
    tokens = _tokens(text)
    root = Group("file")
    try:
        _fill(root, tokens, nested=False)
    except StopIteration:
        raise LibertyError("the file ends within a group") from None
    library = root.one("library")
    if library is None:
        raise LibertyError("there is no library in the file")
    return library


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words and marks; true for marks."""
    for found in _TOKENS.finditer(_REMARKS.sub(" ", text)):
        yield (found["text"] or found["word"] or found["mark"] or ""), found["mark"] is not None


def _fill(group: Group, tokens: Iterator[tuple[str, bool]], *, nested: bool) -> None:
    """Read statements until the group's end, or of the file."""
    for name, mark in tokens:
        if mark and name == "}" and nested:
            return
        if mark:
            continue  # a semicolon more than needed
        after, _ = next(tokens)
        if after == ":":
            group.values[name] = _value(tokens)
        elif after == "(":
            inner = Group(name, _arguments(tokens))
            group.groups.append(inner)
            if next(tokens, ("", True)) == ("{", True):
                _fill(inner, tokens, nested=True)
        else:
            raise LibertyError(f"expected ':' or '(' after {name}, got {after!r}")
    if nested:
        raise StopIteration


def _value(tokens: Iterator[tuple[str, bool]]) -> str:
    words = []
    while (token := next(tokens)) != (";", True):
        words.append(token[0])
    return " ".join(words)


def _arguments(tokens: Iterator[tuple[str, bool]]) -> list[str]:
    found = []
    while (token := next(tokens)) != (")", True):
        if not token[1]:
            found.append(token[0])
    return found


@dataclass(frozen=True)
class Table:
    """Values over load and slew, between them linear, beyond them as at the end.

    Attributes:
        loads, slews: ascending; one number where the values do not depend on it.
        values: one row for each load.
    """

    loads: Sequence[float]
    slews: Sequence[float]
    values: Sequence[Sequence[float]]

    def at(self, load: float, slew: float) -> float:
        row, across = _place(self.loads, load)
        column, along = _place(self.slews, slew)
        lower, upper = ([line[column], line[min(column + 1, len(line) - 1)]] for line in self._rows(row))
        ends = [start + along * (end - start) for start, end in (lower, upper)]
        return ends[0] + across * (ends[1] - ends[0])

    def _rows(self, row: int) -> tuple[Sequence[float], Sequence[float]]:
        return self.values[row], self.values[min(row + 1, len(self.values) - 1)]


def _place(axis: Sequence[float], number: float) -> tuple[int, float]:
    """Interval and place within it, the last or first one if it is outside: then beyond 0 to 1."""
    if len(axis) == 1:
        return 0, 0.0
    index = min(max(bisect_right(axis, number) - 1, 0), len(axis) - 2)
    return index, (number - axis[index]) / (axis[index + 1] - axis[index])


def table(group: Group, templates: dict[str, Group]) -> Table:
    """A group such as ``cell_rise(template) { index_1(...); values(...); }``.

    Raises:
        LibertyError: it has other variables than load and slew.
    """
    template = templates.get(group.arguments[0] if group.arguments else "", Group("scalar"))
    axes: dict[str, list[float]] = {}
    for number in (1, 2, 3):
        if variable := template.values.get(f"variable_{number}"):
            index = group.one(f"index_{number}") or template.one(f"index_{number}")
            kind = "load" if "capacitance" in variable else "slew" if "transition" in variable else variable
            axes[kind] = index.numbers if index else []
    if stray := set(axes) - {"load", "slew"}:
        raise LibertyError(f"a table depends on {min(stray)}")
    found = group.one("values")
    if found is None:
        raise LibertyError(f"{group.name} has no values")
    return _arranged(axes, found.numbers)


def _arranged(axes: dict[str, list[float]], numbers: list[float]) -> Table:
    loads, slews = axes.get("load", [0.0]), axes.get("slew", [0.0])
    if len(numbers) != len(loads) * len(slews):
        raise LibertyError(f"a table of {len(loads)} loads and {len(slews)} slews has {len(numbers)} values")
    if next(iter(axes), "load") == "load":
        rows = [numbers[i * len(slews) : (i + 1) * len(slews)] for i in range(len(loads))]
    else:
        rows = [numbers[i :: len(loads)] for i in range(len(loads))]
    return Table(loads, slews, rows)
