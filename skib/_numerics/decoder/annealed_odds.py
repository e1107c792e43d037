"""Odds against the own input from annealed densities, where chains forget too slowly.

    ``A = sum over j != i of w_j p(t | j) / (w_i p(t | i))``

is the mean of a sum over picks of weights that go forward to each p(t | j), over one
that came backward from the noise that made t: its inverse has the mean 1 / p(t | i).
Both pass through wide laws, so no mode of the noise holds them for long, as one may
hold the chain of `run_chain`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skib._numerics.decoder.chain import ChainOdds, LabelOdds, label_odds_of
from skib._numerics.decoder.contenders import PickLaw
from skib._numerics.layer_density.annealing import backward_weights, forward_weights
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.noise_posterior import GaussianNoise, LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior

__all__ = ["N_LAWS", "annealed_odds"]

N_LAWS = 96


def annealed_odds(
    problem: LayerProblem,
    gaussian: GaussianNoise,
    law: PickLaw,
    first: Tensor,
    true_noise: Tensor,
    n_rounds: int,
    n_picks: int,
    generator: torch.Generator,
    label: LabelOdds | None = None,
) -> ChainOdds:
    """Anneal to some other inputs, and from the true noise, in every round.

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
    n_rounds, n_picks : int
    generator : torch.Generator
    label : LabelOdds, optional

    Returns
    -------
    ChainOdds
        A step is a round.
    """
    own = Roller(problem, gaussian)
    odds, label_odds = [], []
    for _ in range(n_rounds):
        picks = law.draw(n_picks, generator)
        theirs = _log_densities(problem, first[picks.inputs], generator)
        log_own = backward_weights(own, true_noise, N_LAWS, generator)
        terms = theirs - log_own[:, None] + picks.log_weight
        odds.append(terms.logsumexp(1))
        if label is not None:
            label_odds.append(label_odds_of(label, picks.inputs, terms))
    nothing = odds[0].new_zeros(0, len(odds[0]))
    return ChainOdds(
        torch.stack(odds),
        torch.stack(label_odds) if label_odds else nothing,
        torch.ones_like(odds[0]),
    )


def _log_densities(
    problem: LayerProblem, first: Tensor, generator: torch.Generator
) -> Tensor:
    """Log-weights of p(t | j) for picks of S_1 of shape (n_points, n_picks, ...)."""
    n_points, n_picks, _ = first.shape
    theirs = LayerProblem(
        problem.network,
        problem.layer,
        first.flatten(0, 1),
        problem.points.repeat_interleave(n_picks, 0),
    )
    roller = Roller(theirs, fit_posterior(theirs, generator))
    return forward_weights(roller, N_LAWS, generator).reshape(n_points, n_picks)
