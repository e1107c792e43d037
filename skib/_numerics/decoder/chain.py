"""Log p(i | t) from below by a chain of noises, started from the true one.

    ``log p(i | t) = -log(1 + A), A = sum over j != i of w_j p(t | j) / (w_i p(t | i))``

and A is a mean over the noise u of input i given t, of which the noise that made t is
an exact sample. A Markov chain that starts there and leaves that law as it is gives
more: the mean of A over K steps has the mean A, whatever K, and so ``-log(1 + mean)``
is not below ``log p(i | t)`` in expectation (Jensen). For this nothing but the start of
the chain may depend on the true noise.

The same with a label y of the own input: ``log p(y | t) = -log(1 + B)``, B the odds of
other labels, is a mean over inputs of that label and their noise; the chain keeps its
input, an exact sample too, and other inputs of the label enter by how likely the
decoder takes the own one to be among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.decoder.contenders import Pair, PickLaw, Shift
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem

__all__ = ["ChainOdds", "LabelOdds", "label_odds_of", "run_chain"]


@dataclass(frozen=True)
class LabelOdds:
    """What turns contenders for the input into contenders for the label.

    Attributes
    ----------
    given_input : Tensor of shape (n_points, n_inputs)
        Probability of the point's label given each input.
    given_own : Tensor of shape (n_points,)
        The same of the own input.
    log_share : Tensor of shape (n_points,)
        Log of r_i / p(y | i): r_i is the decoder's probability of the own input given t
        and the label.
    """

    given_input: Tensor
    given_own: Tensor
    log_share: Tensor


@dataclass(frozen=True)
class ChainOdds:
    """Odds against the own input, and against its label, step by step.

    Attributes
    ----------
    log_odds, log_label_odds : Tensor of shape (n_steps, n_points)
        Their logs. The mean over steps of the odds has the mean that the exact ones
        have. The second is empty without labels.
    accepted : Tensor of shape (n_points,)
        Share of the chain's moves that were accepted.
    """

    log_odds: Tensor
    log_label_odds: Tensor
    accepted: Tensor


def run_chain(
    problem: LayerProblem,
    gaussian: GaussianNoise,
    law: PickLaw,
    first: Tensor,
    true_noise: Tensor,
    n_steps: int,
    n_picks: int,
    generator: torch.Generator,
    label: LabelOdds | None = None,
    *,
    pairwise: bool = False,
) -> ChainOdds:
    """Walk from the true noise, and look at other inputs at every step.

    Parameters
    ----------
    problem : LayerProblem
    gaussian : GaussianNoise
        Fits the noise before the layer given each point.
    law : PickLaw
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of all inputs.
    true_noise : Tensor of shape (n_points, n_noises)
        That made the points.
    n_steps, n_picks : int
    generator : torch.Generator
    label : LabelOdds, optional
    pairwise : bool, default=False
        Whether each pick's noise is fitted (`Pair`) and the picks are the same at all
        steps; else the noise is shifted and picks are fresh at every step.

    Returns
    -------
    ChainOdds
    """
    picks = law.draw(n_picks, generator)
    contenders: Shift | Pair
    if pairwise:
        contenders = Pair.between(problem, gaussian, first[picks.inputs], generator)
    else:
        contenders = Shift.along(problem, gaussian)
    roller = Roller(problem, gaussian)
    place = roller.at(true_noise)
    odds, label_odds = [], []
    accepted = torch.zeros_like(place.log_joint)
    for step in range(n_steps):
        if step > 0 and not pairwise:
            picks = law.draw(n_picks, generator)
        ratios = contenders.log_ratios(
            place.noise, place.log_joint, first[picks.inputs]
        )
        terms = ratios + picks.log_weight
        odds.append(terms.logsumexp(1))
        if label is not None:
            label_odds.append(label_odds_of(label, picks.inputs, terms))
        if step + 1 < n_steps:
            place, moved = roller.move(place, step, generator)
            accepted += moved
    return ChainOdds(
        torch.stack(odds),
        torch.stack(label_odds) if label_odds else odds[0].new_zeros(0, len(odds[0])),
        accepted / max(1, n_steps - 1),
    )


def label_odds_of(label: LabelOdds, inputs: Tensor, terms: Tensor) -> Tensor:
    """Log odds against the point's label, from the picks and the own input."""
    others = terms + (1 - label.given_input.gather(1, inputs)).log()
    all_ = torch.cat([others, (1 - label.given_own).log()[:, None]], dim=1)
    return label.log_share + all_.logsumexp(1)
