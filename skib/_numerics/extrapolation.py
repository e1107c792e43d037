"""Extrapolation of averages over draws to infinitely many of them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["extrapolate"]


def extrapolate(terms: Tensor, n_draws: Tensor) -> tuple[Tensor, Tensor]:
    """Values at infinitely many draws of the polynomials in 1/r through all levels.

    Through r, r/2 and r/4 draws the weights are (8, -6, 1) / 3: they cancel the terms
    of the bias in 1/r and 1/r^2.

    Parameters
    ----------
    terms : Tensor of shape (n_samples, n_levels, n_terms)
        From the most draws to the fewest.
    n_draws : Tensor of shape (n_samples, n_levels)
        Up to a factor.

    Returns
    -------
    extrapolated : Tensor of shape (n_samples, n_terms)
    last_step : Tensor of shape (n_samples, n_terms)
        What the level of fewest draws, the last order, adds to it: about as large as
        the bias that is left.
    """
    value = _at_infinity(terms, n_draws)
    return value, value - _at_infinity(terms[:, :-1], n_draws[:, :-1])


def _at_infinity(terms: Tensor, n_draws: Tensor) -> Tensor:
    x = 1 / n_draws
    total = torch.zeros_like(terms[:, 0])
    for k in range(x.shape[1]):
        others = torch.cat([x[:, :k], x[:, k + 1 :]], dim=1)
        weight = (others / (others - x[:, [k]])).prod(1, keepdim=True)
        total += weight * terms[:, k]
    return total
