"""Other inputs that may have made a point: which are looked at, and how they compare.

For any map M_j of the noise with Jacobian J_j,

    ``p(t | j) / p(t | i) = E R_j(u), R_j(u) = p(t, M_j u | j) J_j(u) / p(t, u | i)``

over the noise u of input i given t. The closer M_j brings the law of the noise given
(t, i) to that given (t, j), the less R_j varies. `Shift` moves the noise by a vector,
for which one fit of the noise given (t, i) is enough. `Pair` brings the Gaussian that
fits the one law to the Gaussian that fits the other: closer where inputs are far from
each other in units of the noise, at the price of a fit for each contender.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior

__all__ = ["Pair", "PickLaw", "Picks", "Shift"]

TEMPERED_SHARE, UNIFORM_SHARE = 0.1, 0.01


@dataclass(frozen=True)
class Picks:
    """Some other inputs for each point.

    Attributes
    ----------
    inputs : integer Tensor of shape (n_points, n_picks)
    log_weight : Tensor of shape (n_points, n_picks)
        Log of w_j / (w_i q(j) n_picks): sums of this weight times R_j have the mean of
        the sum over all other inputs j of w_j R_j / w_i.
    """

    inputs: Tensor
    log_weight: Tensor


class PickLaw:
    """What inputs are picked by: the decoder, with wider laws mixed in.

    Parameters
    ----------
    scores : Tensor of shape (n_points, n_inputs)
        Log q(t | j).
    own : integer Tensor of shape (n_points,)
        The input of each point, never picked.
    log_weights : Tensor of shape (n_inputs,)
    power : float
        The scores are tempered by it.
    """

    def __init__(
        self, scores: Tensor, own: Tensor, log_weights: Tensor, power: float
    ) -> None:
        log_joint = power * scores + log_weights
        log_joint.scatter_(1, own[:, None], -math.inf)
        wide = (0.5 * log_joint).softmax(1).mul_(TEMPERED_SHARE)
        law = log_joint.softmax(1).mul_(1 - TEMPERED_SHARE - UNIFORM_SHARE).add_(wide)
        n_others = scores.shape[1] - 1
        law.add_(UNIFORM_SHARE / n_others).scatter_(1, own[:, None], 0.0)
        self._law = law
        self._steps = law.cumsum(1)
        self._log_weights = log_weights
        self._own = own

    def draw(self, n_picks: int, generator: torch.Generator) -> Picks:
        """Draw picks spread evenly over the law: each alone follows it."""
        shape = len(self._law), 1
        places = torch.rand(shape, generator=generator, dtype=self._law.dtype)
        places = (places + torch.arange(n_picks)) / n_picks * self._steps[:, -1:]
        found = torch.searchsorted(self._steps, places).clamp_max_(
            self._law.shape[1] - 1
        )
        # Rounding could end in a place of no share.
        share = self._law.gather(1, found)
        log_weight = self._log_weights[found] - self._log_weights[self._own][:, None]
        log_weight = log_weight - share.log() - math.log(n_picks)
        return Picks(found, log_weight.masked_fill(share <= 0, -math.inf))


@dataclass(frozen=True)
class Shift:
    """The noise moved as the posterior mean moves from input to input.

    Attributes
    ----------
    problem : LayerProblem
    per_difference : Tensor of shape (n_points, n_noises, n_units of layer 1)
        Shift by the difference of S_1 of the two inputs; exact in linear networks.
    """

    problem: LayerProblem
    per_difference: Tensor

    @classmethod
    def along(cls, problem: LayerProblem, gaussian: GaussianNoise) -> Shift:
        """Build it from the slopes of the Gaussian that fits the noise."""
        n_first = problem.first.shape[1]
        by_first = gaussian.slopes[..., :n_first] / problem.network.noise_std[0]
        solved = torch.cholesky_solve(by_first, gaussian.factor)
        return cls(problem, -(gaussian.slopes.mT @ solved))

    def log_ratios(self, noise: Tensor, log_own: Tensor, first: Tensor) -> Tensor:
        """Log R_j of the picks.

        Parameters
        ----------
        noise : Tensor of shape (n_points, n_noises)
        log_own : Tensor of shape (n_points,)
            Log p(t, noise | own input).
        first : Tensor of shape (n_points, n_picks, n_units of layer 1)
            S_1 of the picks.
        """
        difference = first - self.problem.first[:, None]
        moved = noise[:, None] + difference @ self.per_difference.mT
        return log_joint(self.problem, first, moved) - log_own[:, None]


@dataclass(frozen=True)
class Pair:
    """The noise mapped from Gaussian to Gaussian, for contenders that stay the same.

    Attributes
    ----------
    problem : LayerProblem
    center : Tensor of shape (n_points, n_noises)
        Of the Gaussian that fits the noise of the own input.
    centers : Tensor of shape (n_points, n_picks, n_noises)
        Of those that fit the noise of the picks.
    stretch : Tensor of shape (n_points, n_picks, n_noises, n_noises)
        Maps offsets from the one centre to offsets from the other.
    log_volume : Tensor of shape (n_points, n_picks)
        Log of the determinant of `stretch`.
    """

    problem: LayerProblem
    center: Tensor
    centers: Tensor
    stretch: Tensor
    log_volume: Tensor

    @classmethod
    def between(
        cls,
        problem: LayerProblem,
        gaussian: GaussianNoise,
        first: Tensor,
        generator: torch.Generator,
    ) -> Pair:
        """Fit the noise of each pick; `first` is as in `log_ratios`."""
        n_points, n_picks, _ = first.shape
        theirs = problem.of_picks(first)
        difference = first - problem.first[:, None]
        per_difference = Shift.along(problem, gaussian).per_difference
        start = gaussian.center[:, None] + difference @ per_difference.mT
        fitted = fit_posterior(theirs, generator, start.flatten(0, 1))
        own_factor, factor = _precision_factor(gaussian), _precision_factor(fitted)
        own_factor = own_factor.repeat_interleave(n_picks, 0)
        # A lower factor L of the precision: L^T offset is standard normal.
        stretch = torch.linalg.solve_triangular(factor.mT, own_factor.mT, upper=True)
        own_log, log_ = (
            part.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            for part in (own_factor, factor)
        )
        shape = n_points, n_picks
        return cls(
            problem,
            gaussian.center,
            fitted.center.unflatten(0, shape),
            stretch.unflatten(0, shape),
            (own_log - log_).unflatten(0, shape),
        )

    def log_ratios(self, noise: Tensor, log_own: Tensor, first: Tensor) -> Tensor:
        """Log R_j of the picks, as of `Shift`."""
        offset = (noise - self.center)[:, None, :, None]
        moved = self.centers + (self.stretch @ offset)[..., 0]
        log_theirs = log_joint(self.problem, first, moved)
        return log_theirs + self.log_volume - log_own[:, None]


def _precision_factor(gaussian: GaussianNoise) -> Tensor:
    """Lower Cholesky factor of identity + slopes^T slopes."""
    precision = gaussian.slopes.mT @ gaussian.slopes
    precision.diagonal(dim1=-2, dim2=-1).add_(1.0)
    return torch.linalg.cholesky(precision)


def log_joint(problem: LayerProblem, first: Tensor, noise: Tensor) -> Tensor:
    """Log p(t, noise | input), shape (n_points, ...).

    Parameters
    ----------
    problem : LayerProblem
    first : Tensor of shape (n_points, ..., n_units of layer 1)
    noise : Tensor of shape (n_points, ..., n_noises)
    """
    clean = problem.network.clean(first, noise, problem.layer)[-1]
    points = problem.points
    if clean.ndim == 3:
        points = points[:, None]
    misfit = (points - clean) / problem.noise_std
    squares = noise.square().sum(-1) + misfit.square().sum(-1)
    return -0.5 * squares - problem.log_normalizer
