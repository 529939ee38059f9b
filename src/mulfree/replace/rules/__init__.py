"""What takes the place of each multiplying torch function, by its plain name."""

from mulfree.replace.rules import (  # noqa: F401 (they register themselves)
    algebra,
    attention,
    creation,
    elementwise,
    functions,
    random,
    recurrent,
    rows,
)
from mulfree.replace.rules._rule import RULES, Rule

__all__ = ["RULES", "Rule"]
