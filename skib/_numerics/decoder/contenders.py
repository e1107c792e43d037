"""Other inputs that may have made a point: which are looked at, and how they compare.

For any map M_j of the noise with Jacobian J_j,

    ``p(t | j) / p(t | i) = E R_j(u), R_j(u) = p(t, M_j u | j) J_j(u) / p(t, u | i)``

over the noise u of input i given t. The closer M_j brings the law of the noise given
(t, i) to that given (t, j), the less R_j varies. `Shift` moves the noise by a vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem

__all__ = ["Picks", "PickLaw", "Shift"]

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
            Log p(t, noise | own input), up to a constant.
        first : Tensor of shape (n_points, n_picks, n_units of layer 1)
            S_1 of the picks.
        """
        difference = first - self.problem.first[:, None]
        moved = noise[:, None] + difference @ self.per_difference.mT
        return log_joint(self.problem, first, moved) - log_own[:, None]


def log_joint(problem: LayerProblem, first: Tensor, noise: Tensor) -> Tensor:
    """Log p(t, noise | input), up to a constant of the layer; shape (n_points, ...).

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
    return -0.5 * (noise.square().sum(-1) + misfit.square().sum(-1))
