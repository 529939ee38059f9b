"""Benchmarks: each verifies the result first, then times ours and the rival in turns. Run with ``make bench``."""
