"""Moments within strata: of quantities that come in rounds, and of clouds of points."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Moments", "scatter_within"]

# Values of clouds that are converted to float64 together: 32 MiB, a few times.
VALUES_AT_A_TIME = 2**22


def scatter_within(clouds: Tensor, weights: Tensor) -> Tensor:
    """Sum the products of units about each cloud's own mean.

    Parameters
    ----------
    clouds : Tensor of shape (n_clouds, n_points, n_units)
    weights : Tensor of shape (n_clouds,), float64

    Returns
    -------
    scatter : Tensor of shape (n_units, n_units), float64
    """
    _, n_points, n_units = clouds.shape
    scatter = torch.zeros(n_units, n_units, dtype=torch.float64, device=clouds.device)
    size = max(1, VALUES_AT_A_TIME // (n_points * n_units))
    for part, weight in zip(clouds.split(size), weights.split(size), strict=True):
        steps = part.double()
        steps = (steps - steps.mean(1, keepdim=True)).flatten(0, 1)
        weight = weight.repeat_interleave(n_points)
        scatter += steps.mT @ (steps * weight[:, None])
    return scatter


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
