"""Information of discrete points seen through unit Gaussian noise, to high accuracy.

``I(X; X + Z)`` for X on finitely many points and Z ~ N(0, identity). Three exact
reductions make the work small:

* groups of points further apart than noise reaches are told apart without error, so
  ``I = H(group) + sum_g P(g) I_g`` (a lone point has ``I_g = 0``);
* directions in which a group does not extend carry noise only and are dropped;
* what is left in one to three dimensions is a smooth integral over all of space, for
  which the trapezoidal rule on a lattice converges exponentially in 1/step
  (L. N. Trefethen, J. A. C. Weideman, "The exponentially convergent trapezoidal
  rule", SIAM Review 56, 2014, doi:10.1137/130932132).

Groups that extend in more dimensions are left to Monte Carlo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import xlogy
from torch import Tensor

from skib._numerics.normal_noise import normal_noise

__all__ = ["Information", "entropy", "mixture_information"]

# A Gaussian holds 2e-19 of its mass further out than this many standard deviations.
REACH = 9.0
MAX_LATTICE_DIM = 3
# Points that extend less than this (in noise_std) along a direction tell less than
# 1e-12 nats there, and tell it as a Gaussian input of their variance would.
FLAT_EXTENT = 1e-6
# Wanted change under halving of the lattice step, by dimension.
LATTICE_TOLERANCE = {1: 1e-13, 2: 1e-11, 3: 1e-10}
FIRST_STEP, LAST_STEP = 0.5, 1 / 32
MAX_LATTICE_NODES = 2e8
MAX_NEIGHBOUR_PAIRS = 2e7
PAIRS_PER_BATCH = 4e6
# exp() of very negative arguments is slow; e^-80 is invisible beside the own point.
EXPONENT_FLOOR = -80.0


@dataclass(frozen=True)
class Information:
    """A value in nats and how far it may be off.

    Attributes
    ----------
    value : float
    error : float
        Estimated absolute error of the quadrature, or the standard error where
        noise was sampled.
    sampled : bool
        Whether any part rests on sampled noise.
    """

    value: float
    error: float
    sampled: bool


def mixture_information(
    points: np.ndarray,
    weights: np.ndarray,
    *,
    n_mc: int,
    generator: torch.Generator,
) -> Information:
    """Mutual information between points and their sum with unit Gaussian noise.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
        In units of the noise's standard deviation.
    weights : ndarray of shape (n_points,)
        Probabilities > 0 that sum to 1.
    n_mc : int
        Noise samples for the groups of points that need Monte Carlo.
    generator : torch.Generator
        Source of those samples.

    Returns
    -------
    Information
    """
    points, weights = _merge_equal_points(points, weights)
    groups = _split(points, weights)
    mass = np.array([group.mass for group in groups])
    parts = [_group_information(group, n_mc, generator) for group in groups]
    value = entropy(mass) + sum(
        m * part.value for m, part in zip(mass, parts, strict=True)
    )
    error = math.sqrt(
        sum((m * part.error) ** 2 for m, part in zip(mass, parts, strict=True))
    )
    rounding = 0.0 if len(points) == 1 else np.finfo(float).eps * (1 + abs(value))
    return Information(value, error + rounding, any(part.sampled for part in parts))


def entropy(weights: np.ndarray) -> float:
    """Entropy, in nats, of a law on finitely many atoms."""
    return float(-xlogy(weights, weights).sum()) + 0.0  # + 0.0: no minus zero


# --- reductions ------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """Points out of the noise's reach of all others, along their own directions."""

    points: np.ndarray  # (n_points, n_extended_directions)
    weights: np.ndarray  # sum to 1 within the group
    mass: float
    flat_variances: np.ndarray  # of the directions with next to no extent

    @property
    def needs_sampling(self) -> bool:
        return self.points.shape[1] > MAX_LATTICE_DIM


def _merge_equal_points(
    points: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    merged, inverse = np.unique(points, axis=0, return_inverse=True)
    return merged, np.bincount(inverse.ravel(), weights, minlength=len(merged))


def _split(points: np.ndarray, weights: np.ndarray) -> list[_Group]:
    """Split into groups out of reach; those that need sampling stay together."""
    labels = _separated_labels(points)
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    groups = [_make_group(points, weights, rows) for rows in members]
    sampled = [
        rows
        for rows, group in zip(members, groups, strict=True)
        if group.needs_sampling
    ]
    if len(sampled) > 1:
        groups = [group for group in groups if not group.needs_sampling]
        groups.append(_make_group(points, weights, np.concatenate(sampled)))
    return groups


def _make_group(points: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> _Group:
    mass = float(weights[rows].sum())
    inner = weights[rows] / mass
    centered = points[rows] - points[rows].mean(0)
    # Directions ignore the weights: a rare point far out matters as much.
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    along = centered @ directions.T
    extended = np.abs(along).max(0) > FLAT_EXTENT
    flat = along[:, ~extended]
    return _Group(along[:, extended], inner, mass, inner @ (flat - inner @ flat) ** 2)


def _separated_labels(points: np.ndarray) -> np.ndarray:
    """Label points so that different labels are at least 2 REACH apart."""
    side = 2 * REACH
    cells, cell_of = np.unique(
        np.floor((points - points.min(0)) / side), axis=0, return_inverse=True
    )
    cell_of = cell_of.ravel()
    if len(cells) == 1:
        return np.zeros(len(points), dtype=int)
    tree = cKDTree(cells)
    if tree.count_neighbors(tree, 1.5, p=np.inf) > MAX_NEIGHBOUR_PAIRS:
        return np.zeros(len(points), dtype=int)
    pairs = tree.query_pairs(1.5, p=np.inf, output_type="ndarray")
    graph = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells),) * 2
    )
    return connected_components(graph, directed=False)[1][cell_of]


