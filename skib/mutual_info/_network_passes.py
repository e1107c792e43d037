"""Noisy passes through a known network, and the terms of the estimates at them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.kernel_sums import KernelSums, kernel_sums
from skib._numerics.layer_density import ConditionalDensity, layer_log_density
from skib._numerics.network_terms import (
    ALL_DRAWS,
    BLOCKS,
    N_BLOCKS,
    InformationTerms,
    OwnDensity,
    network_terms,
)
from skib._numerics.noisy_network import NoisyLayers, NoisyPass
from skib._validation import seed_at
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._stratified import Terms

__all__ = ["DIAGNOSTICS", "NetworkPasses", "density_diagnostics"]

N_PAIRS = 3
# Nats between the estimates of one log p(t | x) from above and from below from which
# on the point counts as not converged.
UNCONVERGED_GAP = 1.0

# Of importance sampling.
DIAGNOSTICS = ("effective_fraction", "unconverged_fraction", "density_gap")


@dataclass(frozen=True, eq=False)
class NetworkPasses:
    """A source of noisy passes of all inputs.

    Attributes
    ----------
    network : NoisyLayers
        In float64, on the CPU.
    inputs : Tensor of shape (n_inputs, ...)
        Distinct inputs.
    law : InputLaw
        Their law.
    n_draws : int
        Passes behind each kernel average, at the least.
    device : torch.device
        Where kernels are summed.
    """

    network: NoisyLayers
    inputs: Tensor
    law: InputLaw
    n_draws: int
    device: torch.device

    def terms(
        self, layers: list[int], n_mc: int, seed: int
    ) -> Iterator[tuple[int, Terms, int]]:
        """Yield the terms of layers at ``n_mc`` passes, and how many passes there are.

        A layer's terms do not depend on which others are asked for.
        """
        n_inputs = len(self.inputs)
        groups = torch.arange(n_inputs).repeat_interleave(n_mc)
        draws = torch.arange(n_mc).repeat(n_inputs)
        return self._terms_at(groups, draws, layers, max(n_mc, self.n_draws), seed)

    def pilot(
        self, layers: list[int], groups: Tensor, seed: int
    ) -> Iterator[tuple[int, float, float]]:
        """Look at some points how wide the brackets of layers will be.

        Parameters
        ----------
        layers : list of int
        groups : integer Tensor of shape (n_points,)
            Inputs of the points.
        seed : int

        Yields
        ------
        layer, width, density_gap : int, float, float
            The last two are means over the points, in nats.
        """
        draws = torch.arange(len(groups)) % self.n_draws
        found = self._terms_at(groups, draws, layers, self.n_draws, seed)
        for layer, terms, _ in found:
            low, high, density_gap = (
                float(terms.values[name].mean())
                for name in ("mutual_info_low", "mutual_info_high", "density_gap")
            )
            yield layer, high - low, density_gap

    def _terms_at(
        self, groups: Tensor, draws: Tensor, layers: list[int], n_draws: int, seed: int
    ) -> Iterator[tuple[int, Terms, int]]:
        """Make at least so many passes of all inputs; yield the terms at some."""
        n_draws = N_BLOCKS * math.ceil(n_draws / N_BLOCKS)
        network = self.network.up_to(max(layers))
        first = network.first_clean(self.inputs)
        passes = network.sample_from(
            first[:, None].expand(-1, n_draws, -1),
            torch.Generator().manual_seed(seed_at(seed, 0)),
        )
        points = NoisyPass(
            *(
                [part[groups, draws] for part in parts]
                for parts in (passes.clean, passes.noise)
            )
        )
        for layer in layers:
            generator = torch.Generator().manual_seed(seed_at(seed, layer))
            # Whether it is linear up to here is not to depend on later layers.
            until = network.up_to(layer)
            density = layer_log_density(until, layer, points, N_PAIRS, generator)
            # No noise comes before the first layer: its draws are all equal.
            clouds = passes.clean[layer - 1][:, : 1 if layer == 1 else n_draws]
            n_alike = clouds.shape[1]
            noise = points.noise[layer - 1]
            terms = self._layer_terms(
                layer, density, clouds, noise, groups, draws % n_alike
            )
            yield layer, terms, n_alike

    def _layer_terms(
        self,
        layer: int,
        density: ConditionalDensity,
        clouds: Tensor,
        noise: Tensor,
        groups: Tensor,
        draws: Tensor,
    ) -> Terms:
        """Terms whose weighted means are the estimates of one layer."""
        noise_std = self.network.noise_std[layer - 1]
        n_inputs, n_draws, n_units = clouds.shape
        n_mc = len(noise) / n_inputs
        log_normalizer = n_units * math.log(math.sqrt(2 * math.pi) * noise_std)
        log_kernel = -0.5 * noise.square().sum(1) - log_normalizer
        own = OwnDensity(density.low - log_kernel, density.high - log_kernel)
        found = network_terms(
            own,
            self.law.joint[groups],
            self.law.label_weights,
            self._kernel_sums(clouds, groups, draws, noise_std * noise, noise_std),
            n_draws,
        )
        # The mean of -log_kernel is known: only what the network adds is sampled.
        conditional = 0.5 * n_units + log_normalizer - own.middle
        # Where all passes are evaluated the control's mean over draws is 0 whatever
        # they are: it takes noise away, but the sampling error of the draws stays.
        control = (1 - n_mc / n_draws if n_draws > 1 else 1.0) * found.control
        terms = _terms(found, conditional, control, has_draws=n_draws > 1)
        terms.values.update(density_diagnostics(density))
        return terms

    def _kernel_sums(
        self,
        clouds: Tensor,
        groups: Tensor,
        draws: Tensor,
        noise: Tensor,
        noise_std: float,
    ) -> KernelSums:
        n_draws = clouds.shape[1]
        return kernel_sums(
            clouds.to(self.device),
            self.law.joint.to(self.device),
            groups.to(self.device),
            draws.to(self.device),
            noise.to(self.device),
            noise_std,
            levels=BLOCKS if n_draws > 1 else ALL_DRAWS,
        ).cpu()


def _terms(
    found: InformationTerms, conditional: Tensor, control: Tensor, *, has_draws: bool
) -> Terms:
    information = found.information + control
    entropy = conditional + information
    influence = found.influence - control
    values = {
        "mutual_info": information,
        "mutual_info_low": found.low + control,
        "mutual_info_high": found.high + control,
        "entropy": entropy,
        "conditional_entropy": conditional,
        "label_mutual_info": found.label_information,
        "label_conditional_entropy": entropy - found.label_information,
    }
    if not has_draws:
        return Terms(values)
    return Terms(
        values,
        influences={
            "mutual_info": influence,
            "mutual_info_low": -control,
            "mutual_info_high": influence,
            "entropy": influence,
            "label_mutual_info": found.label_influence,
            "label_conditional_entropy": influence - found.label_influence,
        },
        last_steps={
            "mutual_info": found.last_step,
            "entropy": found.last_step,
            "label_mutual_info": found.label_last_step,
            "label_conditional_entropy": found.last_step - found.label_last_step,
        },
    )


def density_diagnostics(density: ConditionalDensity) -> dict[str, Tensor]:
    """Return what shows how well p(t | x) was importance sampled, point by point."""
    gap = density.high - density.low
    return {
        "effective_fraction": density.effective_fraction,
        "unconverged_fraction": (gap.abs() > UNCONVERGED_GAP).to(gap.dtype),
        "density_gap": gap,
    }
