"""A decoder from clouds of activations alone: Gaussians fitted to the draws of inputs.

A few draws do not tell a covariance in many units, so each input's is mixed with that
of all. What was fitted must not have seen the draw that a point was made from, or the
bound from below would not hold: each half of the draws is scored by the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.decoder.decode import (
    Decoded,
    Decoder,
    Temper,
    choose_temper,
    decode,
    decode_points,
)
from skib._numerics.decoder.scores import (
    FLOATS_PER_SURROGATE,
    Scorer,
    gaussian_coefficients,
)
from skib._numerics.decoder.surrogate import Surrogate
from skib._numerics.noisy_network import NoisyLayers

__all__ = ["DrawnPoints", "decode_clouds", "scorer_of_passes"]

# Shares of the common covariance that are tried.
POOLED_SHARES = (0.1, 0.5, 0.9)
PILOT_POINTS = 512
# Values converted to float64 at a time.
VALUES_PER_CHUNK = 1 << 18
# Where passes are to be had: how many of each input, the shares that are tried of what
# is then known well, and the values that one round of passes makes.
PASSES_PER_UNIT, FEWEST_PASSES, MOST_PASSES = 4, 64, 256
SMALL_SHARES = (0.0, 0.1, 0.5)
# Floats of the covariances of all inputs; and where those of all units would be more,
# the directions that are looked at.
MOST_COVARIANCES, MOST_AXES = 1 << 26, 128
VALUES_PER_PASS = 1 << 23


@dataclass(frozen=True)
class DrawnPoints:
    """Noisy points made from draws of inputs.

    Attributes
    ----------
    points : Tensor of shape (n_points, n_units), float64
    own, draws : integer Tensors of shape (n_points,)
        Input, and draw of it, that each point was made from.
    """

    points: Tensor
    own: Tensor
    draws: Tensor

    def rows(self, rows: Tensor) -> DrawnPoints:
        """Keep some of the points."""
        return DrawnPoints(self.points[rows], self.own[rows], self.draws[rows])


def decode_clouds(
    clouds: Tensor, joint: Tensor, noise_std: float, drawn: DrawnPoints
) -> Decoded:
    """Decode points by Gaussians fitted to draws that did not make them.

    How the covariances are mixed, and how the scores are tempered, is chosen for each
    half on points of the other.

    Parameters
    ----------
    clouds : Tensor of shape (n_inputs, n_draws, n_units)
        At least 4 draws.
    joint : Tensor of shape (n_inputs, n_classes)
        Probability of each input with each label.
    noise_std : float
    drawn : DrawnPoints

    Returns
    -------
    Decoded
    """
    halves = [torch.nonzero(drawn.draws % 2 == half)[:, 0] for half in (0, 1)]
    # Points of one half are scored by what was fitted to the other.
    fits = [_Fit(clouds[:, 1 - half :: 2], noise_std) for half in (0, 1)]
    log_weights = joint.sum(1).log()
    choices = [
        fit.choose(fit.seen(drawn.rows(_spread_out(rows, PILOT_POINTS))), log_weights)
        for fit, rows in zip(fits, halves, strict=True)
    ]
    low, label_low, own_score = drawn.points.new_empty(3, len(drawn.points))
    for half, rows in enumerate(halves):
        some = fits[half].seen(drawn.rows(rows))
        share, temper = choices[1 - half]
        decoder = Decoder(fits[half].scorer(share), temper)
        found = decode_points(decoder, some.points, some.own, joint)
        low[rows], label_low[rows] = found.low, found.label_low
        own_score[rows] = found.own_score
    return Decoded(low, label_low, own_score)


def scorer_of_passes(
    network: NoisyLayers, first: Tensor, layer: int, joint: Tensor
) -> CloudScorer:
    """Score by Gaussians with the moments of passes, whatever the layers are.

    Parameters
    ----------
    network : NoisyLayers
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of all inputs.
    layer : int
        From 2.
    joint : Tensor of shape (n_inputs, n_classes)
        Probability of each input with each label.
    """
    # The same whatever is scored: it may know nothing of the points.
    generator = torch.Generator().manual_seed(0)
    at, noise_std = layer - 1, network.noise_std[layer - 1]
    n_draws = PASSES_PER_UNIT * network.layer_sizes[at]
    n_draws = min(max(n_draws, FEWEST_PASSES), MOST_PASSES)
    size = max(1, VALUES_PER_PASS // (n_draws * sum(network.layer_sizes)))
    clouds = torch.cat(
        [
            network.sample_from(part[:, None].expand(-1, n_draws, -1), generator)
            .clean[at]
            .float()
            for part in first.split(size)
        ]
    )
    fit = _Fit(clouds, noise_std)
    own = torch.multinomial(
        joint.sum(1), PILOT_POINTS, replacement=True, generator=generator
    )
    passes = network.sample_from(first[own], generator)
    points = passes.clean[at] + noise_std * passes.noise[at]
    pilot = DrawnPoints(points, own, torch.zeros_like(own))
    return fit.scorer(fit.choose(pilot, joint.sum(1).log(), SMALL_SHARES)[0])


def _spread_out(rows: Tensor, most: int) -> Tensor:
    places = torch.linspace(0, len(rows) - 1, min(most, len(rows)), dtype=torch.float64)
    return rows[places.round().long().to(rows.device)]


class _Fit:
    """Moments of some draws of each input, in few directions of a very wide layer.

    Parameters
    ----------
    clouds : Tensor of shape (n_inputs, n_draws, n_units)
    noise_std : float
    """

    def __init__(self, clouds: Tensor, noise_std: float) -> None:
        self.axes = _axes_apart(clouds)
        if self.axes is not None:
            clouds = clouds @ self.axes.to(clouds)
        n_inputs, self.n_draws, n_units = clouds.shape
        self.noise_std = noise_std
        self.mean = clouds.new_empty(n_inputs, n_units, dtype=torch.float64)
        self.own = self.mean.new_empty(n_inputs, n_units, n_units)
        n_rows = max(1, VALUES_PER_CHUNK // (self.n_draws * n_units))
        for part, mean, own in zip(
            clouds.split(n_rows),
            self.mean.split(n_rows),
            self.own.split(n_rows),
            strict=True,
        ):
            values = part.double()
            mean.copy_(values.mean(1))
            values = values - mean[:, None]
            torch.matmul(values.mT, values, out=own)
        self.own /= self.n_draws - 1
        self.pooled = self.own.mean(0)

    def seen(self, drawn: DrawnPoints) -> DrawnPoints:
        """Return the points as they are in the directions looked at."""
        if self.axes is None:
            return drawn
        return DrawnPoints(drawn.points @ self.axes, drawn.own, drawn.draws)

    def scorer(self, share: float) -> CloudScorer:
        """Score by Gaussians with this share of the common covariance."""
        # The mean of a few draws is off by a part of their spread.
        spread = 1 + 1 / self.n_draws
        n_units = self.mean.shape[1]
        noise = self.noise_std**2 * torch.eye(n_units).to(self.mean)
        size = max(1, FLOATS_PER_SURROGATE // n_units**2)
        surrogates = (
            Surrogate(
                mean,
                torch.lerp(own, self.pooled, share) * spread + noise,
                self.noise_std,
                "identity",
            )
            for mean, own in zip(
                self.mean.split(size), self.own.split(size), strict=True
            )
        )
        return CloudScorer(surrogates, self.mean.mean(0))

    def choose(
        self,
        pilot: DrawnPoints,
        log_weights: Tensor,
        shares: tuple[float, ...] = POOLED_SHARES,
    ) -> tuple[float, Temper]:
        """Choose what decodes some points best."""
        best = []
        for share in shares:
            scores = self.scorer(share).scores(pilot.points)
            temper = choose_temper(scores, pilot.own, log_weights)
            low = decode(scores, pilot.own, log_weights.exp()[:, None], temper).low
            best.append((float(low.mean()), share, temper))
        _, share, temper = max(best, key=lambda each: each[0])
        return share, temper


def _axes_apart(clouds: Tensor) -> Tensor | None:
    """Orthonormal directions in which inputs lie farthest apart; None for all units.

    A decoder that looks at few of them is one like any other, and noise stays noise.
    """
    n_inputs, _, n_units = clouds.shape
    if n_inputs * n_units**2 <= MOST_COVARIANCES:
        return None
    means = torch.stack([cloud.double().mean(0) for cloud in clouds])
    means -= means.mean(0)
    n_axes = min(MOST_AXES, math.isqrt(MOST_COVARIANCES // n_inputs), *means.shape)
    if n_inputs < n_units:
        _, _, axes = torch.linalg.svd(means, full_matrices=False)
        return axes[:n_axes].mT
    return torch.linalg.eigh(means.mT @ means)[1][:, -n_axes:]


class CloudScorer(Scorer):
    """Log q(t | j) by one Gaussian for each input.

    Parameters
    ----------
    surrogates : iterable of Surrogate
        Of some inputs at a time.
    origin : Tensor of shape (n_units,)
        Where the layer is.
    """

    def __init__(self, surrogates: Iterable[Surrogate], origin: Tensor) -> None:
        self.origin = origin
        parts = [gaussian_coefficients(each, origin) for each in surrogates]
        self.coefficients = torch.cat([coefficients for coefficients, _ in parts])
        self.entropy = torch.cat([entropy for _, entropy in parts])
        self.n_inputs = len(self.entropy)
