"""Information terms from a known network: its own density, and kernels for the others.

A noisy pass of input i gives t. With ``p_i = p(t | x_i)`` (importance sampled) and
kernel averages over fresh passes for every other input,

    ``log p(t | x_i) / p(t) = -log(w_i + sum_(j != i) w_j p_j / p_i)``.

Nothing cancels: where noise confuses no inputs this is exactly ``-log w_i``. Only the
other inputs are smoothed by kernels, so few passes do: the bias is upward (Jensen) and
falls as one over the passes. It is extrapolated away: the passes come in four blocks,
and averages over all of them, every two and every one show how terms depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from skib._numerics.extrapolation import extrapolate
from skib._numerics.input_posterior import posterior_information
from skib._numerics.kernel_sums import KernelSums

__all__ = [
    "ALL_DRAWS",
    "BLOCKS",
    "N_BLOCKS",
    "InformationTerms",
    "OwnDensity",
    "network_terms",
]

# Levels of the kernel sums: all draws; or every block of them, and all, last.
ALL_DRAWS = torch.ones(1, 1, 1)
N_BLOCKS = 4
BLOCKS = torch.cat([torch.eye(N_BLOCKS), torch.ones(1, N_BLOCKS)])
BLOCKS = BLOCKS[:, None].expand(-1, N_BLOCKS, -1)
# Blocks that an average holds, from all to one.
SIZES = (4, 2, 1)
LOG_TINY = -700.0


@dataclass(frozen=True)
class OwnDensity:
    """Log p(t | x) of each point, x its own input, less that of its own kernel.

    Attributes
    ----------
    low, high : Tensor of shape (n_points,)
        Not above and not below the truth in expectation.
    """

    low: Tensor
    high: Tensor

    @property
    def middle(self) -> Tensor:
        """Mean of `low` and `high`: without bias to first order."""
        return 0.5 * (self.low + self.high)


@dataclass(frozen=True)
class InformationTerms:
    """Terms whose mean over (input, pass) is an information, in nats; all (n_points,).

    Attributes
    ----------
    low, high : Tensor
        Not above and not below I(X;T) in expectation, whatever the number of passes.
    information : Tensor
        The estimate of I(X;T): exactly `-log w_i` where no inputs are confused.
    label_information : Tensor
        The estimate of I(Y;T).
    last_step, label_last_step : Tensor
        What the last order of the extrapolation to infinitely many passes adds to the
        two: about as large as the bias that is left.
    influence, label_influence : Tensor
        To first order, how the two estimates move, times draws, when one more draw of
        the point's own input is made where the point is: draws are a sample too.
    control : Tensor
        Has mean 0 over all draws of the kernels, and much of the noise of the three
        terms of I(X;T) with its sign turned.
    """

    low: Tensor
    high: Tensor
    information: Tensor
    label_information: Tensor
    last_step: Tensor
    label_last_step: Tensor
    influence: Tensor
    label_influence: Tensor
    control: Tensor


def network_terms(
    density: OwnDensity, joint: Tensor, prior: Tensor, sums: KernelSums, n_draws: int
) -> InformationTerms:
    """Combine the density given the own input with the kernel averages.

    Parameters
    ----------
    density : OwnDensity
    joint : Tensor of shape (n_points, n_classes)
        Probability of the point's own input with each label.
    prior : Tensor of shape (n_classes,)
        Probability of each label.
    sums : KernelSums
        Over `n_draws` passes of every input, the one that made the point among those of
        its own, by the levels `BLOCKS` or `ALL_DRAWS`; weights are the probability of
        each input with each label.
    n_draws : int

    Returns
    -------
    InformationTerms

    Notes
    -----
    Both parts of ``w_i e^density.low + others`` are unbiased given t, so its log is at
    most log p(t) in expectation (Jensen), which makes `high` high. The plug-in
    ``w_i own + others`` has a log of at least log p(t) in expectation, because kernel
    averages that hold the pass that made t are met with probability proportional to
    themselves (the same reason for which the plug-in of h(T) is low), which makes `low`
    low.

    The channel of kernel averages over all passes made t, so what it says about the own
    input and the mean of that over inputs have the same mean: `control`.
    """
    # Classes first: sums over a few neighbours in memory are many times slower.
    joint = joint.T.contiguous()
    others_by_level = sums.others.permute(1, 2, 0).contiguous()
    weight = joint.sum(0)
    log_weight = weight.log()
    others = others_by_level[-1] / n_draws
    log_others = others.sum(0).log()
    log_own = (sums.own[:, -1] / n_draws).log()
    plug_in = torch.logaddexp(log_weight + log_own, log_others)
    marginal = torch.logaddexp(log_weight + density.low, log_others)
    information, label_information, last_step, label_last_step = _extrapolate(
        density.middle, joint, prior, others_by_level, n_draws
    )
    of_kernels = posterior_information(
        weight, sums.own[:, -1], others_by_level[-1].sum(0), sums.others_log[:, -1]
    )
    influences = _influences(_posterior(density.middle, joint, others), joint, prior)
    return InformationTerms(
        low=density.low - plug_in,
        high=density.high - marginal,
        information=information,
        label_information=label_information,
        last_step=last_step,
        label_last_step=label_last_step,
        influence=influences[0],
        label_influence=influences[1],
        control=of_kernels.expected - of_kernels.about_own,
    )


def _extrapolate(
    log_own: Tensor, joint: Tensor, prior: Tensor, others: Tensor, n_draws: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Terms of I(X;T) and I(Y;T) at infinitely many passes, and the last steps there.

    Draws that are all alike, one level, need no extrapolation.
    """

    def terms(average: Tensor) -> Tensor:
        return torch.stack(_terms(_posterior(log_own, joint, average), prior), dim=1)

    if len(others) == 1:
        found = terms(others[0] / n_draws)
        last_step = torch.zeros_like(found)
    else:
        levels = [
            torch.stack([terms(a) for a in _averages(others, n_draws, size)]).mean(0)
            for size in SIZES
        ]
        sizes = torch.tensor(SIZES, dtype=log_own.dtype).expand(len(log_own), -1)
        found, last_step = extrapolate(torch.stack(levels, dim=1), sizes)
    return found[:, 0], found[:, 1], last_step[:, 0], last_step[:, 1]


