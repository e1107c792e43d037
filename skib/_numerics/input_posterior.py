"""What a point says about the input that made it, from sums over the inputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PosteriorInformation", "posterior_information"]


class PosteriorInformation(NamedTuple):
    """Information of points about inputs, in nats; both have the same mean.

    Attributes
    ----------
    about_own : Tensor
        ln p(i|t) / p(i), with i the input that made the point t.
    expected : Tensor
        Its mean over i given t, the divergence of p(i|t) from p(i): of the same points
        it has a fraction of the variance over the noise.
    """

    about_own: Tensor
    expected: Tensor


def posterior_information(
    weight: Tensor, own: Tensor, others: Tensor, others_log: Tensor
) -> PosteriorInformation:
    """Apply Bayes' rule to p(t|i), known up to a factor per point.

    Parameters
    ----------
    weight : Tensor
        Probability of the own input i.
    own : Tensor of the same shape
        s_i, proportional to p(t|i).
    others : Tensor of the same shape
        Sum over the other inputs of probability times s_j.
    others_log : Tensor of the same shape
        Sum over the other inputs of probability times s_j ln s_j.

    Returns
    -------
    PosteriorInformation
    """
    mass = weight * own
    total = mass + others
    # In this form exactly -ln w_i where nothing overlaps.
    about_own = -weight.log() - torch.log1p(others / mass)
    of_others = others_log - others * total.log()
    return PosteriorInformation(about_own, (mass * about_own + of_others) / total)
