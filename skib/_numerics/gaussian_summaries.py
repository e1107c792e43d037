"""Gaussian summaries of clouds of centres, as densities to decode an input from.

Any decoder q(i|t) that never saw t gives a lower bound, I >= H(X) + E ln q(i|T).
Kernels at the other draws decode badly where a cloud is wide and its draws are few; a
Gaussian with the cloud's mean and covariance fills the gaps between them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skib._numerics.geometry import boxes, spatial_order, squared_gaps

# The summaries cost n_features^2 / 2 products per (query, cloud).
MAX_FEATURES = 24
EXPONENT_RANGE = (-80.0, 60.0)
QUERIES_PER_TILE = 128

# Values converted to float64 at a time.
VALUES_PER_CHUNK = 1 << 16


def gaussian_sums(
    centers: Tensor,
    weights: Tensor,
    groups: Tensor,
    draws: Tensor,
    noise: Tensor,
    noise_std: float,
) -> tuple[Tensor, Tensor]:
    """Evaluate the Gaussian summary of every cloud at each query.

    Parameters
    ----------
    centers : Tensor of shape (n_groups, n_draws, n_features)
        At least 3 draws, so that one can be left out.
    weights : Tensor of shape (n_groups,)
    groups, draws : integer Tensors of shape (n_queries,)
        Which centre each query was made from; it is left out of its own summary.
    noise : Tensor of shape (n_queries, n_features)
        Query minus its own centre.
    noise_std : float

    Returns
    -------
    own, others : Tensors of shape (n_queries,), float64
        Density of the query's own cloud, and weighted sum over all other clouds, in
        units of the kernel of the query's own centre.
    """
    origin = centers.mean((0, 1)).double()
    left_out = (centers[groups, draws].double() - origin) / noise_std
    offset = noise.double() / noise_std
    queries = left_out + offset
    # ln of the own kernel; its factor (2 pi)^(-d/2) cancels against the summaries'.
    own_kernel = -0.5 * (offset**2).sum(1)

    mean, scatter = _moments(centers, origin, noise_std)
    n_draws = centers.shape[1]
    covariance = _smooth(scatter / n_draws, n_draws)
    others = _sums_of_others(queries, groups, own_kernel, weights, mean, covariance)

    mean, scatter = _leave_out(mean[groups], scatter[groups], left_out, n_draws)
    covariance = _smooth(scatter / (n_draws - 1), n_draws - 1)
    own = _log_density(queries, mean, covariance) - own_kernel
    return own.clamp(*EXPONENT_RANGE).exp(), others


def _moments(clouds: Tensor, origin: Tensor, noise_std: float) -> tuple[Tensor, Tensor]:
    """Mean and scatter matrix of each cloud, from the origin in units of the noise."""
    n_groups, _, n_features = clouds.shape
    mean = origin.new_empty(n_groups, n_features)
    scatter = origin.new_empty(n_groups, n_features, n_features)
    n_rows = max(1, VALUES_PER_CHUNK // clouds[0].numel())
    for part, part_mean, part_scatter in zip(
        *(values.split(n_rows) for values in (clouds, mean, scatter)), strict=True
    ):
        scaled = (part.double() - origin).mul_(1 / noise_std)
        part_mean.copy_(scaled.mean(1))
        scaled -= part_mean[:, None]
        torch.matmul(scaled.mT, scaled, out=part_scatter)
    return mean, scatter


def _sums_of_others(
    queries: Tensor,
    groups: Tensor,
    own_kernel: Tensor,
    weights: Tensor,
    mean: Tensor,
    covariance: Tensor,
) -> Tensor:
    """Weighted sum of all clouds but the own at each query.

    Clouds that are nowhere in a tile of neighbouring queries above the lowest exponent
    are given that without a look.
    """
    coefficients = _quadratic_coefficients(mean, covariance)
    order = spatial_order(queries, QUERIES_PER_TILE)
    low, high = boxes(queries[order], QUERIES_PER_TILE)
    height = boxes(-own_kernel[order, None], QUERIES_PER_TILE)[1]
    # No variance in any direction is above the largest row sum, no peak above 0.
    widest = covariance.abs().sum(2).amax(1)
    gaps = squared_gaps(low, high, mean, mean)
    in_reach = height - 0.5 * gaps / widest > EXPONENT_RANGE[0]
    tile = torch.arange(len(order), device=order.device) // QUERIES_PER_TILE
    in_reach[tile, groups[order]] = True
    others = torch.empty_like(own_kernel)
    for rows, near in zip(order.split(QUERIES_PER_TILE), in_reach, strict=True):
        clouds = torch.nonzero(near)[:, 0]
        exponent = _quadratic_features(queries[rows]) @ coefficients[clouds].T
        exponent -= own_kernel[rows, None]
        densities = exponent.clamp_(*EXPONENT_RANGE).exp_()
        place = near.cumsum(0) - 1
        densities.scatter_(1, place[groups[rows], None], 0.0)
        far = weights[~near].sum() * math.exp(EXPONENT_RANGE[0])
        others[rows] = densities @ weights[clouds] + far
    return others


def _leave_out(
    mean: Tensor, scatter: Tensor, point: Tensor, n_draws: int
) -> tuple[Tensor, Tensor]:
    """Mean and scatter matrix of the cloud without one of its points."""
    step = (point - mean) / (n_draws - 1)
    lost = step[:, :, None] * step[:, None, :] * (n_draws * (n_draws - 1))
    return mean - step, scatter - lost


def _smooth(covariance: Tensor, n_draws: int) -> Tensor:
    """Shrink towards a sphere where draws are few, and add the unit noise."""
    n_features = covariance.shape[-1]
    shrinkage = n_features / (n_features + n_draws)
    identity = torch.eye(n_features, dtype=covariance.dtype, device=covariance.device)
    variance = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)
    sphere = variance[:, None, None] * identity
    return (1 - shrinkage) * covariance + shrinkage * sphere + identity


def _log_density(points: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Ln N(point; mean, covariance) + (d / 2) ln(2 pi), one Gaussian per point."""
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(
        factor, (points - mean)[:, :, None], upper=False
    )
    log_scale = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -0.5 * (white**2).sum((1, 2)) - log_scale


def _quadratic_features(points: Tensor) -> Tensor:
    rows, columns = torch.triu_indices(points.shape[1], points.shape[1])
    one = torch.ones(len(points), 1, dtype=points.dtype, device=points.device)
    return torch.cat([points[:, rows] * points[:, columns], points, one], dim=1)


def _quadratic_coefficients(mean: Tensor, covariance: Tensor) -> Tensor:
    """Coefficients of ln N + (d / 2) ln(2 pi) over the quadratic features."""
    factor = torch.linalg.cholesky(covariance)
    precision = torch.cholesky_inverse(factor)
    rows, columns = torch.triu_indices(mean.shape[1], mean.shape[1])
    doubled = torch.where(rows == columns, 0.5, 1.0).to(mean)
    slope = (precision @ mean[:, :, None])[:, :, 0]
    log_scale = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = -0.5 * (slope * mean).sum(1) - log_scale
    quadratic = -precision[:, rows, columns] * doubled
    return torch.cat([quadratic, slope, constant[:, None]], dim=1)
