"""How far a decoder is from the truth: its loss, at points, by the chain from above."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import softplus

from skib._numerics.decoder.annealed_odds import annealed_odds
from skib._numerics.decoder.chain import ChainOdds, LabelOdds, OddsQuestion, run_chain
from skib._numerics.decoder.contenders import PickLaw
from skib._numerics.decoder.decode import Decoded, Decoder, Temper, decode
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior
from skib._numerics.noisy_network import NoisyLayers, NoisyPass

__all__ = ["ChainSize", "Gaps", "decoder_gaps"]

# Floats of the slopes, and of the contenders' noises, of a batch of points.
FLOATS_PER_BATCH = 2**21


@dataclass(frozen=True)
class ChainSize:
    """How many points have a chain, and how each looks at other inputs.

    Attributes
    ----------
    n_points, n_steps, n_picks : int
    way : {"shift", "pair", "anneal"}
        Whether the noise of the chain is shifted to each pick, or mapped to a fit of
        its own, or densities are annealed instead, in so many rounds.
    """

    n_points: int
    n_steps: int
    n_picks: int
    way: str = "shift"


@dataclass(frozen=True)
class Gaps:
    """The chain's value less the decoder's at each point, in nats; all (n_points,).

    Attributes
    ----------
    full, label_full : Tensor
        From all steps: their means are not below the decoder's loss about input and
        label.
    jackknife, label_jackknife : Tensor
        The same at infinitely many steps, extrapolated from all and from half of them.
    """

    full: Tensor
    jackknife: Tensor
    label_full: Tensor
    label_jackknife: Tensor


def decoder_gaps(
    network: NoisyLayers,
    layer: int,
    first: Tensor,
    own: Tensor,
    noisy_pass: NoisyPass,
    decoder: Decoder,
    joint: Tensor,
    size: ChainSize,
    generator: torch.Generator,
) -> Gaps:
    """Run the chain at points that the network made, a batch at a time.

    Parameters
    ----------
    network : NoisyLayers
    layer : int
        From 2.
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of all inputs.
    own : integer Tensor of shape (n_points,)
        Input of each pass.
    noisy_pass : NoisyPass
        That made the points, with tensors of shape (n_points, n_units).
    decoder : Decoder
    joint : Tensor of shape (n_inputs, n_classes)
    size : ChainSize
    generator : torch.Generator
    """
    noise_std = network.noise_std[layer - 1]
    points = noisy_pass.clean[layer - 1] + noise_std * noisy_pass.noise[layer - 1]
    noise = torch.cat(noisy_pass.noise[: layer - 1], dim=1)
    per_point = noise.shape[1] * max(points.shape[1], size.n_picks)
    if size.way != "shift":
        widest = max(points.shape[1], noise.shape[1])
        per_point = size.n_picks * noise.shape[1] * widest
    batches = torch.arange(len(own)).split(max(1, FLOATS_PER_BATCH // per_point))
    temper, parts = decoder.temper, []
    for rows in batches:
        scores = decoder.scorer.scores(points[rows])
        problem = LayerProblem(network, layer, first[own[rows]], points[rows])
        law = PickLaw(scores, own[rows], joint.sum(1).log(), temper.power)
        gaussian = fit_posterior(problem, generator)
        decoded, label = _label_odds(scores, own[rows], joint, temper, generator)
        question = OddsQuestion(problem, gaussian, law, first, noise[rows], label)
        amount = size.n_steps, size.n_picks, generator
        if size.way == "anneal":
            odds = annealed_odds(question, *amount)
        else:
            odds = run_chain(question, *amount, pairwise=size.way == "pair")
        parts.append(_gaps(odds, decoded, joint.sum(1)[own[rows]].log()))
    return Gaps(
        *(
            torch.cat([getattr(part, each.name) for part in parts])
            for each in fields(Gaps)
        )
    )


def _label_odds(
    scores: Tensor,
    own: Tensor,
    joint: Tensor,
    temper: Temper,
    generator: torch.Generator,
) -> tuple[Decoded, LabelOdds | None]:
    """Decode the points, their label drawn where an input has several.

    ``label_low`` of what is returned is log q(y | t) of that label.
    """
    decoded = decode(scores, own, joint, temper)
    if joint.shape[1] == 1:
        return decoded, None
    given_input = joint / joint.sum(1, keepdim=True)
    drawn = torch.multinomial(given_input[own], 1, generator=generator)[:, 0]
    given = given_input.T[drawn]
    posterior = (temper.power * scores + joint.sum(1).log()).log_softmax(1)
    about_label = (posterior + given.log()).logsumexp(1)
    log_share = posterior.gather(1, own[:, None])[:, 0] - about_label
    prior = joint.sum(0)[drawn]
    label_low = (1 - temper.defence) * about_label.exp() + temper.defence * prior
    odds = LabelOdds(given, given.gather(1, own[:, None])[:, 0], log_share)
    return Decoded(decoded.low, label_low.log(), decoded.own_score), odds


def _gaps(odds: ChainOdds, decoded: Decoded, log_weight: Tensor) -> Gaps:
    full, jackknife = _highs(odds.log_odds)
    low = decoded.low + log_weight
    if len(odds.log_label_odds) == 0:
        nothing = torch.zeros_like(full)
        return Gaps(full - low, jackknife - low, nothing, nothing)
    label_full, label_jackknife = _highs(odds.log_label_odds)
    label_low = decoded.label_low
    return Gaps(
        full - low, jackknife - low, label_full - label_low, label_jackknife - label_low
    )


def _highs(log_odds: Tensor) -> tuple[Tensor, Tensor]:
    """Log of 1 / (1 + mean odds): of all steps, and jackknifed by the two halves."""
    full = _high(log_odds)
    if len(log_odds) == 1:
        return full, full
    halves = log_odds.chunk(2)
    return full, 2 * full - 0.5 * (_high(halves[0]) + _high(halves[1]))


def _high(log_odds: Tensor) -> Tensor:
    return -softplus(log_odds.logsumexp(0) - math.log(len(log_odds)))
