"""Information of a layer of a known network between a decoder and a chain.

From below, a decoder made of Gaussian surrogates; from above, what a chain of noises
that starts at the true ones adds to it. Both hold for any width. What is a choice (how
the decoder is tempered, which bound from above is taken) is made on pilot points, and
never on those that are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from skib._numerics.decoder import (
    DEFENCES,
    CenterScorer,
    ChainSize,
    Decoder,
    Gaps,
    Scorer,
    Temper,
    choose_temper,
    decode_points,
    decoder_gaps,
    scorer_of_passes,
    with_bends,
)
from skib._numerics.layer_density import (
    ConditionalDensity,
    annealed_layer_log_density,
    layer_log_density,
)
from skib._numerics.noisy_network import NoisyLayers, NoisyNetwork, NoisyPass
from skib._numerics.threads import torch_threads
from skib._validation import seed_at
from skib.mutual_info._decoder_bracket import (
    NO_GAP,
    Found,
    combined,
    gap_means,
    mean_of,
    to_ceiling,
)
from skib.mutual_info._information import Estimate
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._stratified import FreshPasses, Terms

__all__ = ["DecodedLayer", "Found", "Plan", "Work"]

PILOT_POINTS, PILOT_CHAINS = 512, 64
# Passes at which log p(t | x) is found, and mirrored pairs of samples at each; and
# nats between its two estimates at pilot points from which on it is annealed.
DENSITY_POINTS, PILOT_DENSITIES, N_PAIRS = 512, 64, 6
CLOSE_DENSITIES = 0.02
# Points of the first layer, where it bounds the others.
FIRST_LAYER_POINTS = 4096
# Nats below H(X) from which on no chain is needed to bound the information.
NEAR_CEILING = 0.005
# Nats between a chain and the decoder below which no costlier chain is tried, where it
# is the cheapest, and where it is not.
QUICK_CHAIN, CLOSE_CHAIN = 0.005, 0.03


class Plan(NamedTuple):
    """What was chosen on pilot points.

    Attributes
    ----------
    decoder : Decoder
    above : {"chain", "first layer", "ceiling"}
        The closest bound from above: the chain, the information of the first layer, or
        H(X), which needs no chain.
    spread : float
        Standard deviation of the decoder's terms, in nats.
    width : float
        Of the bracket to be expected, in nats.
    size : ChainSize
        Of the chains that were closest.
    """

    decoder: Decoder
    above: str
    spread: float
    width: float
    size: ChainSize


class Work(NamedTuple):
    """How much is done for the reported numbers.

    Attributes
    ----------
    n_mc : int
        Passes of each input through the decoder.
    size : ChainSize
        Of the chains.
    """

    n_mc: int
    size: ChainSize


@dataclass(frozen=True, eq=False)
class DecodedLayer:
    """A layer of a network, in float64 on the CPU, and inputs with their law.

    Attributes
    ----------
    network : NoisyLayers
    inputs : Tensor of shape (n_inputs, ...)
    law : InputLaw
    layer : int
        From 2.
    """

    network: NoisyLayers
    inputs: Tensor
    law: InputLaw
    layer: int

    @cached_property
    def first(self) -> Tensor:
        """S_1 of the inputs."""
        return self.network.first_clean(self.inputs)

    @cached_property
    def scorer(self) -> Scorer:
        """The layer's surrogates: moments followed through weights, or of passes."""
        if isinstance(self.network, NoisyNetwork):
            return Scorer(self.network, self.first, self.layer)
        return scorer_of_passes(self.network, self.first, self.layer, self.law.joint)

    @cached_property
    def bent_scorer(self) -> Scorer | None:
        """The surrogates with what bounded activations make of each unit, if known."""
        if not isinstance(self.network, NoisyNetwork):
            return None
        return with_bends(self.scorer, self.network, self.first, self.layer)

    @cached_property
    def first_decoder(self) -> Decoder:
        """Bayes' rule on the law of the first layer, which is known."""
        scorer = CenterScorer(self.first, self.network.noise_std[0])
        return Decoder(scorer, Temper(exact=True))

    def plan(self, sizes: list[ChainSize], seed: int) -> Plan:
        """Choose on pilot points, among chains of several sizes too."""
        if self.network.is_linear:
            exact = Decoder(self.scorer, Temper(exact=True))
            return Plan(exact, "chain", math.inf, 0.0, sizes[0])
        own = self._inputs_of_points(PILOT_POINTS, seed_at(seed, 0))
        passes = self._passes(own, seed_at(seed, 0, 1))
        points, entropy = self._points(passes), self.law.input_entropy
        decoder = Decoder(self.scorer, Temper(defence=min(DEFENCES)))
        low = self._low(decoder, points, own)
        if entropy - float(low.mean()) > NEAR_CEILING:
            decoder, low = self._tempered(self.scorer, points, own)
        spread, ceiling = float(low.std()), entropy - float(low.mean())
        if ceiling <= NEAR_CEILING:
            return Plan(decoder, "ceiling", spread, ceiling, sizes[0])
        size, of_chain = self._closest_chain(decoder, sizes[:1], seed_at(seed, 1))
        if of_chain > QUICK_CHAIN:
            known = {size: of_chain}
            if self.bent_scorer is not None:
                bent = self._tempered(self.bent_scorer, points, own)
                if float((bent[1] - low).mean()) > 0:
                    (decoder, low), known = bent, {}
            size, of_chain = self._closest_chain(
                decoder, sizes, seed_at(seed, 1), known
            )
        above = self._low(self.first_decoder, self._first_points(passes), own)
        of_first = float((above - low).mean())
        above_chain = "first layer" if of_first < of_chain else "chain"
        width = max(0.0, min(of_chain, of_first, entropy - float(low.mean())))
        return Plan(decoder, above_chain, float(low.std()), width, size)

    def _tempered(
        self, scorer: Scorer, points: Tensor, own: Tensor
    ) -> tuple[Decoder, Tensor]:
        """Temper scores as decodes the points best; return the terms there too."""
        log_weights = self.law.joint.sum(1).log()
        temper = choose_temper(scorer.scores(points), own, log_weights)
        decoder = Decoder(scorer, temper)
        return decoder, self._low(decoder, points, own)

    def _low(self, decoder: Decoder, points: Tensor, own: Tensor) -> Tensor:
        return decode_points(decoder, points, own, self.law.joint).low

    def _closest_chain(
        self,
        decoder: Decoder,
        sizes: list[ChainSize],
        seed: int,
        known: dict[ChainSize, float] | None = None,
    ) -> tuple[ChainSize, float]:
        """Try chains on the same points until one is close; return the gap too."""
        found = dict(known or {})
        for size in sizes:
            if size not in found:
                tried = replace(size, n_points=PILOT_CHAINS)
                found[size] = float(self._gaps(decoder, tried, seed).full.mean())
            if found[size] <= (QUICK_CHAIN if size == sizes[0] else CLOSE_CHAIN):
                break
        best = min(found, key=lambda size: found[size])
        return best, found[best]

    def estimate(self, plan: Plan, work: Work, seed: int) -> Found:
        """Estimate on fresh points."""
        means = self._decoded(plan.decoder, work.n_mc, seed_at(seed, 2))
        gap = NO_GAP
        if plan.above == "ceiling":
            gap = to_ceiling(means, self.law)
        elif not plan.decoder.temper.exact:
            gaps = self._gaps(plan.decoder, work.size, seed_at(seed, 3))
            gap = gap_means(gaps)
        above = None
        if plan.above == "first layer":
            above = self._first_layer(seed_at(seed, 4))
        density, correction = self._density(plan.decoder, seed_at(seed, 5))
        return combined(means, gap, above, density, correction, self.law)

    def _decoded(self, decoder: Decoder, n_mc: int, seed: int) -> FreshPasses:
        """Means of the decoder's terms over passes of all inputs."""
        own = torch.arange(len(self.inputs)).repeat_interleave(n_mc)
        points = self._points(self._passes(own, seed))
        found = decode_points(decoder, points, own, self.law.joint)
        # Of a Gaussian the entropy is known, and the mean score with it.
        surprise = (
            decoder.scorer.entropy[own] if decoder.temper.exact else -found.own_score
        )
        entropy = found.low + surprise
        means = FreshPasses(self.law.input_weights)
        values = {
            "low": found.low,
            "label_low": found.label_low,
            "surprise": surprise,
            "entropy": entropy,
            "label_entropy": entropy - found.label_low,
        }
        means.add(Terms(values), n_mc)
        return means

    def _gaps(self, decoder: Decoder, size: ChainSize, seed: int) -> Gaps:
        own = self._inputs_of_points(size.n_points, seed)
        # Thousands of small operations: more threads would wait for each other.
        with torch_threads(1):
            return self._gaps_of(own, decoder, size, seed)

    def _gaps_of(
        self, own: Tensor, decoder: Decoder, size: ChainSize, seed: int
    ) -> Gaps:
        return decoder_gaps(
            self.network, self.layer, self.first, own,
            self._passes(own, seed_at(seed, 1)), decoder, self.law.joint, size,
            torch.Generator().manual_seed(seed_at(seed, 2)),
        )  # fmt: skip

    def _first_layer(self, seed: int) -> Estimate:
        """I(X;T_1), which no later layer's information exceeds."""
        n_mc = max(2, math.ceil(FIRST_LAYER_POINTS / len(self.inputs)))
        own = torch.arange(len(self.inputs)).repeat_interleave(n_mc)
        passes = self._passes(own, seed)
        points = self._first_points(passes)
        low = self._low(self.first_decoder, points, own)
        mean = FreshPasses(self.law.input_weights)
        mean.add(Terms({"low": low}), n_mc)
        return mean.estimate("low")

    def _density(
        self, decoder: Decoder, seed: int
    ) -> tuple[ConditionalDensity, Estimate]:
        """Log p(t | x) at some points, and its mean excess over the surrogate's."""
        own = self._inputs_of_points(DENSITY_POINTS, seed)
        passes = self._passes(own, seed_at(seed, 1))
        generator = torch.Generator().manual_seed(seed_at(seed, 2))
        network, layer = self.network, self.layer
        # Thousands of small operations: more threads would wait for each other.
        with torch_threads(1):
            if network.is_linear or self._is_easily_sampled(seed_at(seed, 3)):
                density = layer_log_density(network, layer, passes, N_PAIRS, generator)
            else:
                density = annealed_layer_log_density(network, layer, passes, generator)
        if network.is_linear:
            return density, Estimate(0.0)
        points, joint = self._points(passes), self.law.joint
        own_score = decode_points(decoder, points, own, joint).own_score
        excess = mean_of(0.5 * (density.low + density.high) - own_score)
        # The middle lies anywhere between the two estimates.
        open_ = abs(float((density.high - density.low).mean())) / math.sqrt(12)
        return density, Estimate(excess.value, math.hypot(excess.std_error, open_))

    def _is_easily_sampled(self, seed: int) -> bool:
        """Tell by pilot points whether importance sampling gives log p(t | x)."""
        passes = self._passes(self._inputs_of_points(PILOT_DENSITIES, seed), seed)
        generator = torch.Generator().manual_seed(seed_at(seed, 1))
        density = layer_log_density(
            self.network, self.layer, passes, N_PAIRS, generator
        )
        return float((density.high - density.low).mean()) <= CLOSE_DENSITIES

    def _inputs_of_points(self, n_points: int, seed: int) -> Tensor:
        """Choose inputs spread evenly over their law."""
        generator = torch.Generator().manual_seed(seed)
        start = torch.rand(1, generator=generator, dtype=torch.float64)
        places = (start + torch.arange(n_points)) / n_points
        steps = self.law.input_weights.cumsum(0)
        found = torch.searchsorted(steps, places * steps[-1])
        return found.clamp_max(len(steps) - 1)

    def _passes(self, own: Tensor, seed: int) -> NoisyPass:
        generator = torch.Generator().manual_seed(seed)
        return self.network.sample_from(self.first[own], generator)

    def _first_points(self, passes: NoisyPass) -> Tensor:
        return passes.clean[0] + self.network.noise_std[0] * passes.noise[0]

    def _points(self, passes: NoisyPass) -> Tensor:
        at = self.layer - 1
        return passes.clean[at] + self.network.noise_std[at] * passes.noise[at]
