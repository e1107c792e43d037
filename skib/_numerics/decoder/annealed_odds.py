"""Odds against the own input from annealed densities, where chains forget too slowly.

    ``A = sum over j != i of w_j p(t | j) / (w_i p(t | i))``

is the mean of a sum over picks of weights that go forward to each p(t | j), over one
that came backward from the noise that made t: its inverse has the mean 1 / p(t | i).
Both pass through wide laws, so no mode of the noise holds them for long, as one may
hold the chain of `run_chain`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from skib._numerics.decoder.chain import ChainOdds, OddsQuestion
from skib._numerics.decoder.contenders import Picks
from skib._numerics.layer_density.annealing import backward_weights, forward_weights
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.posterior_fit import fit_posterior

__all__ = ["N_LAWS", "annealed_odds"]

N_LAWS = 96


def annealed_odds(
    question: OddsQuestion, n_rounds: int, n_picks: int, generator: torch.Generator
) -> ChainOdds:
    """Anneal to some other inputs, and from the true noise, in every round.

    Parameters
    ----------
    question : OddsQuestion
    n_rounds, n_picks : int
    generator : torch.Generator

    Returns
    -------
    ChainOdds
        A step is a round.
    """
    return question.answer(_rounds(question, n_rounds, n_picks, generator))


def _rounds(
    question: OddsQuestion, n_rounds: int, n_picks: int, generator: torch.Generator
) -> Iterator[tuple[Picks, Tensor]]:
    own = Roller(question.problem, question.gaussian)
    for _ in range(n_rounds):
        picks = question.law.draw(n_picks, generator)
        theirs = question.problem.of_picks(question.first[picks.inputs])
        roller = Roller(theirs, fit_posterior(theirs, generator))
        log_theirs = forward_weights(roller, N_LAWS, generator).reshape(-1, n_picks)
        log_own = backward_weights(own, question.true_noise, N_LAWS, generator)
        yield picks, log_theirs - log_own[:, None]
