"""Reading Liberty files, as far as energy and delay need them: pins' capacitances, tables of delay, slew and energy."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_TOKENS: Final = re.compile(
    r'"(?P<text>(?:[^"\\]|\\.)*)"'
    r"|(?P<remark>/\*.*?\*/|//[^\n]*|\\\s*\n)"
    r"|(?P<mark>[{}();:,\n])"
    r"|(?P<word>[^\s{}();:,\"\\]+)",
    re.DOTALL,
)
_END: Final = ("", True)


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
        words = re.split(r"[\s,\\]+", " ".join(self.arguments).strip(" ,\\\n\t"))
        try:
            return [float(word) for word in words]
        except ValueError as error:
            raise LibertyError(f"expected numbers in {self.name}: {error}") from error


def parse(text: str) -> Group:
    """The group ``library`` of a file. A value ends with its semicolon or, as files in use have it, with its line.

    Raises:
        LibertyError: it has none, or ends within one.
    """
    root = Group("file")
    _Reader(text).fill(root, nested=False)
    library = root.one("library")
    if library is None:
        raise LibertyError("there is no library in the file")
    return library


class _Reader:
    """Words, and true for marks, one after another."""

    def __init__(self, text: str) -> None:
        self._tokens = [
            (found["text"] or found["word"] or found["mark"] or "", found["mark"] is not None)
            for found in _TOKENS.finditer(text)
            if found["remark"] is None
        ]
        self._place = 0

    def fill(self, group: Group, *, nested: bool) -> None:
        """Read statements until the group's end, or the file's."""
        while (token := self._next()) != (("}", True) if nested else _END):
            if token == _END:
                raise LibertyError("the file ends within a group")
            if token[1]:
                continue  # a semicolon more than needed
            after = self._next()
            if after == (":", True):
                group.values[token[0]] = self._value()
            elif after == ("(", True):
                inner = Group(token[0], self._arguments())
                group.groups.append(inner)
                if self._peek() == ("{", True):
                    self._next()
                    self.fill(inner, nested=True)
            else:
                raise LibertyError(f"expected ':' or '(' after {token[0]}, got {after[0]!r}")

    def _peek(self, *, lines: bool = False) -> tuple[str, bool]:
        """The next token, ends of lines left out unless asked for."""
        while not lines and self._place < len(self._tokens) and self._tokens[self._place] == ("\n", True):
            self._place += 1
        return self._tokens[self._place] if self._place < len(self._tokens) else _END

    def _next(self) -> tuple[str, bool]:
        token = self._peek()
        self._place += 1
        return token

    def _value(self) -> str:
        words = [self._next()[0]]
        while (token := self._peek(lines=True)) not in (("\n", True), ("}", True), _END):
            self._place += 1
            if token == (";", True):
                break
            words.append(token[0])
        return " ".join(words)

    def _arguments(self) -> list[str]:
        found = []
        while (token := self._next()) != (")", True):
            if token == _END:
                raise LibertyError("the file ends within a group")
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
