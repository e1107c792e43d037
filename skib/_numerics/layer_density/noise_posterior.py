"""Noise of a network given one of its layers, in the network linearised at the mode."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.noisy_network import NoisyLayers
from skib._numerics.normal_noise import normal_noise

__all__ = [
    "GaussianNoise",
    "LayerProblem",
    "StandardNoise",
    "linearise_at_mode",
    "prior",
]

# Searches that take longer are on plateaus or at kinks: more steps gain nothing there.
MAX_STEPS = 12
# The search rests when the square of the Newton step, in posterior standard
# deviations, is below this: the proposal is then centred well enough.
DECREMENT_TOLERANCE = 1e-2
FIRST_DAMPING = 1e-2
# Sum of the squares of the slopes from which on rounding of their products, relative to
# the largest, would cost the smallest eigenvalue, 1, more than ten digits' rest.
STEEP = 1e6


@dataclass(frozen=True)
class LayerProblem:
    """Points of one layer, and S_1 of the inputs they came from.

    Attributes
    ----------
    network : NoisyLayers
    layer : int
        From 2: no noise comes before the points of layer 1.
    first : Tensor of shape (n_points, n_units of layer 1)
        S_1 of each point's input.
    points : Tensor of shape (n_points, n_units)
        T_layer.
    """

    network: NoisyLayers
    layer: int
    first: Tensor
    points: Tensor

    @property
    def n_noises(self) -> int:
        """Number of noise variables before the layer."""
        return sum(self.network.sizes_before(self.layer))

    @property
    def noise_std(self) -> float:
        """Noise of the layer itself."""
        return self.network.noise_std[self.layer - 1]

    def rows(self, rows: Tensor) -> LayerProblem:
        """Keep some of the points."""
        return LayerProblem(
            self.network, self.layer, self.first[rows], self.points[rows]
        )

    def of_picks(self, first: Tensor) -> LayerProblem:
        """Ask the same of other inputs, S_1 of shape (n_points, n_picks, ...): flat."""
        n_picks = first.shape[1]
        points = self.points.repeat_interleave(n_picks, 0)
        return LayerProblem(self.network, self.layer, first.flatten(0, 1), points)

    def misfit(self, clean: Tensor) -> Tensor:
        """Return point minus S_layer, in units of the layer's noise."""
        return (self.points - clean) / self.noise_std

    def squares(self, noise: Tensor) -> Tensor:
        """Squared length of the noise before the layer and in it, (..., n_points)."""
        clean = self.network.clean(self.first, noise, self.layer)[-1]
        return squared_length(noise) + squared_length(self.misfit(clean))

    def log_joint(self, noise: Tensor) -> Tensor:
        """Log of p(noise) p(point | noise), shape (..., n_points)."""
        return -0.5 * self.squares(noise) - self.log_normalizer

    @property
    def log_normalizer(self) -> float:
        """Log of what exp(-squares / 2) integrates to, over noise and points."""
        n_units = self.points.shape[-1]
        of_squares = _log_normalizer(self.n_noises + n_units)
        return of_squares + n_units * math.log(self.noise_std)


