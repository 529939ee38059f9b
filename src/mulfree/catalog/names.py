"""How the tables write the names of operations.

An operation is named as in torch's dispatcher, without its overload, a leading ``_foreach_`` and a trailing
underscore: ``aten::_foreach_add_`` is ``add``.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


def plain_name(name: str) -> str:
    """``_foreach_add_`` -> ``add``; names with double underscores at both ends stay."""
    if name.startswith("__"):
        return name
    return name.removeprefix("_foreach_").rstrip("_")
