"""A CUDA device made of the processor, so that what is above the kernels runs without one: tensors on "cuda" in torch's
dispatcher and autograd, streams and graphs, and the launcher with cuda-core on a driver of ours.

Loaded with ``python -m tests.cuda.simulation``, in a process of its own: it has to be there before torch.
"""
