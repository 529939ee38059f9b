"""Random changes of training images. Preparation of data: in ordinary arithmetic, outside of the training step."""

from mulfree.data.augment.batches import crop_and_flip, normalize

__all__ = ["crop_and_flip", "normalize"]
