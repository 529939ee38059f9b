"""Train neural networks without a single floating-point multiplication."""
