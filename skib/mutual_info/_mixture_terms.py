"""The paired estimator: every quantity from the same noisy samples of every input.

The activations define a surrogate channel, p(t|i) = mean over the draws a of
N(t; s_ia, noise_std^2). At samples t of it all densities are kernel sums, and in
ln p(t|i) - ln p(t) the sampling errors of the two entropies cancel. Its mean over the
inputs that t could have come from, p(i|t), has the same mean over samples and a third
to a tenth of the variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skib._numerics.extrapolation import extrapolate
from skib._numerics.gaussian_summaries import MAX_FEATURES, gaussian_sums
from skib._numerics.input_posterior import posterior_information
from skib._numerics.kernel_sums import KernelSums, Levels, kernel_sums
from skib.mutual_info._input_law import LayerLaw
from skib.mutual_info._stratified import Terms

__all__ = [
    "MIN_DRAWS",
    "NoisySampler",
    "Samples",
    "mixture_terms",
    "noise_entropy",
]

# I at r, r/2 and r/4 draws shows how it depends on r: the draws are cut in quarters,
# and a sample sees all of them, the half and the quarter that hold its own draw.
NESTED = torch.tensor(
    [
        [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],
        [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    ]
)
ALL_DRAWS = torch.tensor([[[1]]])
MIN_DRAWS = N_BLOCKS = 4
# From this many samples per input on, draws are sampled in pairs.
PAIRS_FROM = 4
GUESSES = 1e-3
# Kernel sums by sample, level and label that are there at once: 16 MB, several times.
SUMS_AT_A_TIME = 1 << 21
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Samples:
    """Noisy samples of every input, ``t = centers[groups, draws] + noise``.

    Attributes
    ----------
    groups, draws : int64 Tensors of shape (n_inputs * n_mc,)
        Input, and draw of the input, that each sample starts from.
    noise : Tensor of shape (n_inputs * n_mc, n_units), float64
    n_mc : int
        Samples per input; those of one input are neighbours.
    """

    groups: Tensor
    draws: Tensor
    noise: Tensor
    n_mc: int

    def parts(self, size: int) -> Iterator[Samples]:
        """Yield runs of this many samples, the last one shorter."""
        for groups, draws, noise in zip(
            self.groups.split(size),
            self.draws.split(size),
            self.noise.split(size),
            strict=True,
        ):
            yield Samples(groups, draws, noise, self.n_mc)


class NoisySampler:
    """Source of noisy samples of every input, spread evenly over its draws.

    Parameters
    ----------
    law : LayerLaw
    noise_std : float
    generator : numpy.random.Generator
    """

    def __init__(
        self, law: LayerLaw, noise_std: float, generator: np.random.Generator
    ) -> None:
        self.law = law
        self.noise_std = noise_std
        self.generator = generator
        n_inputs, n_draws, _ = law.centers.shape
        self._next_turn = generator.integers(n_draws, size=(n_inputs, 1))

    def draw(self, n_mc: int) -> Samples:
        """Draw ``n_mc`` more samples of every input.

        Each draw whose turn it is is sampled twice, so that the spread of its samples
        shows, unless samples are few.
        """
        n_inputs, n_draws, n_units = self.law.centers.shape
        per_turn = 2 if n_mc >= PAIRS_FROM else 1
        turns = self._next_turn + np.arange(n_mc) // per_turn
        self._next_turn = turns[:, -1:] + 1
        draws = turns * _spreading_stride(n_draws) % n_draws
        groups = np.repeat(np.arange(n_inputs), n_mc)
        # Drawn on the host, so that every device sees the same noise.
        noise = self.generator.standard_normal((n_inputs * n_mc, n_units))
        device = self.law.centers.device
        return Samples(
            torch.as_tensor(groups, device=device),
            torch.as_tensor(draws.ravel(), device=device),
            torch.as_tensor(self.noise_std * noise, device=device),
            n_mc,
        )


def _spreading_stride(n_draws: int) -> int:
    """Step that visits all draws in turn, and any few of them far from each other."""
    coprime = (s for s in range(1, n_draws + 1) if math.gcd(s, n_draws) == 1)
    return min(coprime, key=lambda step: abs(step - GOLDEN_RATIO * n_draws))


def noise_entropy(n_units: int, noise_std: float) -> float:
    """Differential entropy of the noise, (d / 2) ln(2 pi e noise_std^2), in nats."""
    return n_units / 2 * (math.log(2 * math.pi * math.e) + 2 * math.log(noise_std))


def mixture_terms(law: LayerLaw, samples: Samples, noise_std: float) -> Terms:
    """Evaluate at each sample the terms whose means are the information quantities.

    Parameters
    ----------
    law : LayerLaw
    samples : Samples
    noise_std : float

    Returns
    -------
    Terms
    """
    # One number per sample, level and label: they are never all there at once.
    per_sample = len(NESTED) * law.joint.shape[1]
    parts = [
        _terms_of_part(law, part, noise_std)
        for part in samples.parts(max(1, SUMS_AT_A_TIME // per_sample))
    ]
    return Terms(
        _joined([part.values for part in parts]),
        _joined([part.influences for part in parts]),
        _joined([part.last_steps for part in parts]),
    )


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _terms_of_part(law: LayerLaw, samples: Samples, noise_std: float) -> Terms:
    levels = ALL_DRAWS if law.one_center else NESTED
    sums = kernel_sums(
        law.centers,
        law.joint,
        samples.groups,
        samples.draws,
        samples.noise,
        noise_std,
        levels=levels,
    )
    plug_in = _surrogate_terms(sums, law, samples)
    high, _, _, high_influence, _ = plug_in[:, 0].unbind(1)
    of_noise = noise_entropy(law.centers.shape[2], noise_std)
    if law.one_center:
        terms, last_steps, bounds = plug_in[:, 0], {}, {}
        low_influence = high_influence
    else:
        n_draws = _draws_per_level(law, samples)
        plug_in[:, :, 2] += n_draws.log()
        bounds = {
            "conditional_entropy_low": plug_in[:, 0, 2] + of_noise,
            "label_mutual_info_high": plug_in[:, 0, 1],
        }
        terms, steps = extrapolate(plug_in, n_draws)
        of_information, of_label, of_excess, *_ = steps.unbind(1)
        last_steps = _estimates(of_information, of_label, of_excess, of_noise=0.0)
        low_influence = _decoder_terms(sums, law, samples, noise_std)
    information, label_information, excess, influence, label_influence = terms.unbind(1)
    bracket = {
        # What is added has mean 0, and takes with it much of the noise of the rest.
        "mutual_info_low": low_influence + (high - high_influence),
        "mutual_info_high": high,
    }
    return Terms(
        _estimates(information, label_information, excess, of_noise) | bracket | bounds,
        _estimates(influence, label_influence, excess, of_noise)
        | {"mutual_info_low": low_influence, "mutual_info_high": high_influence},
        last_steps,
    )


def _estimates(
    information: Tensor, label_information: Tensor, excess: Tensor, of_noise: float
) -> dict[str, Tensor]:
    """All of `QUANTITIES` from three of them, h(T|X) less the entropy of the noise."""
    conditional = excess + of_noise
    entropy = conditional + information
    return {
        "mutual_info": information,
        "entropy": entropy,
        "conditional_entropy": conditional,
        "label_mutual_info": label_information,
        "label_conditional_entropy": entropy - label_information,
    }


def _surrogate_terms(sums: KernelSums, law: LayerLaw, samples: Samples) -> Tensor:
    """Terms of I(X;T), I(Y;T) and h(T|X), and the influences on the first two.

    All are under the surrogate channels that the draws of each level define, and
    h(T|X) is that of sums over draws instead of means.

    Returns
    -------
    terms : Tensor of shape (n_samples, n_levels, 5)
    """
    joint = law.joint[samples.groups][:, None]
    weight = joint.sum(2)
    about_inputs = posterior_information(
        weight.expand_as(sums.own), sums.own, sums.others.sum(2), sums.others_log
    )
    # The same holds for labels: their mean given t varies less than the own one, but
    # it is by the latter that a draw moves I(Y;T).
    posterior = joint * sums.own[:, :, None] + sums.others
    posterior = posterior / posterior.sum(2, keepdim=True)
    prior = law.label_weights.clamp_min(torch.finfo(posterior.dtype).tiny)
    ratio = posterior / prior
    label_information = torch.xlogy(posterior, ratio).sum(2)
    label_influence = torch.xlogy(joint / weight[:, :, None], ratio).sum(2)
    terms = (
        *(about_inputs.expected, label_information, -sums.own.log()),
        *(about_inputs.about_own, label_influence),
    )
    return torch.stack(terms, dim=2)


def _draws_per_level(law: LayerLaw, samples: Samples) -> Tensor:
    """How many draws each level of each sample holds, of shape (n_samples, 3)."""
    levels = Levels.among(law.centers.shape[1], NESTED)
    sizes = torch.tensor(np.diff(levels.edges)).to(samples.noise)
    return torch.einsum("kbs,b->sk", levels.blocks_of(samples.draws), sizes)


def _decoder_terms(
    sums: KernelSums, law: LayerLaw, samples: Samples, noise_std: float
) -> Tensor:
    """Terms of the lower bound H(X) + E ln q(i|T) on I(X;T).

    The decoder q weighs, for each input, the kernels of its draws and their Gaussian
    summary equally; the draw that the sample was made from is left out of both, so
    that the sample is as new to the decoder as any draw of the input. Once in a
    thousand it guesses: that costs 0.001 nats and bounds the loss where q is wrong.
    """
    n_draws = law.centers.shape[1]
    weight = law.input_weights[samples.groups]
    # Rounding may leave a little less than the own kernel, 1, of a lonely draw.
    own = (sums.own[:, 0] - 1).clamp_min(0) / (n_draws - 1)
    others = sums.others[:, 0].sum(1) / n_draws
    if law.centers.shape[2] <= MAX_FEATURES:
        where = (samples.groups, samples.draws, samples.noise)
        gaussian = gaussian_sums(law.centers, law.input_weights, *where, noise_std)
        own, others = (own + gaussian[0]) / 2, (others + gaussian[1]) / 2
    tiny = torch.finfo(own.dtype).tiny
    ratio = own / (weight * own + others).clamp_min(tiny)
    return ((1 - GUESSES) * ratio + GUESSES).log()
