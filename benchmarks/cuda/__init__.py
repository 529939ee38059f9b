"""The CUDA kernels on a device: verified against the processor's, then timed beside torch."""
