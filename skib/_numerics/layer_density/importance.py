"""Density of a noisy layer given the input, by importance sampling of the noise before.

    ``p(t | x) = E[N(t; S_layer(x, Z), std^2)]``

over the noise Z of all layers before. The proposal is the Gaussian posterior of Z given
t in the network linearised at the likeliest Z: exact for linear networks, close
wherever the noise is small against the bends of the network. In all others the prior is
mixed in, which bounds the weights; where a pilot finds the Gaussian far off, a wider
one and one at the mode found from a random start join in, with more samples.

Two estimates are made from the same samples. ``low`` is the log of the mean weight, not
above the truth in expectation (Jensen). ``high`` puts the noise that made t, a sample
of the true posterior, in the place of one sample, which makes it not below the truth in
expectation (R. Grosse, Z. Ghahramani, R. Adams, "Sandwiching the marginal likelihood
using bidirectional Monte Carlo", 2015, arXiv:1511.02543; A. Sobolev, D. Vetrov,
"Importance Weighted Hierarchical Variational Inference", NeurIPS 2019,
arXiv:1905.03290). Their biases are opposite to first order in 1 / samples, so their
middle has next to none. For this, nothing about the proposal may depend on the noise
that made t: searches start elsewhere and the pilot's samples are not used again.

Samples come in pairs mirrored at the centre of their Gaussian, which removes the odd
part of the weights' fluctuation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from skib._numerics.layer_density.noise_posterior import (
    GaussianNoise,
    LayerProblem,
    StandardNoise,
    linearise_at_mode,
    prior,
)
from skib._numerics.normal_noise import normal_noise

__all__ = ["ConditionalDensity", "log_conditional_density"]

PILOT_PAIRS = 1
# Effective fraction of the pilot from which on the Gaussian and the prior are enough.
CLOSE = 0.75
# Standard deviations of the squares at a mode from which on it is not believed.
WRONG_MODE = 6.0
PRIOR_SHARE = 0.25
# Random starts, each the likeliest of some; and as if the layer were noisier, a wider
# Gaussian at the first mode.
RANDOM_STARTS, CANDIDATES, WIDER = 1, 32, 3.0
MORE_PAIRS = 11
NUMBERS_PER_BATCH = 2_000_000


@dataclass(frozen=True)
class ConditionalDensity:
    """Log p(t | x) of each point, in nats, with its diagnostics.

    Attributes
    ----------
    low, high : Tensor of shape (n_points,)
        Estimates not above and not below the truth in expectation.
    standard_error : Tensor of shape (n_points,)
        Of `low`, from the spread of the weights.
    effective_fraction : Tensor of shape (n_points,)
        ``1 / (1 + n_samples standard_error^2)``: 1 where every sample tells the same.
    n_samples : integer Tensor of shape (n_points,)
    converged : bool Tensor of shape (n_points,)
        Whether the search for the mode came to rest.
    """

    low: Tensor
    high: Tensor
    standard_error: Tensor
    effective_fraction: Tensor
    n_samples: Tensor
    converged: Tensor


def log_conditional_density(
    problem: LayerProblem,
    noise_before: Tensor,
    *,
    n_pairs: int,
    generator: torch.Generator,
) -> ConditionalDensity:
    """Log p(t | x) at points that the network made.

    Parameters
    ----------
    problem : LayerProblem
        Network, layer and points.
    noise_before : Tensor of shape (n_points, n_noises)
        Z_1, ..., Z_(layer-1) that made each point, in standard deviations. Used by
        `high` alone.
    n_pairs : int
        Mirrored pairs of samples per point; many more for difficult points.
    generator : torch.Generator

    Returns
    -------
    ConditionalDensity
    """
    start = torch.zeros_like(noise_before)
    posterior, converged = linearise_at_mode(problem, start)
    if problem.network.is_linear:
        is_close, near = torch.ones_like(converged), _one_gaussian
    else:
        is_close, near = _is_close(problem, posterior, generator), _with_prior
    result = _empty_result(converged)
    for chosen, propose in [(is_close, near), (~is_close, _with_random_starts)]:
        for rows in _batches(torch.nonzero(chosen)[:, 0], problem, n_pairs):
            some = problem.rows(rows)
            proposal = propose(some, posterior.rows(rows), n_pairs, generator)
            found = _estimate(some, proposal, noise_before[rows], generator)
            for name, values in found.items():
                getattr(result, name)[rows] = values
    return result


def _empty_result(converged: Tensor) -> ConditionalDensity:
    nothing = torch.full(converged.shape, math.nan, dtype=torch.float64)
    floats = {
        field.name: nothing.clone().to(converged.device)
        for field in fields(ConditionalDensity)
        if field.name not in ("n_samples", "converged")
    }
    n_samples = torch.zeros_like(converged, dtype=torch.int64)
    return ConditionalDensity(**floats, n_samples=n_samples, converged=converged)


def _batches(rows: Tensor, problem: LayerProblem, n_pairs: int) -> list[Tensor]:
    per_point = 2 * MORE_PAIRS * n_pairs * problem.n_noises
    return list(rows.split(max(1, NUMBERS_PER_BATCH // per_point))) if len(rows) else []


# --- proposals ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Proposal:
    """Mixture of Gaussians, a fixed number of mirrored pairs drawn from each."""

    parts: Sequence[GaussianNoise | StandardNoise]
    n_pairs: list[int]

    @property
    def log_shares(self) -> Tensor:
        counts = torch.tensor(self.n_pairs, dtype=torch.float64)
        return (counts / counts.sum()).log()

    def log_parts(self, noise: Tensor) -> Tensor:
        """Log of share times density of each part, shape (n_parts, ..., n_points)."""
        densities = [
            share + part.log_density(noise)
            for share, part in zip(self.log_shares, self.parts, strict=True)
        ]
        return torch.stack(densities)

    def log_weights(self, problem: LayerProblem, noise: Tensor) -> Tensor:
        # Mixture, not part, in the denominator: no part alone can blow up a weight.
        return problem.log_joint(noise) - self.log_parts(noise).logsumexp(0)


def _is_close(
    problem: LayerProblem, posterior: GaussianNoise, generator: torch.Generator
) -> Tensor:
    """Tell where the Gaussian looks like the posterior of the noise."""
    # The centre of the pilot's Gaussian is in it: it shows where all samples miss.
    pilot = _Proposal([posterior], [PILOT_PAIRS])
    center = pilot.log_weights(problem, posterior.center)
    weights = _log_weights(problem, pilot, generator).flatten(0, 1)
    fraction = _effective_fraction(torch.cat([center[None], weights]))
    # In a linear network these squares are chi-square: more is the wrong mode.
    n_units = problem.points.shape[1]
    usual = n_units + WRONG_MODE * math.sqrt(2 * n_units)
    return (fraction >= CLOSE) & (problem.squares(posterior.center) <= usual)


def _one_gaussian(
    problem: LayerProblem,
    posterior: GaussianNoise,
    n_pairs: int,
    generator: torch.Generator,
) -> _Proposal:
    return _Proposal([posterior], [n_pairs])


def _with_prior(
    problem: LayerProblem,
    posterior: GaussianNoise,
    n_pairs: int,
    generator: torch.Generator,
) -> _Proposal:
    n_prior = max(1, round(PRIOR_SHARE * n_pairs))
    return _Proposal([posterior, prior(problem)], [max(1, n_pairs - n_prior), n_prior])


def _with_random_starts(
    problem: LayerProblem,
    posterior: GaussianNoise,
    n_pairs: int,
    generator: torch.Generator,
) -> _Proposal:
    starts = [_likely_start(problem, generator) for _ in range(RANDOM_STARTS)]
    modes = [linearise_at_mode(problem, start)[0] for start in starts]
    wider = GaussianNoise.from_slopes(posterior.center, posterior.slopes / WIDER)
    gaussians = [posterior, wider, *modes]
    total = MORE_PAIRS * n_pairs
    per_gaussian = round((1 - PRIOR_SHARE) * total / len(gaussians))
    counts = [per_gaussian] * len(gaussians)
    n_prior = total - sum(counts)
    return _Proposal([*gaussians, prior(problem)], [*counts, n_prior])


def _likely_start(problem: LayerProblem, generator: torch.Generator) -> Tensor:
    """Draw noise from the prior and choose by how likely it makes the point."""
    shape = (CANDIDATES, len(problem.points), problem.n_noises)
    noise = normal_noise(*shape, generator=generator, dtype=problem.points.dtype)
    log_likelihood = problem.log_joint(noise) + 0.5 * noise.square().sum(-1)
    chosen = torch.multinomial(log_likelihood.softmax(0).T, 1, generator=generator)
    return noise.gather(0, chosen.T[..., None].expand(1, *shape[1:]))[0]


# --- estimates ---------------------------------------------------------------------


def _log_weights(
    problem: LayerProblem, proposal: _Proposal, generator: torch.Generator
) -> Tensor:
    """Log-weights of fresh pairs, shape (2, n_pairs in all, n_points)."""
    weights = []
    for part, n_pairs in zip(proposal.parts, proposal.n_pairs, strict=True):
        offsets = part.draw(n_pairs, generator)
        noise = torch.stack([part.center + offsets, part.center - offsets])
        weights.append(proposal.log_weights(problem, noise))
    return torch.cat(weights, dim=1)


def _estimate(
    problem: LayerProblem,
    proposal: _Proposal,
    noise_before: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor | int]:
    weights = _log_weights(problem, proposal, generator)
    position, true_pair = _place_of_truth(problem, proposal, noise_before, generator)
    pairs = weights.logsumexp(0) - math.log(2)
    n_pairs = len(pairs)
    low = pairs.logsumexp(0) - math.log(n_pairs)
    replaced = pairs.scatter(0, position[None], true_pair[None])
    high = replaced.logsumexp(0) - math.log(n_pairs)
    variance = _variance_of_mean((pairs - low).exp(), proposal.n_pairs)
    return {
        "low": low,
        "high": high,
        "standard_error": variance.sqrt(),
        "effective_fraction": 1 / (1 + 2 * n_pairs * variance),
        "n_samples": 2 * n_pairs,
    }


def _variance_of_mean(values: Tensor, counts: list[int]) -> Tensor:
    """Variance of the mean over strata of fixed size; `values` has mean about 1."""
    terms = [
        # One value shows no spread: count it as off by itself.
        len(part) * part.var(0) if len(part) > 1 else part[0].square()
        for part in values.split(counts)
    ]
    return torch.stack(terms).sum(0) / len(values) ** 2


def _place_of_truth(
    problem: LayerProblem,
    proposal: _Proposal,
    noise_before: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return which pair the noise that made the point replaces, and its log-weight."""
    # A sample of the posterior belongs to a part with the odds of that part there.
    odds = proposal.log_parts(noise_before).softmax(0)
    part = torch.multinomial(odds.T, 1, generator=generator)[:, 0]
    centers = torch.stack([part.center for part in proposal.parts])
    center = centers[part, torch.arange(len(part))]
    pair = torch.stack([noise_before, 2 * center - noise_before])
    first_pairs = torch.tensor([0, *proposal.n_pairs[:-1]]).cumsum(0)
    log_weight = proposal.log_weights(problem, pair).logsumexp(0) - math.log(2)
    return first_pairs[part], log_weight


def _effective_fraction(log_weights: Tensor) -> Tensor:
    total = 2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)
    return (total - math.log(len(log_weights))).exp()
