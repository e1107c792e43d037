"""Set up torch and Triton before the first test is imported."""

import os

import torch

# Tiny tensors all over: one thread is faster than two that wait for each other.
torch.set_num_threads(1)

# Without a GPU, Triton interprets its kernels if told so before it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
