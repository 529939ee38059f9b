"""Kernels on NVIDIA GPUs: CUDA C++ sources, compiled at first use for the device at hand."""
