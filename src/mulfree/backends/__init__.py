"""Where the operations run: one contract, a reference in torch integer operations, native kernels."""
