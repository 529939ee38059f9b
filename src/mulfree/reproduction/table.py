"""What a table of the paper is made of: cells, each a training in one arithmetic, and the paper's figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mulfree.recipes import Recipe
from mulfree.train.arithmetic import Arithmetic


@dataclass(frozen=True)
class Reported:
    """A figure of the paper.

    Attributes:
        mean: in per cent, or points of BLEU.
        spread: standard deviation over three seeds; None where the paper gives none.
    """

    mean: float
    spread: float | None = None


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Attributes:
        row, column: where it stands.
        recipe: what is trained.
        arithmetic: in which it is trained; the recipe's own is not used.
        paper: the paper's figure; None where it has none.
        paper_baseline: the figure that the paper compares it with.
    """

    row: str
    column: str
    recipe: Recipe
    arithmetic: Arithmetic
    paper: Reported | None = None
    paper_baseline: Reported | None = None

    @property
    def is_baseline(self) -> bool:
        return not self.arithmetic.replaced

    def run(self, seed: int) -> Recipe:
        """The recipe of one run: this cell's arithmetic, compared with nothing."""
        training = replace(self.recipe.training, seed=seed, compare="none")
        return replace(self.recipe, arithmetic=self.arithmetic, training=training)


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: such as "table3", with the task where it is not the paper's; files are named by it.
        title: what it shows.
        cells: in the order in which they are trained: of every recipe the baseline first.
        notes: what the reader has to know.
        columns: from left to right.
        alike: False if data or settings are not those of the paper, so that only differences compare with its figures.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    alike: bool = True

    @property
    def rows(self) -> list[str]:
        return list(dict.fromkeys(cell.row for cell in self.cells))

    def cell(self, row: str, column: str) -> Cell | None:
        return next((cell for cell in self.cells if (cell.row, cell.column) == (row, column)), None)

    def baseline(self, recipe: Recipe) -> Cell | None:
        """The cell that those of this recipe are compared with."""
        return next((cell for cell in self.cells if cell.is_baseline and cell.recipe.name == recipe.name), None)

    def only(self, rows: Iterable[str]) -> Table:
        """The table with these rows, and the baselines that they are compared with."""
        wanted = set(rows)
        kept = {cell.recipe.name for cell in self.cells if cell.row in wanted}
        cells = [c for c in self.cells if c.row in wanted or (c.is_baseline and c.recipe.name in kept)]
        return replace(self, cells=tuple(cells))
