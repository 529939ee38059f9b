"""Make a model compute without multiplication, see what that does to it, and undo it."""

from mulfree.convert.conversion import Where, convert, revert
from mulfree.convert.summary import Summary, summary

__all__ = ["Summary", "Where", "convert", "revert", "summary"]