@dataclass(frozen=True)
class GaussianNoise:
    """One Gaussian law of the noise per point, precision identity + slopes^T slopes.

    Attributes
    ----------
    center : Tensor of shape (n_points, n_noises)
    slopes : Tensor of shape (n_points, n_units, n_noises)
        Derivative of S_layer / noise_std by the noise.
    factor : Tensor of shape (n_points, n_units, n_units)
        Cholesky factor of identity + slopes slopes^T: nothing as large as n_noises
        square is ever solved.
    """

    center: Tensor
    slopes: Tensor
    factor: Tensor

    @classmethod
    def from_slopes(cls, center: Tensor, slopes: Tensor) -> GaussianNoise:
        """Factor what needs it."""
        return cls(center, slopes, _gram_factor(slopes, 1.0))

    def rows(self, rows: Tensor) -> GaussianNoise:
        """Keep some of the points."""
        return GaussianNoise(self.center[rows], self.slopes[rows], self.factor[rows])

    def draw(self, n_draws: int, generator: torch.Generator) -> Tensor:
        """Draw offsets from the centre, shape (n_draws, n_points, n_noises)."""
        # Draw noise and a point from the prior, then take from the noise what the
        # point teaches about it: what is left has the posterior covariance.
        n_points, n_units, n_noises = self.slopes.shape
        shape = n_points, n_noises + n_units, n_draws
        draws = normal_noise(*shape, generator=generator, dtype=self.center.dtype)
        noise, point = draws[:, :n_noises], draws[:, n_noises:]
        surprise = self.slopes @ noise + point
        learnt = self.slopes.mT @ torch.cholesky_solve(surprise, self.factor)
        return (noise - learnt).permute(2, 0, 1)

    def spread(self, direction: Tensor) -> Tensor:
        """Return the covariance times a vector per point, (n_points, n_noises)."""
        seen = self.slopes @ direction[..., None]
        learnt = self.slopes.mT @ torch.cholesky_solve(seen, self.factor)
        return direction - learnt[..., 0]

    def square(self, offset: Tensor) -> Tensor:
        """Squared length of (n_points, n_noises), in the Gaussian's own measure."""
        seen = (self.slopes @ offset[..., None])[..., 0]
        return squared_length(offset) + squared_length(seen)

    def log_density(self, noise: Tensor) -> Tensor:
        """Log-density at noise of shape (..., n_points, n_noises)."""
        offsets = noise - self.center
        seen = torch.einsum("nuk,...nk->...nu", self.slopes, offsets)
        log_det = self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        squares = squared_length(offsets) + squared_length(seen)
        return log_det - 0.5 * squares - _log_normalizer(offsets.shape[-1])


@dataclass(frozen=True)
class StandardNoise:
    """Law of the noise before anything is known, N(0, identity), one per point.

    Attributes
    ----------
    center : Tensor of shape (n_points, n_noises)
        All zero.
    """

    center: Tensor

    def draw(self, n_draws: int, generator: torch.Generator) -> Tensor:
        """Draw noise, shape (n_draws, n_points, n_noises)."""
        shape = n_draws, *self.center.shape
        return normal_noise(*shape, generator=generator, dtype=self.center.dtype)

    def log_density(self, noise: Tensor) -> Tensor:
        """Log-density at noise of shape (..., n_points, n_noises)."""
        return -0.5 * squared_length(noise) - _log_normalizer(noise.shape[-1])


def prior(problem: LayerProblem) -> StandardNoise:
    """Law of the noise of each point before the point is seen."""
    n_points = len(problem.points)
    return StandardNoise(problem.points.new_zeros(n_points, problem.n_noises))


def linearise_at_mode(
    problem: LayerProblem, start: Tensor
) -> tuple[GaussianNoise, Tensor]:
    """Climb to the likeliest noise of each point by damped Gauss-Newton steps.

    Parameters
    ----------
    problem : LayerProblem
    start : Tensor of shape (n_points, n_noises)

    Returns
    -------
    posterior : GaussianNoise
        Posterior in the network linearised at most a short step from there; exact in a
        linear network.
    converged : bool Tensor of shape (n_points,)
        Whether the search came to rest. At the kink of a ReLU it may not; the
        Gaussian is then still a proposal like any other.
    """
    center = start.clone()
    slopes = start.new_zeros(*problem.points.shape, start.shape[1])
    converged = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    active = torch.arange(len(start), device=start.device)
    search = _Search.at(problem, start)
    for _ in range(MAX_STEPS):
        step, decrement = search.step()
        arrived = decrement < DECREMENT_TOLERANCE
        going = ~arrived
        # The last step is taken too: in a linear network it ends at the mode.
        ends = torch.where(arrived[:, None], search.noise + step, search.noise)
        center[active] = ends
        slopes[active] = search.slopes
        converged[active] = arrived
        if not going.any():
            break
        active = active[going]
        search = search.rows(going).moved(step[going])
    return GaussianNoise.from_slopes(center, slopes), converged


