"""One torch thread for small work, where a second costs more than it gives."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from skib._numerics.threads import torch_threads

__all__ = ["threads_for"]

# Multiplications between two synchronisations: below, threads only wait.
WORTH_TWO = 2**24


def threads_for(n_multiplications: int) -> AbstractContextManager[None]:
    """Use one torch thread while the work is small; restore the number after."""
    small = n_multiplications < WORTH_TWO
    return torch_threads(1 if small else torch.get_num_threads())
