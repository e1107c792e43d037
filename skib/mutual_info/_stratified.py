"""Means over inputs (strata) of terms at noisy samples of each, with standard errors.

Two ways to sample: points made from draws that are given (`GivenDraws`), where more
noise on the same draws lowers only a part of the error; and passes through a network,
each a point and a draw at once (`FreshPasses`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from skib._numerics.geometry import spatial_order
from skib._numerics.moments import Moments
from skib.mutual_info._information import Estimate

__all__ = ["FreshPasses", "GivenDraws", "StratifiedMean", "Terms", "wanted_n_mc"]

LARGEST_STEP = 4


@dataclass(frozen=True)
class Terms:
    """What each sample contributes to the information quantities, in nats.

    Samples of one input are neighbours.

    Attributes
    ----------
    values : dict of Tensors of shape (n_samples,), float64
        By quantity; their weighted means are the estimates.
    influences : dict of Tensors of shape (n_samples,), float64
        By how much the sample's draw moves a quantity, where that is not told by its
        values alone: the terms of all samples depend on every draw.
    last_steps : dict of Tensors of shape (n_samples,), float64
        Last step of the extrapolation of a quantity: about as large as what it leaves
        of the bias. Left out where there is none.
    """

    values: dict[str, Tensor]
    influences: dict[str, Tensor] = field(default_factory=dict)
    last_steps: dict[str, Tensor] = field(default_factory=dict)


class StratifiedMean(ABC):
    """Weighted mean over strata (inputs), each sampled the same number of times.

    Parameters
    ----------
    weights : Tensor of shape (n_strata,), float64
        Weight of each stratum; they sum to 1.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self._values = Moments()
        self._influences = Moments()
        self._last_steps = Moments()

    @property
    def n_samples(self) -> int:
        """Samples of each stratum so far."""
        return self._values.n_samples

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities."""
        return self._values.names

    def estimate(self, name: str) -> Estimate:
        """Return the mean of a quantity, with its standard error."""
        return Estimate(self.mean(name), self.std_error(name))

    def mean(self, name: str) -> float:
        """Weighted mean of a quantity."""
        return float(self.weights @ self._values.mean(name))

    def std_error(self, name: str) -> float:
        """Return the sampling error, with the bias that the extrapolation may leave."""
        return math.hypot(self.sampling_error(name), self.bias_left(name))

    def bias_left(self, name: str) -> float:
        """Last step of the extrapolation, 0 where there is none."""
        if name not in self._last_steps.names:
            return 0.0
        return abs(float(self.weights @ self._last_steps.mean(name)))

    @abstractmethod
    def sampling_error(self, name: str) -> float:
        """Return the standard error that finitely many samples and draws cause."""

    def _add(self, terms: Terms) -> None:
        n_strata = len(self.weights)
        self._values.add(terms.values, n_strata)
        self._influences.add(terms.influences, n_strata)
        self._last_steps.add(terms.last_steps, n_strata)


class FreshPasses(StratifiedMean):
    """Mean over independent passes: each is a point, and a draw for other points."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__(weights)
        self._effects = Moments()
        self._draws_alone = 0.0

    def add(self, terms: Terms, n_draws: int) -> None:
        """Add terms at the first of ``n_draws`` passes of each input."""
        before = self.n_samples
        self._add(terms)
        n_mc = self.n_samples - before
        share = n_mc / n_draws
        # A pass moves the mean by its term, and as a draw at other points.
        effects = {
            name: values + share * terms.influences[name]
            for name, values in terms.values.items()
            if name in terms.influences
        }
        self._effects.add(effects, len(self.weights))
        self._draws_alone += n_mc * share * (1 - share)

    def sampling_error(self, name: str) -> float:
        """Return the error by the spread over passes of each input."""
        if name in self._effects.names:
            # Passes that are draws alone have the spread of those that are both.
            alone = self._draws_alone / self.n_samples
            variance = self._effects.variance(name)
            variance = variance + alone * self._influences.variance(name)
        else:
            variance = self._values.variance(name)
        return math.sqrt(float(self.weights**2 @ variance) / self.n_samples)


