"""Random changes of training images. Preparation of data: in ordinary arithmetic, outside of the training step."""

from mulfree.data.augment.batches import crop_and_flip, erase, mix, normalize, soft_targets
from mulfree.data.augment.images import centre_crop, colour_jitter, random_resized_crop
from mulfree.data.augment.operations import rand_augment

__all__ = [
    "centre_crop",
    "colour_jitter",
    "crop_and_flip",
    "erase",
    "mix",
    "normalize",
    "rand_augment",
    "random_resized_crop",
    "soft_targets",
]
