"""Information terms from a known network: its own density, and kernels for the others.

A noisy pass of input i gives t. With ``p_i = p(t | x_i)`` (importance sampled) and
kernel averages over fresh passes for every other input,

    ``log p(t | x_i) / p(t) = -log(w_i + sum_(j != i) w_j p_j / p_i)``.

Nothing cancels: where noise confuses no inputs this is exactly ``-log w_i``. Only the
other inputs are smoothed by kernels, so few passes do: the bias is upward (Jensen) and
falls as one over the passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.importance import ConditionalDensity

__all__ = ["InformationTerms", "information_terms"]


@dataclass(frozen=True)
class InformationTerms:
    """Terms whose mean over (input, pass) is I(X;T), in nats; all (n_points,).

    Attributes
    ----------
    low, high : Tensor
        Not above and not below I in expectation, whatever the number of passes.
    middle : Tensor
        The estimate: exact `-log w_i` where no inputs are confused.
    """

    low: Tensor
    middle: Tensor
    high: Tensor


def information_terms(
    density: ConditionalDensity,
    log_prior: Tensor,
    log_others: Tensor,
    log_own: Tensor,
) -> InformationTerms:
    """Combine the density given the own input with the kernel averages.

    Parameters
    ----------
    density : ConditionalDensity
        Log p(t | x_i) of every point.
    log_prior : Tensor of shape (n_points,)
        Log of the weight w_i of the point's own input.
    log_others : Tensor of shape (n_points,)
        Log of ``sum_(j != i) w_j`` times the mean kernel over passes of input j. The
        passes that made other points are as good as fresh ones.
    log_own : Tensor of shape (n_points,)
        Log of the mean kernel over as many passes of input i, the one that made t among
        them. Used by `low` alone.

    Returns
    -------
    InformationTerms

    Notes
    -----
    Both parts of ``w_i e^density.low + e^log_others`` are unbiased given t, so its log
    is at most log p(t) in expectation (Jensen), which makes `high` high. The plug-in
    ``log(w_i e^log_own + e^log_others)`` is at least log p(t) in expectation, because
    kernel averages that hold the pass that made t are met with probability
    proportional to themselves (the same reason for which the plug-in of h(T) is low),
    which makes `low` low.
    """
    plug_in = torch.logaddexp(log_prior + log_own, log_others)
    marginal = torch.logaddexp(log_prior + density.low, log_others)
    middle = -torch.logaddexp(log_prior, log_others - density.middle)
    return InformationTerms(density.low - plug_in, middle, density.high - marginal)