def _group_information(
    group: _Group, n_mc: int, generator: torch.Generator
) -> Information:
    flat = 0.5 * float(np.log1p(group.flat_variances).sum())
    if group.points.shape[1] == 0:
        return Information(flat, flat**2, sampled=False)
    if group.needs_sampling:
        inner = _sampled_information(group.points, group.weights, n_mc, generator)
    else:
        inner = _lattice_information(group.points, group.weights)
    # What the flat directions add to the others is between 0 and `flat`.
    return Information(inner.value, inner.error + flat, inner.sampled)


# --- quadrature ------------------------------------------------------------------


def _lattice_information(points: np.ndarray, weights: np.ndarray) -> Information:
    """Halve the lattice step until the entropy of the mixture stands still."""
    dim = points.shape[1]
    noise_entropy = 0.5 * dim * math.log(2 * math.pi * math.e)
    tiles = _tiles(points)
    step, error = FIRST_STEP, math.inf
    value = _lattice_entropy(points, weights, tiles, step)
    while error > LATTICE_TOLERANCE[dim] and _can_halve(step, dim, len(tiles)):
        step /= 2
        finer = _lattice_entropy(points, weights, tiles, step)
        value, error = finer, abs(finer - value)
    rounding = 8 * np.finfo(float).eps * (1 + abs(value))
    return Information(value - noise_entropy, error + rounding, sampled=False)


def _can_halve(step: float, dim: int, n_tiles: int) -> bool:
    n_nodes = n_tiles * (2 * REACH / step) ** dim
    first = step == FIRST_STEP  # without one halving there is no error estimate
    return first or (step > LAST_STEP and n_nodes <= MAX_LATTICE_NODES)


def _tiles(points: np.ndarray) -> np.ndarray:
    """Lower corners of the cubes of side REACH within reach of any point."""
    cells = np.unique(np.floor(points / REACH), axis=0)
    steps = np.array(list(product((-1, 0, 1), repeat=points.shape[1])))
    around = (cells[:, None] + steps).reshape(-1, points.shape[1])
    return np.unique(around, axis=0) * REACH


def _lattice_entropy(
    points: np.ndarray, weights: np.ndarray, tiles: np.ndarray, step: float
) -> float:
    """Trapezoidal rule for -integral of p log p over all tiles."""
    dim = points.shape[1]
    ticks = (np.arange(round(REACH / step)) + 0.5) * step
    near = cKDTree(points).query_ball_point(tiles + REACH / 2, 1.5 * REACH, p=np.inf)
    sums = []
    for corner, rows in zip(tiles, near, strict=True):
        density = _tile_density(points[rows], weights[rows], corner, ticks)
        sums.append(-xlogy(density, density).sum())
    return math.fsum(sums) * step**dim


def _tile_density(
    points: np.ndarray, weights: np.ndarray, corner: np.ndarray, ticks: np.ndarray
) -> np.ndarray:
    """Mixture density on the lattice of one tile, one axis after the other."""
    product_so_far = weights[None]  # (n_nodes so far, n_points)
    for axis in range(points.shape[1]):
        kernel = _normal_density(corner[axis] + ticks[:, None] - points[:, axis])
        if axis == points.shape[1] - 1:
            return product_so_far @ kernel.T
        product_so_far = (product_so_far[:, None] * kernel).reshape(-1, len(points))
    raise AssertionError("a lattice has at least one axis")


def _normal_density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


# --- Monte Carlo -----------------------------------------------------------------


def _sampled_information(
    points: np.ndarray, weights: np.ndarray, n_mc: int, generator: torch.Generator
) -> Information:
    """Mean over noisy points of the divergence of the posterior from the prior."""
    centers, prior = torch.from_numpy(points), torch.from_numpy(weights)
    own = _systematic_sample(prior, n_mc, generator)
    rows_per_batch = max(1, int(PAIRS_PER_BATCH / len(points)))
    divergence = torch.cat(
        [
            _posterior_divergence(centers, prior, rows, generator)
            for rows in own.split(rows_per_batch)
        ]
    )
    standard_error = divergence.std() / math.sqrt(n_mc)
    return Information(float(divergence.mean()), float(standard_error), sampled=True)


def _systematic_sample(
    prior: Tensor, n_samples: int, generator: torch.Generator
) -> Tensor:
    """Draw indices that visit every point as evenly as its weight allows."""
    offset = torch.rand((), generator=generator, dtype=prior.dtype)
    levels = (torch.arange(n_samples, dtype=prior.dtype) + offset) / n_samples
    return torch.searchsorted(prior.cumsum(0), levels).clamp_max_(len(prior) - 1)


def _posterior_divergence(
    centers: Tensor, prior: Tensor, own: Tensor, generator: torch.Generator
) -> Tensor:
    """Divergence of the law of the point given the noisy point from the prior."""
    shape = len(own), centers.shape[1]
    noise = normal_noise(*shape, generator=generator, dtype=centers.dtype)
    squares = torch.cdist(centers[own] + noise, centers).square_()
    log_ratio = squares.mul_(-0.5).add_(0.5 * noise.square().sum(1, keepdim=True))
    log_ratio.clamp_min_(EXPONENT_FLOOR)
    joint = prior * log_ratio.exp()
    evidence = joint.sum(1)
    return (joint * log_ratio).sum(1) / evidence - evidence.log()