@dataclass(frozen=True)
class _Search:
    """Where each search stands."""

    problem: LayerProblem
    noise: Tensor  # (n, n_noises)
    slopes: Tensor  # (n, n_units, n_noises)
    misfit: Tensor  # (n, n_units)
    cost: Tensor  # (n,): minus the log joint density, up to a constant
    damping: Tensor  # (n,)

    @classmethod
    def at(cls, problem: LayerProblem, noise: Tensor) -> _Search:
        clean = problem.network.clean(problem.first, noise, problem.layer)
        slopes = problem.network.slopes(clean, noise) / problem.noise_std
        misfit = problem.misfit(clean[-1])
        cost = 0.5 * (squared_length(noise) + squared_length(misfit))
        return cls(problem, noise, slopes, misfit, cost, torch.zeros_like(cost))

    def rows(self, rows: Tensor) -> _Search:
        return _Search(
            self.problem.rows(rows),
            self.noise[rows],
            self.slopes[rows],
            self.misfit[rows],
            self.cost[rows],
            self.damping[rows],
        )

    def step(self) -> tuple[Tensor, Tensor]:
        """Return the damped Gauss-Newton step and its squared length to go."""
        downhill = (self.slopes.mT @ self.misfit[..., None])[..., 0] - self.noise
        # (c I + J^T J)^-1 = (I - J^T (c I + J J^T)^-1 J) / c
        c = 1 + self.damping
        seen = self.slopes @ downhill[..., None]
        gain = torch.cholesky_solve(seen, _gram_factor(self.slopes, c))
        step = (downhill - (self.slopes.mT @ gain)[..., 0]) / c[:, None]
        return step, (step * downhill).sum(1) * c

    def moved(self, step: Tensor) -> _Search:
        """Take the steps that do not raise the cost; damp the others more."""
        there = _Search.at(self.problem, self.noise + step)
        better = there.cost <= self.cost
        less = torch.where(self.damping > FIRST_DAMPING, 0.1 * self.damping, 0.0)
        more = (10 * self.damping).clamp_min(FIRST_DAMPING)
        return _Search(
            self.problem,
            torch.where(better[:, None], there.noise, self.noise),
            torch.where(better[:, None, None], there.slopes, self.slopes),
            torch.where(better[:, None], there.misfit, self.misfit),
            torch.where(better, there.cost, self.cost),
            torch.where(better, less, more),
        )


def squared_length(vectors: Tensor) -> Tensor:
    """Sum of the squares along the last axis."""
    # Twice as fast as to square and to sum.
    return torch.linalg.vector_norm(vectors, dim=-1).square()


def _gram_factor(slopes: Tensor, ridge: Tensor | float) -> Tensor:
    """Cholesky factor of ridge * identity + slopes slopes^T."""
    gram = slopes @ slopes.mT
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    steep = diagonal.sum(-1) > STEEP
    diagonal += ridge[:, None] if isinstance(ridge, Tensor) else ridge
    factor, failed = torch.linalg.cholesky_ex(gram)
    by_qr = steep | (failed > 0)
    if by_qr.any():
        ridges = torch.as_tensor(ridge).to(slopes).expand(len(slopes))
        factor[by_qr] = _gram_factor_by_qr(slopes[by_qr], ridges[by_qr])
    return factor


def _gram_factor_by_qr(slopes: Tensor, ridge: Tensor) -> Tensor:
    """Return the same factor without squaring the condition of steep slopes."""
    identity = torch.eye(slopes.shape[1], dtype=slopes.dtype, device=slopes.device)
    stacked = torch.cat([ridge.sqrt()[:, None, None] * identity, slopes.mT], dim=1)
    upper = torch.linalg.qr(stacked, mode="r").R
    signs = upper.diagonal(dim1=-2, dim2=-1).sign()
    return (upper * signs[..., None]).mT.contiguous()


def _log_normalizer(n_dims: int) -> float:
    return 0.5 * n_dims * math.log(2 * math.pi)
