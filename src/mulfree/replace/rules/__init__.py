"""What takes the place of each multiplying torch function, by its plain name."""

from mulfree.replace.rules import algebra, attention, creation, elementwise, functions, random, rows  # noqa: F401 (they register)
from mulfree.replace.rules._rule import RULES, Rule

__all__ = ["RULES", "Rule"]
