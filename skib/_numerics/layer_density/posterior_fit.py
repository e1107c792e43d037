"""A Gaussian that fits the posterior of the noise well, not only at its mode.

`linearise_at_mode` takes slopes at one point, which is too sharp where activations bend
within the posterior. Statistical linearisation takes mean slopes over the Gaussian, and
counts what the line leaves of the layer as noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skib._numerics.layer_density.noise_posterior import (
    GaussianNoise,
    LayerProblem,
    linearise_at_mode,
)

__all__ = ["fit_posterior"]

N_ROUNDS = 3
N_PAIRS = 8


def fit_posterior(
    problem: LayerProblem,
    generator: torch.Generator,
    start: Tensor | None = None,
) -> GaussianNoise:
    """Fit a Gaussian to the law of the noise before a layer, given its points.

    Parameters
    ----------
    problem : LayerProblem
    generator : torch.Generator
    start : Tensor of shape (n_points, n_noises), default=None
        Where the search for the mode starts; None is at no noise. It must not depend on
        the noise that made the points.

    Returns
    -------
    GaussianNoise
        Exact in linear networks. It depends on the points and their inputs alone.
    """
    if start is None:
        start = problem.points.new_zeros(len(problem.points), problem.n_noises)
    gaussian, _ = linearise_at_mode(problem, start)
    if problem.network.is_linear:
        return gaussian
    for _ in range(N_ROUNDS):
        gaussian = _refined(problem, gaussian, generator)
    return gaussian


def _refined(
    problem: LayerProblem,
    gaussian: GaussianNoise,
    generator: torch.Generator,
) -> GaussianNoise:
    """Take the mean line over the Gaussian, and one Newton step."""
    half = gaussian.draw(N_PAIRS, generator)
    offsets = torch.cat([half, -half])
    network, layer = problem.network, problem.layer
    last, slopes = [], torch.zeros_like(gaussian.slopes)
    for offset in offsets:  # one at a time: slopes are large
        noise = gaussian.center + offset
        clean = network.clean(problem.first, noise, layer)
        slopes += network.slopes(clean, noise) / len(offsets)
        last.append(clean[-1])
    values = torch.stack(last)
    average = values.mean(0)
    line = torch.einsum("nuk,ank->anu", slopes, offsets)
    rest = (values - average - line).square().mean(0)
    std = (problem.noise_std**2 + rest).sqrt()
    slopes = slopes / std[..., None]
    misfit = (problem.points - average) / std
    fitted = GaussianNoise.from_slopes(gaussian.center, slopes)
    downhill = (slopes.mT @ misfit[..., None])[..., 0] - gaussian.center
    seen = torch.cholesky_solve(slopes @ downhill[..., None], fitted.factor)
    center = gaussian.center + downhill - (slopes.mT @ seen)[..., 0]
    return GaussianNoise(center, slopes, fitted.factor)
