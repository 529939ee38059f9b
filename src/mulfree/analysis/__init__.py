"""Studies of the arithmetic: figures and checks beside those of the paper."""

from mulfree.analysis.affinity import Slice, is_piecewise_affine, slice_along

__all__ = ["Slice", "is_piecewise_affine", "slice_along"]