def _averages(others: Tensor, n_draws: int, size: int) -> Iterator[Tensor]:
    """Averages over `size` blocks of passes, in all ways to choose them.

    No block holds the pass that made t: all choices are alike.
    """
    for blocks in combinations(range(N_BLOCKS), size):
        yield others[list(blocks)].sum(0) / (size * n_draws / N_BLOCKS)


@dataclass(frozen=True)
class _Posterior:
    """What a point says: log p(x | t) / p(x) of its own input, and log p(y | t)."""

    log_ratio: Tensor  # (n_points,)
    log_weight: Tensor  # (n_points,): of the own input
    log_labels: Tensor  # (n_classes, n_points)


def _posterior(log_own: Tensor, joint: Tensor, others: Tensor) -> _Posterior:
    """Bayes' rule, all densities in units of the own kernel.

    Parameters
    ----------
    log_own : Tensor of shape (n_points,)
    joint, others : Tensors of shape (n_classes, n_points)
        `others` sums p(input, label) p(t | input) over the other inputs.
    """
    log_weight = joint.sum(0).log()
    log_ratio = -torch.logaddexp(log_weight, others.sum(0).log() - log_own)
    scaled = torch.logaddexp(joint.log() + log_own, others.log())
    return _Posterior(log_ratio, log_weight, scaled.log_softmax(0))


def _terms(posterior: _Posterior, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Terms of I(X;T) and I(Y;T)."""
    # The mean of log p(y|t) / p(y) over y given t, instead of one y: less variance.
    labels = posterior.log_labels.exp()
    return posterior.log_ratio, torch.xlogy(labels, labels / prior[:, None]).sum(0)


def _influences(
    posterior: _Posterior, joint: Tensor, prior: Tensor
) -> tuple[Tensor, Tensor]:
    """Differentiate the two means by the share of the own input in `others`.

    More of input j near t moves the terms of the other inputs' points there, which are
    ``1 - p(x_j | t)`` of all points at t: each loses information about its input, and
    gains or loses about the label as j's labels are likelier at t than others or not.
    """
    of_others = 1 - (posterior.log_ratio + posterior.log_weight).exp()
    given_input = joint / joint.sum(0)
    # Where a label has no probability at t, no label of the own input has any either.
    log_ratios = posterior.log_labels.clamp_min(LOG_TINY) - prior.log()[:, None]
    surprise = (given_input * log_ratios).sum(0) - _terms(posterior, prior)[1]
    return -of_others, of_others * surprise
