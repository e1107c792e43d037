"""Engines: ways to sum kernels, and the choice of one.

An engine is made from clouds and levels, sums the kernels of the leaves that a tile of
queries keeps, and says how many neighbouring queries make a tile.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.kernel_sums.torch_engine import TorchEngine

# Up to this many centres float64 costs little, and closed forms hold to 1e-10.
DOUBLE_UP_TO_CENTERS = 4096

# With fewer pairs torch is done before a compiled kernel is loaded.
COMPILED_FROM_PAIRS = 1 << 26


class Engine(Protocol):
    """Kernel sums over some clouds.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    levels : Levels
        Which draws to sum together.
    """

    queries_per_tile: int
    levels: Levels

    def __init__(self, clouds: Clouds, levels: Levels) -> None: ...

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query.

        Parameters
        ----------
        queries : Queries
            In order.
        kept : Tensor of shape (n_tiles, n_leaves), bool
            Leaves to sum over, tile by tile.

        Returns
        -------
        own : Tensor of shape (n_queries, n_levels), float64
        others : Tensor of shape (n_queries, n_levels, n_columns), float64
        others_log : Tensor of shape (n_queries, n_levels), float64
        """


def working_dtype(n_centers: int) -> torch.dtype:
    """Precision in which kernels of so many centres are summed."""
    return torch.float64 if n_centers <= DOUBLE_UP_TO_CENTERS else torch.float32


def choose_engine(
    name: str, device: torch.device, n_centers: int, n_queries: int
) -> type[Engine]:
    """Return the engine of this name; for "auto", one that the work repays."""
    if name == "auto":
        repays = n_centers > DOUBLE_UP_TO_CENTERS or (
            n_centers * n_queries >= COMPILED_FROM_PAIRS
        )
        name = _compiler_for(device) if repays else "torch"
    if name == "torch":
        return TorchEngine
    # Imported here: numba is an extra, and triton comes with torch for CUDA only.
    if name == "triton":
        return _triton_engine()
    from skib._numerics.kernel_sums.numba_engine import NumbaEngine

    return NumbaEngine


def _compiler_for(device: torch.device) -> str:
    if device.type == "cpu" and find_spec("numba") is not None:
        return "numba"
    if device.type == "cuda" and find_spec("triton") is not None and _triton_compiles():
        return "triton"
    return "torch"


def _triton_compiles() -> bool:
    # Torch 2.4 brought triton 3, of which some versions need a C compiler at hand.
    has_compiler = "CC" in os.environ or any(map(shutil.which, ("gcc", "clang")))
    return torch.__version__ >= "2.4" and has_compiler


def _triton_engine() -> type[Engine]:
    if find_spec("triton") is None:
        raise ImportError(
            "engine='triton' needs triton, which is not installed. It comes with "
            "PyTorch for CUDA; `pip install triton` adds it where it does not. "
            "engine='auto' does without."
        )
    from skib._numerics.kernel_sums.triton_engine import TritonEngine

    return TritonEngine
