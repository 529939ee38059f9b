"""What the compiler makes of the CUDA kernels; no device is needed."""
