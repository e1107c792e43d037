"""Which way a layer of a known network is estimated, and with how much work.

Kernels or decoder and chain is decided on pilot points; work is counted in operations,
never by a clock, so that numbers do not depend on the machine or its load.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from skib._numerics.decoder import N_LAWS, ChainSize
from skib._numerics.layer_density import STEPS_PER_MOVE
from skib._numerics.noisy_network import NoisyLayers
from skib._numerics.threads import torch_threads
from skib.mutual_info._decoded import Work
from skib.mutual_info._decoder_bracket import Found
from skib.mutual_info._information import Estimate
from skib.mutual_info._network_passes import NetworkPasses

__all__ = [
    "CERTAIN_WIDTH",
    "chain_sizes",
    "enough_n_mc",
    "kernel_widths",
    "least_operations",
    "more_work",
    "within_bracket",
]

PILOT_POINTS = 256
# Share of H(X) that a bracket from kernels may have with their extrapolated value right
# nevertheless, in layers of at most so many units; how much less it is with each unit
# more; and units above which kernels are not even tried.
TRUSTED_SHARE, TRUSTED_UNITS, SHARE_PER_UNIT, MOST_UNITS = 0.05, 5, 0.015, 16
# Nats left open by kernels below which nothing else is tried.
CERTAIN_WIDTH = 0.01
LARGEST_DENSITY_GAP = 0.2

# Standard error below which no more passes are made unless asked for; and points that
# it takes to know it.
SMALL_ERROR, FEWEST_POINTS = 0.002, 2048

# Of chains that shift the noise, of those that fit it for each pick, and of long ones
# that shift it, for noise that forgets slowly. The fewest and shortest are tried first.
N_STEPS, N_PAIR_STEPS, N_LONG_STEPS, N_PICKS = 128, 128, 1024, 16
FEWEST_STEPS, FEWEST_CHAINS, MOST_CHAINS = 32, 300, 1200
FEWEST_PAIR_CHAINS, MOST_LONG_CHAINS, FEWEST_LONG_STEPS = 150, 500, 256
# Where the noise is held by modes: rounds of annealing, and points that have them.
N_ROUNDS, FEWEST_ANNEALED = 2, 80
# Multiplications that the chains of a layer may cost, of the plain ones, of the
# costlier ones and of annealing, and what else is done for each number that passes
# through the network.
CHAIN_OPERATIONS, COSTLY_OPERATIONS, ANNEALED_OPERATIONS = 4e10, 1.2e11, 2e11
OPERATIONS_PER_NUMBER = 40
# Times that a fit of the noise goes through the network with all slopes, and that the
# slope of one number costs as much as the number.
PASSES_PER_FIT, PASSES_PER_SLOPE = 80, 3
# Steps of a chain with one pick that count as much as one pass with all inputs.
STEPS_PER_SAMPLE = 16


def kernel_widths(
    passes: NetworkPasses, layers: list[int], seed: int
) -> dict[int, float]:
    """Predict how much kernel averages will leave open in layers, in nats.

    Infinite where they are out of the question: in wide layers, in linear networks, of
    which the decoder is exact, and where log p(t | x) is not known well.
    """
    network = passes.network
    sizes = network.layer_sizes
    narrow = [
        layer
        for layer in layers
        if sizes[layer - 1] <= MOST_UNITS and not network.up_to(layer).is_linear
    ]
    widths = dict.fromkeys(layers, math.inf)
    if not narrow:
        return widths
    places = (torch.arange(PILOT_POINTS, dtype=torch.float64) + 0.5) / PILOT_POINTS
    steps = passes.law.input_weights.cumsum(0)
    groups = torch.searchsorted(steps, places * steps[-1]).clamp_max(len(steps) - 1)
    with torch_threads(1):  # so few points
        for layer, width, density_gap in passes.pilot(narrow, groups, seed):
            if density_gap <= LARGEST_DENSITY_GAP:
                entropy = passes.law.input_entropy
                widths[layer] = _left_open(width, sizes[layer - 1], entropy)
    return widths


def _left_open(width: float, n_units: int, input_entropy: float) -> float:
    """Return by how much a bracket from kernels is wider than they are trusted with."""
    fewer = SHARE_PER_UNIT * max(0, n_units - TRUSTED_UNITS)
    trusted = max(0.0, TRUSTED_SHARE - fewer) * max(input_entropy, 1.0)
    return max(0.0, width - trusted)


def chain_sizes(network: NoisyLayers) -> list[ChainSize]:
    """Return the chains to choose from, by what they cost, the cheapest first."""
    cost = _Costs.of(network)
    most = N_STEPS, MOST_CHAINS
    sizes = [
        ChainSize(FEWEST_CHAINS, FEWEST_STEPS, N_PICKS),
        ChainSize(*_affordable(CHAIN_OPERATIONS / cost.step, *most), N_PICKS),
    ]
    n_chains = round(min(COSTLY_OPERATIONS / cost.pair_chain, MOST_CHAINS))
    if n_chains >= FEWEST_PAIR_CHAINS:
        sizes.append(ChainSize(n_chains, N_PAIR_STEPS, N_PICKS, "pair"))
    most = N_LONG_STEPS, MOST_LONG_CHAINS
    n_chains, n_steps = _affordable(COSTLY_OPERATIONS / cost.step, *most)
    if n_steps >= FEWEST_LONG_STEPS:
        sizes.append(ChainSize(n_chains, n_steps, N_PICKS))
    n_chains = round(min(ANNEALED_OPERATIONS / cost.annealed, MOST_LONG_CHAINS))
    if n_chains >= FEWEST_ANNEALED:
        sizes.append(ChainSize(n_chains, N_ROUNDS, N_PICKS, "anneal"))
    return list(dict.fromkeys(sizes))


def least_operations(network: NoisyLayers) -> float:
    """Return the multiplications of the fewest, shortest chains, and of their fits."""
    cost = _Costs.of(network)
    return FEWEST_CHAINS * (cost.fit + FEWEST_STEPS * cost.step)


class _Costs(NamedTuple):
    """Multiplications of a step, of a fit, and of the costlier ways at one point."""

    step: float
    fit: float
    pair_chain: float
    annealed: float

    @classmethod
    def of(cls, network: NoisyLayers) -> _Costs:
        sizes = network.layer_sizes
        n_units, n_noises = sizes[-1], sum(sizes[:-1])
        through = network.n_products + OPERATIONS_PER_NUMBER * sum(sizes)
        of_gaussian = 2 * n_noises * n_units + n_units**2
        move = STEPS_PER_MOVE * (PASSES_PER_SLOPE * through + of_gaussian)
        slopes = n_units * network.n_products + n_noises * n_units**2
        fit = PASSES_PER_FIT * (through + slopes) + n_noises**3
        stretch = through + n_noises**2
        return cls(
            step=move + N_PICKS * (through + n_noises * sizes[0]),
            fit=fit,
            pair_chain=N_PICKS * (fit + N_PAIR_STEPS * stretch) + N_PAIR_STEPS * move,
            annealed=N_ROUNDS * (N_PICKS * fit + (N_PICKS + 1) * N_LAWS * move),
        )


def _affordable(n_moves: float, most_steps: int, most_chains: int) -> tuple[int, int]:
    """Return how many chains, and how long, so many moves in all make."""
    n_chains = round(min(max(n_moves / most_steps, FEWEST_CHAINS), most_chains))
    return n_chains, round(min(max(n_moves / n_chains, FEWEST_STEPS), most_steps))


def enough_n_mc(spread: float, n_inputs: int, n_mc: int) -> int:
    """Return how many passes of each input do, at most `n_mc`.

    Parameters
    ----------
    spread : float
        Standard deviation of terms at pilot points, in nats.
    n_inputs, n_mc : int
    """
    n_points = max(FEWEST_POINTS, min((spread / SMALL_ERROR) ** 2, n_mc * n_inputs))
    return min(n_mc, max(2, math.ceil(n_points / n_inputs)))


def more_work(
    work: Work, found: Found, tol: float, n_inputs: int, max_samples: int
) -> Work:
    """Return what more is worth doing for the wanted error; the same if nothing is."""
    if found.error <= tol:
        return work
    most = max(work.n_mc, max_samples // n_inputs)
    if found.low_error > tol / 2:
        n_mc = min(most, max(2 * work.n_mc, math.ceil(work.n_mc * _ratio(found, tol))))
        work = work._replace(n_mc=min(n_mc, 4 * work.n_mc))
    if max(2 * found.gap_error, found.half_width) > tol:
        size = work.size
        size = replace(size, n_points=2 * size.n_points, n_steps=2 * size.n_steps)
        if size.way == "pair":  # whose picks are not made anew at each step
            size = replace(size, n_picks=2 * size.n_picks)
        cost = size.n_points * size.n_steps * size.n_picks
        if size.way == "anneal":
            cost *= N_LAWS * STEPS_PER_MOVE
        if cost <= STEPS_PER_SAMPLE * max_samples:
            work = work._replace(size=size)
    return work


def _ratio(found: Found, tol: float) -> float:
    return (2 * found.low_error / tol) ** 2


def within_bracket(
    estimates: dict[str, Estimate], n_units: int, input_entropy: float
) -> dict[str, Estimate]:
    """Clip the bracket from kernels to what is possible, and the value to it.

    Where it is wider than extrapolation is trusted with, the errors take in what is
    left open.
    """
    low, high = (estimates[f"mutual_info_{end}"] for end in ("low", "high"))
    low = replace(low, value=min(max(low.value, 0.0), input_entropy))
    high = replace(high, value=min(max(high.value, low.value), input_entropy))
    found = {**estimates, "mutual_info_low": low, "mutual_info_high": high}
    width = high.value - low.value
    open_ = _left_open(width, n_units, input_entropy) / math.sqrt(12)
    names: Any = ("mutual_info", "entropy", "label_mutual_info")
    for name in (*names, "label_conditional_entropy"):
        error = math.hypot(estimates[name].std_error, open_)
        found[name] = replace(estimates[name], std_error=error)
    value = min(max(estimates["mutual_info"].value, low.value), high.value)
    found["mutual_info"] = replace(found["mutual_info"], value=value)
    return found
