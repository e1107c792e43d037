"""How likely each input makes a point, by its surrogate: a matrix, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

from skib._numerics.decoder.bends import FLOATS_PER_BEND, bend_nodes, bend_values
from skib._numerics.decoder.kinks import kink_nodes, kink_values
from skib._numerics.decoder.surrogate import Surrogate, layer_surrogate
from skib._numerics.decoder.unit_tables import UnitTables
from skib._numerics.noisy_network import NoisyNetwork

__all__ = ["CenterScorer", "Scorer", "with_bends"]

# Floats of a tile's largest tensor. The surrogates may take 32 MiB; scores are gone
# over many times, and with 8 MiB stay near the processor.
FLOATS_PER_SURROGATE, FLOATS_PER_TILE = 2**22, 2**20
# Numbers that say what a bounded activation makes of all units, of all inputs.
MOST_BENDS = 2**23


class Scorer:
    """Log q(t | j) of points t and all inputs j.

    ``log q`` of a Gaussian is linear in 1, t and the products of t's units: one matrix
    product scores all inputs. Behind rectifiers it is corrected unit by unit: the share
    of a unit in the Gaussian is replaced by what the kink makes of it. Behind bounded
    activations it may be (`with_bends`).

    Parameters
    ----------
    network : NoisyNetwork
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of all inputs.
    layer : int
        From 1.

    Attributes
    ----------
    entropy : Tensor of shape (n_inputs,)
        Of the Gaussians, in nats.
    """

    tables: UnitTables | None = None

    def __init__(self, network: NoisyNetwork, first: Tensor, layer: int) -> None:
        self.n_inputs = len(first)
        self.noise_std = network.noise_std[layer - 1]
        without = first.new_zeros(sum(network.sizes_before(layer)))
        # Products of units lose no digits when counted from where the layer is.
        self.origin = network.clean(first, without, layer)[-1].mean(0)
        coefficients, entropies, kinks = [], [], []
        for surrogate in _surrogates(network, first, layer):
            found, entropy = gaussian_coefficients(surrogate, self.origin)
            coefficients.append(found)
            entropies.append(entropy)
            if surrogate.has_kinks:
                kinks.append(kink_values(surrogate))
        self.coefficients, self.entropy = torch.cat(coefficients), torch.cat(entropies)
        if kinks:
            self.tables = UnitTables(kink_nodes(self.noise_std), torch.cat(kinks))

    def scores(self, points: Tensor) -> Tensor:
        """Log q(t | j) in nats, shape (n_points, n_inputs).

        Parameters
        ----------
        points : Tensor of shape (n_points, n_units)
        """
        found = _features(points - self.origin) @ self.coefficients.T
        if self.tables is not None:
            self.tables.add_to(found, points)
        return found

    def tiles(self, points: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield which points, and their scores; memory stays bounded."""
        widest = max(self.coefficients.shape[1], self.n_inputs)
        if self.tables is not None:
            widest = max(widest, self.tables.values.shape[1])
        size = max(1, FLOATS_PER_TILE // widest)
        for start in range(0, len(points), size):
            rows = slice(start, min(start + size, len(points)))
            yield rows, self.scores(points[rows])


class CenterScorer(Scorer):
    """Log q(t | j) where each input has one centre: as the law of the first layer is.

    Parameters
    ----------
    centers : Tensor of shape (n_inputs, n_units)
    noise_std : float
    """

    def __init__(self, centers: Tensor, noise_std: float) -> None:
        self.noise_std = noise_std
        self.origin = centers.mean(0)
        scaled = (centers - self.origin) / noise_std
        constant = -0.5 * scaled.square().sum(1, keepdim=True)
        self.coefficients = torch.cat([scaled / noise_std, constant], dim=1)
        self.n_inputs, n_units = centers.shape
        scale = n_units * math.log(noise_std * math.sqrt(2 * math.pi))
        self._log_scale = scale
        self.entropy = centers.new_full((self.n_inputs,), scale + 0.5 * n_units)

    def scores(self, points: Tensor) -> Tensor:
        """Log q(t | j), as of `Scorer`."""
        moved = points - self.origin
        ones = moved.new_ones(len(moved), 1)
        found = torch.cat([moved, ones], dim=1) @ self.coefficients.T
        squares = (moved / self.noise_std).square().sum(1, keepdim=True)
        return found - 0.5 * squares - self._log_scale


def with_bends(
    scorer: Scorer, network: NoisyNetwork, first: Tensor, layer: int
) -> Scorer | None:
    """Correct the units of a bounded activation; None where that is not done.

    Parameters
    ----------
    scorer : Scorer
    network, first, layer : NoisyNetwork, Tensor, int
        That it was built from; from the second layer on.
    """
    nodes = bend_nodes(network.activations[layer - 1], scorer.noise_std)
    if nodes is None or len(first) * len(scorer.origin) * len(nodes) > MOST_BENDS:
        return None
    per_input = FLOATS_PER_BEND * len(scorer.origin)
    values = [
        bend_values(surrogate, nodes).float()
        for surrogate in _surrogates(network, first, layer, per_input)
    ]
    bent = copy(scorer)
    bent.tables = UnitTables(nodes, torch.cat(values))
    return bent


def _surrogates(
    network: NoisyNetwork, first: Tensor, layer: int, n_floats: int = 0
) -> Iterator[Surrogate]:
    """Yield the surrogates of some inputs, each of which takes so many floats more."""
    per_input = max(n_floats, max(network.layer_sizes[:layer]) ** 2)
    for part in first.split(max(1, FLOATS_PER_SURROGATE // per_input)):
        yield layer_surrogate(network, part, layer)


def _features(points: Tensor) -> Tensor:
    """Products of two units, units and 1, side by side."""
    rows, columns = torch.triu_indices(points.shape[1], points.shape[1])
    ones = torch.ones(len(points), 1, dtype=points.dtype, device=points.device)
    return torch.cat([points[:, rows] * points[:, columns], points, ones], dim=1)


def gaussian_coefficients(
    surrogate: Surrogate, origin: Tensor
) -> tuple[Tensor, Tensor]:
    """Coefficients of log q(t | j) over the features, one row per input; entropies."""
    n_units = len(origin)
    rows, columns = torch.triu_indices(n_units, n_units)
    on_diagonal = torch.nonzero(rows == columns)[:, 0]
    doubled = torch.where(rows == columns, 0.5, 1.0).to(origin)
    mean = surrogate.mean - origin
    factor = torch.linalg.cholesky(surrogate.covariance)
    precision = torch.cholesky_inverse(factor)
    slope = (precision @ mean[..., None])[..., 0]
    log_scale = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_scale = log_scale + 0.5 * n_units * math.log(2 * math.pi)
    constant = -0.5 * (slope * mean).sum(1) - log_scale
    quadratic = -precision[:, rows, columns] * doubled
    if surrogate.has_kinks:
        straight = _parabola(*surrogate.above_kink(origin))
        normal = _parabola(mean, surrogate.covariance.diagonal(dim1=-2, dim2=-1))
        more = [one - other for one, other in zip(straight, normal, strict=True)]
        quadratic[:, on_diagonal] += more[0]
        slope, constant = slope + more[1], constant + more[2].sum(1)
    found = torch.cat([quadratic, slope, constant[:, None]], dim=1)
    return found, log_scale + 0.5 * n_units


def _parabola(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients of t^2, t and 1 in the log-density of a normal value."""
    constant = -0.5 * (mean.square() / variance + (2 * math.pi * variance).log())
    return -0.5 / variance, mean / variance, constant
