"""Sums and squares, stratum by stratum, of quantities that come in rounds."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Moments"]


class Moments:
    """Mean and variance within strata of several quantities, a round at a time.

    Attributes
    ----------
    names : tuple of str
        The quantities, the same ones in each round.
    n_samples : int
        Samples of each stratum so far.
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.n_samples = 0

    def add(self, terms: dict[str, Tensor], n_strata: int) -> None:
        """Add samples, those of a stratum neighbours: tensors of (n_strata * n,)."""
        if not terms:
            return
        values = torch.stack(list(terms.values()), dim=1)
        assert bool(torch.isfinite(values).all()), "a term of an estimate is not finite"
        values = values.reshape(n_strata, -1, len(terms))
        if self.n_samples == 0:
            self.names = tuple(terms)
            # Squares about a point near the mean: their sums lose no digits.
            self._origin = values.mean(1)
            self._totals = torch.zeros_like(self._origin)
            self._squares = torch.zeros_like(self._origin)
        values = values - self._origin[:, None]
        self._totals += values.sum(1)
        self._squares += values.square().sum(1)
        self.n_samples += values.shape[1]

    def mean(self, name: str) -> Tensor:
        """Mean of each stratum."""
        column = self.names.index(name)
        return self._origin[:, column] + self._totals[:, column] / self.n_samples

    def variance(self, name: str) -> Tensor:
        """Variance of single samples within each stratum, of two samples or more."""
        column = self.names.index(name)
        total = self._totals[:, column]
        left = self._squares[:, column] - total**2 / self.n_samples
        # Rounding may leave a little less than nothing.
        return left.clamp_min(0) / (self.n_samples - 1)