class GivenDraws(StratifiedMean):
    """Mean over samples made from draws of each input that are given.

    Samples that share a draw form a cluster.

    Parameters
    ----------
    weights : Tensor of shape (n_strata,), float64
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
        super().__init__(weights)
        self.places = places
        self.n_draws = n_draws
        self._of_draws = _DrawSums(len(weights), n_draws) if n_draws else None

    def add(self, terms: Terms, draws: Tensor | None = None) -> None:
        """Add samples.

        Parameters
        ----------
        terms : Terms
        draws : integer Tensor of shape (n_strata * n_samples,), default=None
            Which draw each sample starts from, where the strata have draws.
        """
        self._add(terms)
        if self._of_draws is not None:
            assert draws is not None, "strata that have draws need those of the samples"
            self._of_draws.add(draws, terms)

    def sampling_error(self, name: str) -> float:
        """Return the error by the spread over samples and draws of each input."""
        own = self._spread(name)
        variance = float(self.weights**2 @ own.of_mean)
        if self.n_draws is not None and name in self._influences.names:
            # The draws sampled enter by their terms; that all terms depend on all
            # draws adds what the influence has more than these. An estimate of that
            # may be negative, and the error not less for it.
            excess = self._influence(name).between_draws - own.between_draws
            variance += max(0.0, float(self.weights**2 @ excess) / self.n_draws)
        # Rounding may leave a little less than none.
        return math.sqrt(max(0.0, variance))

    def draw_error(self, name: str) -> float:
        """Return the part of the error that more noise on the same draws leaves.

        Of the sampling error, 0 as long as no draw was sampled twice, since it is not
        known then.
        """
        if self._of_draws is None or not self._of_draws.shows_spread:
            return self.bias_left(name)
        assert self.n_draws is not None
        between = self._influence(name).between_draws
        variance = max(0.0, float(self.weights**2 @ between) / self.n_draws)
        return math.hypot(math.sqrt(variance), self.bias_left(name))

    def _influence(self, name: str) -> Spread:
        if name not in self._influences.names:
            return self._spread(name)
        return self._spread(name, influence=True)

    def _spread(self, name: str, *, influence: bool = False) -> Spread:
        moments = self._influences if influence else self._values
        if self.n_samples == 1:
            variance = _neighbour_variance(moments.mean(name), self._neighbours)
            return Spread(variance, variance)
        variance = moments.variance(name)
        if self._of_draws is None:
            return Spread(variance / self.n_samples, variance)
        # Squares about the mean of each stratum.
        squares = variance * (self.n_samples - 1)
        return self._of_draws.spread(name, moments.mean(name), squares, influence)

    @cached_property
    def _neighbours(self) -> Tensor:
        return spatial_order(self.places, leaf_size=2)


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


class _DrawSums:
    """Sums over the samples of each draw; of the draws visited, or memory would fill.

    Parameters
    ----------
    n_strata, n_draws : int
    """

    def __init__(self, n_strata: int, n_draws: int) -> None:
        self.n_strata, self.n_draws = n_strata, n_draws
        self._names: tuple[tuple[str, bool], ...] = ()

    @property
    def shows_spread(self) -> bool:
        """Whether some draw was sampled twice."""
        return bool((self._counts > 1).any())

    def add(self, draws: Tensor, terms: Terms) -> None:
        """Add samples of draws, those of one stratum neighbours."""
        named = {
            **{(name, False): values for name, values in terms.values.items()},
            **{(name, True): values for name, values in terms.influences.items()},
        }
        values = torch.stack(list(named.values()), dim=1)
        strata = torch.arange(self.n_strata, device=draws.device)
        strata = strata.repeat_interleave(len(draws) // self.n_strata)
        if not self._names:
            self._names = tuple(named)
            self._draws = draws.new_zeros(0)
            self._counts = draws.new_zeros(0)
            self._totals = values.new_zeros(0, len(named))
        known, n_known = self._draws, len(self._draws)
        found = torch.cat([known, strata * self.n_draws + draws])
        self._draws, place = found.unique(return_inverse=True)
        totals = values.new_zeros(len(self._draws), len(named))
        totals[place[:n_known]] = self._totals
        counts = place[n_known:].bincount(minlength=len(totals))
        counts[place[:n_known]] += self._counts
        self._totals = totals.index_add_(0, place[n_known:], values)
        self._counts = counts

    def spread(
        self, name: str, mean: Tensor, squares: Tensor, influence: bool
    ) -> Spread:
        """Split the variance of samples into that between draws and that within.

        The analysis of variance of one factor with unequal counts.

        Parameters
        ----------
        name : str
        mean, squares : Tensors of shape (n_strata,)
            Mean of all samples of a stratum, and the sum of squares about it.
        influence : bool
            Whether of the influences, not the values.
        """
        strata, counts = self._draws // self.n_draws, self._counts
        column = self._names.index((name, influence))
        totals = self._totals[:, column] - counts * mean[strata]

        def by_stratum(values: Tensor) -> Tensor:
            return torch.zeros_like(squares).index_add_(0, strata, values.to(squares))

        n_samples, n_visited = by_stratum(counts), by_stratum(torch.ones_like(counts))
        of_mean = by_stratum(totals.square()) / n_samples**2
        of_mean = of_mean * n_visited / (n_visited - 1)
        of_draws = by_stratum(totals.square() / counts)
        within = (squares - of_draws) / (n_samples - n_visited).clamp_min(1)
        between = of_draws - (n_visited - 1) * within
        per_draw = n_samples - by_stratum(counts**2) / n_samples
        return Spread(of_mean, between / per_draw)


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


def wanted_n_mc(
    done: int, errors: tuple[float, float], tol: float, allowed: int
) -> int:
    """Return how many samples per input the wanted error asks for.

    Parameters
    ----------
    done : int
        Samples per input so far.
    errors : tuple of two floats
        Standard error after these, and the part of it that no further sample lowers.
    tol : float
        The wanted one.
    allowed : int
        Most samples per input.

    Returns
    -------
    n_mc : int
        ``done`` where the error is reached, or cannot be.
    """
    error, draw_error = errors
    if error <= tol or draw_error >= tol or done >= allowed:
        return done
    # Only the part of the noise falls with the samples. A tenth more than it asks for,
    # and in steps, since the errors are themselves estimates.
    noise, wanted_noise = (e**2 - draw_error**2 for e in (error, tol))
    wanted = math.ceil(1.1 * done * noise / wanted_noise)
    return min(wanted, LARGEST_STEP * done, allowed)
