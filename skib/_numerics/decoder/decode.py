"""A decoder of the input from a point: bounds from below that hold for any scores.

For any law q(i|t) that never saw which input made t, ``I(X;T) >= E log q(i|t) / w_i``
and the same with labels. Here q is Bayes' rule on scores, tempered by a power, which
forgives surrogates that are too sure of themselves, and defended by a share of the law
of the inputs, which bounds what one point may cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from skib._numerics.decoder.scores import FLOATS_PER_TILE, Scorer

__all__ = [
    "DEFENCES",
    "Decoded",
    "Decoder",
    "Temper",
    "choose_temper",
    "decode",
    "decode_points",
]

POWERS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DEFENCES = (1e-4, 1e-3, 1e-2)
# exp() of very negative arguments is many times slower; e^-80 is invisible beside the
# largest, 1.
LOWEST_EXPONENT = -80.0


@dataclass(frozen=True)
class Temper:
    """How scores are turned into a decoder.

    Attributes
    ----------
    power : float
    defence : float
    exact : bool
        Whether the scores are log p(t | j): then means over the inputs given t stand
        for the input that made t, which have less variance.
    """

    power: float = 1.0
    defence: float = 0.0
    exact: bool = False


class Decoder(NamedTuple):
    """Scores, and how they are turned into a law of the input.

    Attributes
    ----------
    scorer : Scorer
    temper : Temper
    """

    scorer: Scorer
    temper: Temper


@dataclass(frozen=True)
class Decoded:
    """What the decoder says at points, in nats; all of shape (n_points,).

    Attributes
    ----------
    low : Tensor
        Mean not above I(X;T).
    label_low : Tensor
        Mean not above I(Y;T).
    own_score : Tensor
        Log q(t | own input).
    """

    low: Tensor
    label_low: Tensor
    own_score: Tensor


def choose_temper(scores: Tensor, own: Tensor, log_weights: Tensor) -> Temper:
    """Choose power and defence that decode some points best.

    Bounds at the same points would be biased: report others.

    Parameters
    ----------
    scores : Tensor of shape (n_points, n_inputs)
    own : integer Tensor of shape (n_points,)
        Distributed as the inputs are.
    log_weights : Tensor of shape (n_inputs,)
    """
    size = max(1, FLOATS_PER_TILE // scores.shape[1])
    found = torch.zeros(len(POWERS), len(DEFENCES), dtype=scores.dtype)
    for tile in zip(scores.split(size), own.split(size), strict=True):
        found += _sums_by_temper(*tile, log_weights)
    best = divmod(int(found.argmax()), len(DEFENCES))
    return Temper(POWERS[best[0]], DEFENCES[best[1]])


def _sums_by_temper(scores: Tensor, own: Tensor, log_weights: Tensor) -> Tensor:
    """Sum log q(own input | t) over points, a row per power."""
    weight = log_weights[own].exp()[:, None]
    own_score = scores.gather(1, own[:, None])[:, 0]
    defence = scores.new_tensor(DEFENCES)
    sums = []
    for power in POWERS:
        log_joint = torch.add(log_weights, scores, alpha=power)
        top = log_joint.amax(1, keepdim=True)
        log_joint = log_joint.sub_(top).float().clamp_min_(LOWEST_EXPONENT)
        total = log_joint.exp_().sum(1).double()
        log_own = power * own_score + log_weights[own]
        about_own = (log_own - total.log() - top[:, 0]).exp()[:, None]
        sums.append(((1 - defence) * about_own + defence * weight).log().sum(0))
    return torch.stack(sums)


def decode_points(
    decoder: Decoder, points: Tensor, own: Tensor, joint: Tensor
) -> Decoded:
    """Decode points, tile by tile.

    Parameters
    ----------
    decoder : Decoder
    points : Tensor of shape (n_points, n_units)
    own : integer Tensor of shape (n_points,)
        The input that made each point.
    joint : Tensor of shape (n_inputs, n_classes)
        Probability of each input with each label.
    """
    parts = [
        decode(scores, own[rows], joint, decoder.temper)
        for rows, scores in decoder.scorer.tiles(points)
    ]
    return Decoded(
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("low", "label_low", "own_score")
        )
    )


def decode(scores: Tensor, own: Tensor, joint: Tensor, temper: Temper) -> Decoded:
    """Decode points from their scores."""
    log_weights = joint.sum(1).log()
    own_score = scores.gather(1, own[:, None])[:, 0]
    if temper.exact:
        shares = scores + log_weights
        top = shares.amax(1, keepdim=True)
        shares.sub_(top).clamp_min_(LOWEST_EXPONENT).exp_()
        total = shares.sum(1)
        low = (shares * scores).sum(1) / total - total.log() - top[:, 0]
    else:
        # One pass of exp over the matrix is what decoding many inputs costs. Relative
        # to the largest, float32 loses nothing that a mean over points would show.
        shares = torch.add(log_weights, scores, alpha=temper.power)
        top = shares.amax(1, keepdim=True)
        shares = shares.sub_(top).float().clamp_min_(LOWEST_EXPONENT).exp_()
        total = shares.sum(1).double()
        about_own = temper.power * own_score - total.log() - top[:, 0]
        low = ((1 - temper.defence) * about_own.exp() + temper.defence).log()
    label_low = _label_low(shares, total, own, joint, temper)
    return Decoded(low, label_low, own_score)


def _label_low(
    shares: Tensor, total: Tensor, own: Tensor, joint: Tensor, temper: Temper
) -> Tensor:
    """Terms of the bound of I(Y;T), from each input's share in each point."""
    if joint.shape[1] == 1:
        return torch.zeros_like(total)
    given_input = joint / joint.sum(1, keepdim=True)
    prior = joint.sum(0)
    labels = (shares @ given_input.to(shares)).double() / total[:, None]
    if temper.exact:
        return torch.xlogy(labels, labels / prior).sum(1)
    defended = (1 - temper.defence) * labels / prior + temper.defence
    return (given_input[own] * defended.log()).sum(1)
