"""Replacing the multiplications inside a call: the mode, the rules, and what stays as it is."""

from mulfree.replace.mode import Scope, run, uncompiled

__all__ = ["Scope", "run", "uncompiled"]
