"""A recipe small enough for the reference backend: nine steps, three an epoch."""

TINY = """
description = "A few digits"
source = "the tests"
[task]
kind = "digits"
batch_size = 8
width = 8
depth = 1
heads = 2
patch_size = 4
dropout = 0.1
images = 24
[optimizer]
kind = "adamw"
lr = 2e-3
weight_decay = 0.05
[schedule]
kind = "cosine"
warmup_steps = 2
[training]
epochs = 3
log_every = 1
[arithmetic]
policy = "full"
"""
