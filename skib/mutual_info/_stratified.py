"""Means over stratified samples, with standard errors.

The strata are the inputs. Samples of an input start from draws of its law, and those
that share a draw form a cluster: more noise on the same draws lowers only a part of
the error.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from skib._numerics.geometry import spatial_order

__all__ = ["StratifiedMean"]


class Spread(NamedTuple):
    """Variances of one quantity in each stratum.

    Attributes
    ----------
    of_mean : Tensor of shape (n_strata,)
        Variance of the mean over the stratum's samples.
    between_draws : Tensor of shape (n_strata,)
        Variance, over draws, of the mean over the noise. The whole variance of a
        sample, which is not smaller, while no draw was sampled twice.
    """

    of_mean: Tensor
    between_draws: Tensor


class StratifiedMean:
    """Weighted mean over strata (inputs), each sampled the same number of times.

    Parameters
    ----------
    weights : Tensor of shape (n_strata,), float64
        Weight of each stratum; they sum to 1.
    places : Tensor of shape (n_strata, n_features)
        Where each stratum lies: sampled once each, neighbours lend their difference
        for the spread within.
    n_draws : int or None, default=None
        Independent draws that stand for the law of each stratum; None when every
        sample is independent.
    """

    def __init__(
        self, weights: Tensor, places: Tensor, n_draws: int | None = None
    ) -> None:
        self.weights = weights
        self.places = places
        self.n_draws = n_draws
        self.n_samples = 0

    def add(
        self,
        terms: dict[str, Tensor],
        n_samples: int,
        *,
        draws: Tensor | None = None,
        influences: dict[str, Tensor] | None = None,
    ) -> None:
        """Add samples, ``n_samples`` neighbours for each stratum.

        Parameters
        ----------
        terms : dict of Tensors of shape (n_strata * n_samples,)
            One for each quantity, the same ones each time.
        n_samples : int
        draws : integer Tensor of shape (n_strata * n_samples,), default=None
            Which draw each sample starts from, where the strata have draws.
        influences : dict of Tensors of shape (n_strata * n_samples,), default=None
            By how much a draw moves a quantity, where that is not the mean of its
            terms over the noise: the terms of all samples depend on every draw.
        """
        influences = influences or {}
        values = torch.stack([*terms.values(), *influences.values()], dim=1)
        assert bool(torch.isfinite(values).all()), "a term of an estimate is not finite"
        values = values.reshape(len(self.weights), n_samples, -1)
        if self.n_samples == 0:
            self.names, self._influences = tuple(terms), tuple(influences)
            self._start_sums(values)
        # Squares about a point near the mean: their sums lose no digits.
        values = values - self._origin
        self._totals += values.sum(1)
        self._squares += values.square().sum(1)
        if self.n_draws is not None:
            assert draws is not None, "strata that have draws need those of the samples"
            strata = torch.arange(len(values), device=draws.device)
            cells = strata.repeat_interleave(n_samples) * self.n_draws + draws
            self._add_to_draws(cells, values.flatten(0, 1))
        self.n_samples += n_samples

    def mean(self, name: str) -> float:
        """Weighted mean of a quantity."""
        column = self.names.index(name)
        means = self._totals[:, column] / self.n_samples
        return float(self.weights @ means + self._origin[column])

    def std_error(self, name: str) -> float:
        """Return the standard error of the mean of a quantity."""
        own = self._spread(self.names.index(name))
        variance = float(self.weights**2 @ own.of_mean)
        if self.n_draws is not None and name in self._influences:
            # The draws sampled enter by their terms; that all terms depend on all
            # draws adds what the influence has more than these. An estimate of that
            # may be negative, and the error not less for it.
            excess = self._influence(name).between_draws - own.between_draws
            variance += max(0.0, float(self.weights**2 @ excess) / self.n_draws)
        # Rounding may leave a little less than none.
        return math.sqrt(max(0.0, variance))

    def draw_error(self, name: str) -> float:
        """Return the part of the error that more noise on the same draws leaves.

        0 as long as no draw was sampled twice, since it is not known then.
        """
        if self.n_draws is None or not bool((self._draw_counts > 1).any()):
            return 0.0
        between = self._influence(name).between_draws
        return math.sqrt(max(0.0, float(self.weights**2 @ between) / self.n_draws))

    def _start_sums(self, values: Tensor) -> None:
        n_strata, _, n_columns = values.shape
        self._origin = values.mean((0, 1))
        self._totals = values.new_zeros(n_strata, n_columns)
        self._squares = values.new_zeros(n_strata, n_columns)
        if self.n_draws is not None:
            # Of the draws visited only: all of them would fill memory.
            self._draws = torch.arange(0, device=values.device)
            self._draw_totals = values.new_zeros(0, n_columns)
            self._draw_counts = torch.arange(0, device=values.device)

    def _add_to_draws(self, draws: Tensor, values: Tensor) -> None:
        known, n_known = self._draws, len(self._draws)
        self._draws, place = torch.cat([known, draws]).unique(return_inverse=True)
        totals = values.new_zeros(len(self._draws), values.shape[1])
        totals[place[:n_known]] = self._draw_totals
        counts = place[n_known:].bincount(minlength=len(totals))
        counts[place[:n_known]] += self._draw_counts
        self._draw_totals = totals.index_add_(0, place[n_known:], values)
        self._draw_counts = counts

    @cached_property
    def _neighbours(self) -> Tensor:
        return spatial_order(self.places, leaf_size=2)

    def _influence(self, name: str) -> Spread:
        if name not in self._influences:
            return self._spread(self.names.index(name))
        return self._spread(len(self.names) + self._influences.index(name))

    def _spread(self, column: int) -> Spread:
        total, squares = self._totals[:, column], self._squares[:, column]
        if self.n_samples == 1:
            variance = _neighbour_variance(total, self._neighbours)
            return Spread(variance, variance)
        if self.n_draws is None:
            variance = (squares - total**2 / self.n_samples) / (self.n_samples - 1)
            return Spread(variance / self.n_samples, variance)
        return _clustered_spread(
            self._draws // self.n_draws,
            self._draw_totals[:, column],
            self._draw_counts,
            squares,
        )


def _clustered_spread(
    strata: Tensor, totals: Tensor, counts: Tensor, squares: Tensor
) -> Spread:
    """Split the variance of samples into that between draws and that within.

    The analysis of variance of one factor with unequal counts.

    Parameters
    ----------
    strata : integer Tensor of shape (n_visited_draws,)
        Stratum of each draw.
    totals, counts : Tensors of shape (n_visited_draws,)
        Sum and number of the samples of each draw.
    squares : Tensor of shape (n_strata,)
        Sum of the squares of all samples.
    """

    def by_stratum(values: Tensor) -> Tensor:
        return torch.zeros_like(squares).index_add_(0, strata, values.to(squares))

    n_samples, n_visited = by_stratum(counts), by_stratum(torch.ones_like(counts))
    mean = by_stratum(totals) / n_samples
    deviations = by_stratum((totals - counts * mean[strata]).square())
    of_mean = deviations / n_samples**2 * n_visited / (n_visited - 1)
    of_draws = by_stratum(totals**2 / counts)
    within = (squares - of_draws) / (n_samples - n_visited).clamp_min(1)
    between = of_draws - n_samples * mean**2 - (n_visited - 1) * within
    return Spread(of_mean, between / (n_samples - by_stratum(counts**2) / n_samples))


def _neighbour_variance(values: Tensor, order: Tensor) -> Tensor:
    """Variance within strata of one sample each, by the difference of neighbours.

    Collapsed strata: the squared difference of two samples has the mean of twice
    their variance, more where their means differ too.
    """
    position = torch.arange(len(order), device=order.device)
    # Partners stand side by side; a last one without takes the one before it.
    partner = torch.where((position ^ 1) < len(order), position ^ 1, position - 1)
    variance = torch.empty_like(values)
    variance[order] = (values[order] - values[order[partner]]).square() / 2
    return variance
