"""Information of the hidden layers of a network whose weights are known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count
from numbers import Integral
from typing import Any

from joblib import effective_n_jobs
from sklearn.utils import check_scalar
from torch import Tensor

from skib._numerics.network_terms import N_BLOCKS
from skib._numerics.threads import torch_threads
from skib._validation import (
    check_device,
    check_sampling,
    seed_at,
)
from skib.mutual_info._base import MutualInfoEstimator
from skib.mutual_info._choice import (
    CERTAIN_WIDTH,
    chain_sizes,
    enough_n_mc,
    kernel_widths,
    more_work,
)
from skib.mutual_info._decoded import DecodedLayer, Plan, Work
from skib.mutual_info._decoder_bracket import Found
from skib.mutual_info._gaussian_mixture import GaussianMixtureMIEstimator
from skib.mutual_info._information import Information
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._known_layers import known_layers
from skib.mutual_info._network_passes import NetworkPasses
from skib.mutual_info._network_reports import largest_error, of_decoder, of_kernels
from skib.mutual_info._stratified import FreshPasses, wanted_n_mc
from skib.recording import Snapshot

__all__ = ["NetworkMIEstimator"]

AUTO_SAMPLES = 16384
# Without the network's help everything is smoothed by draws, so more are needed.
FEWEST_DRAWS_OF_ACTIVATIONS = 128


class NetworkMIEstimator(MutualInfoEstimator):
    """Information of hidden layers about input and label, from the weights.

    Two ways, chosen for each layer on pilot points. In layers of few units, what an
    input says about its own noisy activations, log p(t | x), is importance sampled
    through the network, and the other inputs' share of p(t) is a kernel average over
    noisy passes, whose bias is extrapolated away. In wider ones, a decoder of the input
    made of Gaussians bounds I(X;T) from below, and a chain of noises that starts at the
    true ones from above, whatever the number of units.

    It reads snapshots, not arrays: `estimate` is asked for layers of one, and
    `information_flow` asks it for those of a recording.

    Parameters
    ----------
    n_draws : int, default=32
        Noisy passes of each input in the kernel averages, at least 4; as many more as
        are at hand are used.
    n_mc : int or "auto", default="auto"
        Noisy passes of each input at which densities are evaluated, at least 2, since
        their spread is the standard error. "auto" takes at least 16384 over all inputs.
    tol : float or None, default=None
        Wanted standard error of every estimate of a layer from kernels, in nats; of one
        from decoder and chain, wanted standard error of I(X;T) and half of its bracket.
        Work is added until it is reached. None does what is usual, once.
    max_samples : int, default=1_000_000
        Passes over all inputs after which ``tol`` is given up; the steps of all chains
        may be 16 times as many.
    device : str, torch.device or None, default=None
        Where kernels are summed. None: where X lives; the CPU for numpy arrays.
        Importance sampling runs on the CPU.
    n_jobs : int or None, default=None
        Number of CPU threads; None is 1 and -1 is all.

    See Also
    --------
    GaussianMixtureMIEstimator : From activations alone, whatever made them.
    network_mutual_info : The same as a function of weights.
    network_log_conditional : The densities behind the estimates.

    Notes
    -----
    From a decoder, the value of I(X;T) is its lower bound and half of what the chain,
    extrapolated to infinitely many steps, adds to it. The standard error takes in what
    the bracket leaves open, as if the truth were anywhere in it. The upper end is the
    least, on pilot points, of the chain's, H(X), and the information of the first
    layer, which no later one of a chain of noisy layers exceeds and which is exact.
    Linear layers after the first are decoded exactly. I(Y;T) is bounded in the same two
    ways; its upper end is not above H(Y) or that of I(X;T). h(T|X) is importance
    sampled, or annealed where samples do not count, and its error holds half of what
    its two estimates are apart.

    Torch modules that are no chains of linear layers are run from their first noisy
    layer on, and differentiated by autograd; the rest is the same.

    The network does not help where a layer before the wanted one has no noise, nor a
    module where that would cost too much. There a
    `GaussianMixtureMIEstimator` with the same settings, on at least 128 draws, is asked
    instead.

    Each `Information` has the diagnostics

    from_network : bool
        Whether the weights were used; else the estimate is from activations alone.
    method : {"kernels", "decoder", "activations"}
        Which way.
    n_mc : int
        Noisy passes of each input at which densities were evaluated.
    effective_fraction : float
        Mean over points of the share of importance samples that independent exact
        ones would need for the same error of log p(t | x).
    unconverged_fraction : float
        Share of points whose two estimates of log p(t | x), not above and not below it
        in expectation, lie more than 1 nat apart.
    density_gap : float
        Mean over points of the second less the first, in nats: in expectation the bias
        that importance sampling leaves in ``conditional_entropy`` is at most half.

    The last three are missing where the estimate is from activations.

    References
    ----------
    Z. Goldfeld et al., "Estimating Information Flow in Deep Neural Networks", ICML 2019
    (what is estimated); R. Grosse, Z. Ghahramani, R. Adams, "Sandwiching the marginal
    likelihood using bidirectional Monte Carlo", 2015, arXiv:1511.02543 (the bracket).

    Examples
    --------
    >>> from skib.mutual_info import NetworkMIEstimator
    >>> from skib.recording import Recording
    >>> recording = Recording.from_weights(
    ...     [0], [[[[1.0]], [[2.0]]]], None, activation="identity", noise_std=1.0
    ... )
    >>> first, second = NetworkMIEstimator().estimate(
    ...     recording.at(0), [[-1.0], [1.0]], random_state=0
    ... )
    >>> abs(second.mutual_info.value - 0.2846) < 4 * second.mutual_info.std_error
    True
    """

    shares_passes = True

    def __init__(
        self,
        *,
        n_draws=32,
        n_mc="auto",
        tol=None,
        max_samples=1_000_000,
        device=None,
        n_jobs=None,
    ):
        self.n_draws = n_draws
        self.n_mc = n_mc
        self.tol = tol
        self.max_samples = max_samples
        self.device = device
        self.n_jobs = n_jobs

    def estimate_layers(
        self, snapshot: Snapshot, X: Any, law: InputLaw, layers: list[int], seed: int
    ) -> list[Information]:
        """Estimate through the weights, and from activations where they do not help.

        Parameters
        ----------
        snapshot : Snapshot
        X : array or Tensor of shape (n_inputs, n_features)
            Distinct inputs.
        law : InputLaw
            Their law.
        layers : list of int
            From 1.
        seed : int

        Returns
        -------
        information : list of Information
        """
        found = self._through_network(snapshot, X, law, layers, seed)
        return [
            found[layer]
            if layer in found
            else self._of_activations(snapshot, X, law, layer, seed_at(seed, layer))
            for layer in layers
        ]

    def _through_network(
        self, snapshot: Snapshot, X: Any, law: InputLaw, layers: list[int], seed: int
    ) -> dict[int, Information]:
        """Estimate the layers whose law follows from the weights."""
        known = sorted(layers)
        while known:
            taken = known_layers(snapshot, X, known[-1])
            if not isinstance(taken, str):
                break
            known.pop()
        else:
            return {}
        network, inputs = taken
        home = X.device if isinstance(X, Tensor) else None
        device = check_device(home if self.device is None else self.device)
        passes = NetworkPasses(network, inputs, law, int(self.n_draws), device)
        found: dict[int, Information] = {}
        with torch_threads(effective_n_jobs(self.n_jobs)):
            # Each input has one centre in the first layer: kernels are exact there.
            later = [layer for layer in known if layer > 1 and len(inputs) > 1]
            widths = kernel_widths(passes, later, seed_at(seed, 0, 1))
            for layer, width in widths.items():
                layer_seed = seed_at(seed, layer, 0)
                information = self._decoded(passes, layer, width, layer_seed)
                if information is not None:
                    found[layer] = information
            rest = [layer for layer in known if layer not in found]
            means = self._integrate(passes, rest, seed) if rest else {}
        found |= {
            layer: of_kernels(means[layer], passes, layer, self.tol) for layer in rest
        }
        return found

    def _decoded(
        self, passes: NetworkPasses, layer: int, kernel_width: float, seed: int
    ) -> Information | None:
        """Estimate by decoder and chain, where kernels will not say more."""
        certain = CERTAIN_WIDTH if self.tol is None else min(CERTAIN_WIDTH, self.tol)
        if kernel_width <= certain:
            return None
        network, law = passes.network.up_to(layer), passes.law
        decoded = DecodedLayer(network, passes.inputs, law, layer)
        plan = decoded.plan(chain_sizes(network), seed_at(seed, 2))
        if kernel_width <= plan.width:
            return None
        n_inputs = len(passes.inputs)
        n_mc = self._first_n_mc(n_inputs)
        if self.n_mc == "auto":
            n_mc = enough_n_mc(plan.spread, n_inputs, n_mc)
        work = Work(n_mc, plan.size)
        found, work = self._worked(decoded, plan, work, seed_at(seed, 3))
        return of_decoder(found, work, law, self.tol)

    def _worked(
        self, decoded: DecodedLayer, plan: Plan, work: Work, seed: int
    ) -> tuple[Found, Work]:
        """Do more until the wanted error, or the allowed work, is reached."""
        for round_ in count():
            found = decoded.estimate(plan, work, seed_at(seed, round_))
            if self.tol is None:
                return found, work
            more = more_work(
                work, found, self.tol, len(decoded.inputs), int(self.max_samples)
            )
            if more == work:
                return found, work
            work = more
        raise AssertionError("rounds end by returning")

    def _integrate(
        self, passes: NetworkPasses, layers: list[int], seed: int
    ) -> dict[int, FreshPasses]:
        """Add passes until the wanted error, or the allowed work, is reached."""
        n_inputs = len(passes.inputs)
        # A round's passes are also its kernels: more of them would cost their square.
        per_round = max(passes.n_draws, math.ceil(AUTO_SAMPLES / n_inputs))
        means = {layer: FreshPasses(passes.law.input_weights) for layer in layers}
        wanted = dict.fromkeys(layers, self._first_n_mc(n_inputs))
        for round_ in count():
            missing = {k: wanted[k] - means[k].n_samples for k in layers}
            due = {k: min(n, per_round) for k, n in missing.items() if n > 0}
            if not due:
                return means
            # Layers that want as many share passes, which do not depend on who does.
            for n_mc in sorted(set(due.values())):
                together = [layer for layer in due if due[layer] == n_mc]
                found = passes.terms(together, n_mc, seed_at(seed, round_))
                for layer, terms, n_draws in found:
                    means[layer].add(terms, n_draws)
            for layer in due:
                if means[layer].n_samples == wanted[layer]:
                    wanted[layer] = self._wanted_n_mc(means[layer], passes.law)
        raise AssertionError("rounds end by returning")

    def _first_n_mc(self, n_inputs: int) -> int:
        if self.n_mc == "auto":
            return max(2, math.ceil(AUTO_SAMPLES / n_inputs))
        return int(self.n_mc)

    def _wanted_n_mc(self, means: FreshPasses, law: InputLaw) -> int:
        done = means.n_samples
        if self.tol is None:
            return done
        allowed = max(done, self.max_samples // len(law.joint))
        errors = largest_error(means, law), 0.0
        return wanted_n_mc(done, errors, self.tol, allowed)

    def _of_activations(
        self,
        snapshot: Snapshot,
        X: Any,
        law: InputLaw,
        layer: int,
        seed: int,
    ) -> Information:
        """Estimate from activations alone."""
        estimator = GaussianMixtureMIEstimator(
            n_draws=max(self.n_draws, FEWEST_DRAWS_OF_ACTIVATIONS),
            n_mc=self.n_mc,
            tol=self.tol,
            max_samples=self.max_samples,
            device=self.device,
            n_jobs=self.n_jobs,
        )
        (found,) = estimator.estimate_layers(snapshot, X, law, [layer], seed)
        diagnostics = {"from_network": False, "method": "activations"}
        return replace(found, diagnostics=diagnostics | found.diagnostics)

    def _check_parameters(self) -> None:
        if check_scalar(self.n_draws, "n_draws", Integral, min_val=1) < N_BLOCKS:
            raise ValueError(
                f"n_draws must be at least {N_BLOCKS} draws per input, so that the "
                f"bias of having few shows. Got n_draws={self.n_draws}."
            )
        check_sampling(self, fewest=2)
        check_device(self.device)
