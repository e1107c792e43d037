"""Information of the cells of bins that activations hit."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import xlogy

from skib._numerics.binning import number_distinct
from skib.mutual_info._input_law import LayerLaw
from skib.mutual_info._stratified import GivenDraws, Terms

__all__ = ["cell_means"]

TINY = np.finfo(float).tiny


def cell_means(
    law: LayerLaw, cell: np.ndarray, owner: np.ndarray, *, corrected: bool
) -> GivenDraws:
    """Mean of the information terms over the inputs' draws, with their spread.

    The terms are the influence functions of the plug-in quantities, so their spread
    over the draws of an input is that of the estimate.

    Parameters
    ----------
    law : LayerLaw
    cell, owner : int arrays of shape (n_inputs * n_draws,)
        Cell that each activation hits, and the input that it belongs to.
    corrected : bool
        Whether to add the leading bias of the entropies back.

    Returns
    -------
    GivenDraws
    """
    n_draws = law.centers.shape[1]
    joint = law.joint.cpu().numpy()
    by_label = np.stack([np.bincount(cell, p[owner] / n_draws) for p in joint.T], 1)
    p_cell = by_label.sum(1)
    own_cell = number_distinct(owner * len(p_cell) + cell)
    p_cell_given_input = np.bincount(own_cell)[own_cell] / n_draws
    # A label of weight 0 has no cells: its ratio is 0 / 0, and its share 0.
    prior = np.maximum(by_label.sum(0), TINY)
    ratio = by_label / p_cell[:, None] / prior
    share = joint / joint.sum(1, keepdims=True)

    entropy = -np.log(p_cell[cell])
    conditional = -np.log(p_cell_given_input)
    label_conditional = entropy - xlogy(share[owner], ratio[cell]).sum(1)
    if corrected:
        spread = (1 - p_cell_given_input) / n_draws**2
        weight = joint.sum(1)[owner]
        entropy += _lost_entropy(spread, weight, weight, p_cell[cell])
        conditional += _lost_entropy(spread, weight, 1.0, p_cell_given_input)
        label_conditional += sum(
            _lost_entropy(spread, p[owner], p[owner], np.maximum(p_label, TINY)[cell])
            for p, p_label in zip(joint.T, by_label.T, strict=True)
        )
    terms = {
        "mutual_info": entropy - conditional,
        "entropy": entropy,
        "conditional_entropy": conditional,
        "label_mutual_info": entropy - label_conditional,
        "label_conditional_entropy": label_conditional,
    }
    means = GivenDraws(law.input_weights.cpu(), law.centers.mean(1).cpu())
    means.add(Terms({name: torch.from_numpy(t) for name, t in terms.items()}))
    return means


def _lost_entropy(
    spread: np.ndarray,
    mass: np.ndarray,
    weight: np.ndarray | float,
    p_cell: np.ndarray,
) -> float:
    """Leading term of what finitely many draws take from an entropy.

    Half the sum over cells of the variance of a cell's share over that share; each
    draw stands for its part of the variance that its input causes in its cell.

    Parameters
    ----------
    spread : array of shape (n_samples,)
        (1 - p) / n_draws^2, for p the share of its input's draws in the sample's cell.
    mass : array of shape (n_samples,)
        Weight of the input in the mean of entropies.
    weight : array of shape (n_samples,) or float
        Weight of the input in the share of the cell.
    p_cell : array of shape (n_samples,)
        Share of the cell.
    """
    return 0.5 * float(np.sum(mass * spread * weight / p_cell))
