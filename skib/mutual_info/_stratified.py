"""Means over stratified samples, with standard errors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["StratifiedMean"]


class StratifiedMean:
    """Weighted mean over strata (inputs), each sampled the same number of times.

    Parameters
    ----------
    weights : Tensor of shape (n_strata,), float64
        Weight of each stratum; they sum to 1.
    n_draws : int or None
        Independent draws per stratum that the samples of one stratum share; None when
        the samples share nothing.
    """

    def __init__(self, weights: Tensor, n_draws: int | None = None) -> None:
        self.weights = weights
        self.n_draws = n_draws
        self.n_samples = 0

    def add(self, terms: dict[str, Tensor], n_samples: int) -> None:
        """Add samples, ``n_samples`` neighbours for each stratum.

        Parameters
        ----------
        terms : dict of Tensors of shape (n_strata * n_samples,)
            One for each quantity, the same ones each time.
        n_samples : int
        """
        self.names = tuple(terms)
        values = torch.stack(list(terms.values()), dim=1)
        values = values.reshape(len(self.weights), n_samples, -1)
        mean = values.mean(1)
        squares = (values - mean[:, None]).square().sum(1)
        if self.n_samples == 0:
            self._means, self._squares = mean, squares
        else:
            # Chan, Golub and LeVeque's update of means and sums of squares.
            total, step = self.n_samples + n_samples, mean - self._means
            self._means = self._means + step * (n_samples / total)
            self._squares += squares + step**2 * (self.n_samples * n_samples / total)
        self.n_samples += n_samples

    def mean(self, name: str) -> float:
        """Weighted mean of a quantity."""
        return float(self.weights @ self._means[:, self.names.index(name)])

    def std_error(self, name: str) -> float:
        """Return the standard error of the mean of a quantity.

        With one sample per stratum the spread between strata stands in for the spread
        within, which can only make the error larger.
        """
        column = self.names.index(name)
        squared_weights = self.weights**2
        if self.n_samples == 1:
            spread = (self._means[:, column] - self.mean(name)) ** 2
            return math.sqrt(squared_weights @ spread / (1 - squared_weights.sum()))
        variance = self._squares[:, column] / (self.n_samples - 1)
        # The draws are a sample too: their error stays at any number of samples.
        share = 1 / self.n_samples + (1 / self.n_draws if self.n_draws else 0)
        return math.sqrt(squared_weights @ variance * share)
