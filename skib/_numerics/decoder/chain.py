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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.decoder.contenders import Pair, PickLaw, Picks, Shift
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem

__all__ = ["ChainOdds", "LabelOdds", "OddsQuestion", "run_chain"]


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
class OddsQuestion:
    """What odds are asked for: those of the input, and of the label, of some points.

    Attributes
    ----------
    problem : LayerProblem
    gaussian : GaussianNoise
        Fits the noise before the layer given each point.
    law : PickLaw
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of all inputs.
    true_noise : Tensor of shape (n_points, n_noises)
        That made the points.
    label : LabelOdds, optional
    """

    problem: LayerProblem
    gaussian: GaussianNoise
    law: PickLaw
    first: Tensor
    true_noise: Tensor
    label: LabelOdds | None = None

    def answer(self, looks: Iterable[tuple[Picks, Tensor]]) -> ChainOdds:
        """Sum over the picks of every look, whose log p(t | j) / p(t | i) are given."""
        odds, label_odds = [], []
        for picks, log_ratios in looks:
            terms = log_ratios + picks.log_weight
            odds.append(terms.logsumexp(1))
            if self.label is not None:
                label_odds.append(_label_odds(self.label, picks.inputs, terms))
        nothing = odds[0].new_zeros(0, len(odds[0]))
        return ChainOdds(
            torch.stack(odds), torch.stack(label_odds) if label_odds else nothing
        )


@dataclass(frozen=True)
class ChainOdds:
    """Odds against the own input, and against its label, step by step.

    Attributes
    ----------
    log_odds, log_label_odds : Tensor of shape (n_steps, n_points)
        Their logs. The mean over steps of the odds has the mean that the exact ones
        have. The second is empty without labels.
    """

    log_odds: Tensor
    log_label_odds: Tensor


def run_chain(
    question: OddsQuestion,
    n_steps: int,
    n_picks: int,
    generator: torch.Generator,
    *,
    pairwise: bool = False,
) -> ChainOdds:
    """Walk from the true noise, and look at other inputs at every step.

    Parameters
    ----------
    question : OddsQuestion
    n_steps, n_picks : int
    generator : torch.Generator
    pairwise : bool, default=False
        Whether each pick's noise is fitted (`Pair`) and the picks are the same at all
        steps; else the noise is shifted and picks are fresh at every step.

    Returns
    -------
    ChainOdds
    """
    return question.answer(_steps(question, n_steps, n_picks, generator, pairwise))


def _steps(
    question: OddsQuestion,
    n_steps: int,
    n_picks: int,
    generator: torch.Generator,
    pairwise: bool,
) -> Iterator[tuple[Picks, Tensor]]:
    problem, gaussian, first = question.problem, question.gaussian, question.first
    picks = question.law.draw(n_picks, generator)
    contenders: Shift | Pair
    if pairwise:
        contenders = Pair.between(problem, gaussian, first[picks.inputs], generator)
    else:
        contenders = Shift.along(problem, gaussian)
    roller = Roller(problem, gaussian)
    place = roller.at(question.true_noise)
    for step in range(n_steps):
        if step > 0:
            place, _ = roller.move(place, step - 1, generator)
            if not pairwise:
                picks = question.law.draw(n_picks, generator)
        yield (
            picks,
            contenders.log_ratios(place.noise, place.log_joint, first[picks.inputs]),
        )


def _label_odds(label: LabelOdds, inputs: Tensor, terms: Tensor) -> Tensor:
    """Log odds against the point's label, from the picks and the own input."""
    others = terms + (1 - label.given_input.gather(1, inputs)).log()
    all_ = torch.cat([others, (1 - label.given_own).log()[:, None]], dim=1)
    return label.log_share + all_.logsumexp(1)
