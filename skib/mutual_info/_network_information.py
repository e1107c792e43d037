"""Information of the hidden layers of a network whose weights are known."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.utils import check_scalar
from torch import Tensor

from skib._numerics.importance import ConditionalDensity
from skib._numerics.kernel_sums import kernel_sums
from skib._numerics.network_information import (
    ALL_DRAWS,
    BLOCKS,
    N_BLOCKS,
    OwnDensity,
    information_terms,
)
from skib._numerics.noisy_network import NoisyNetwork, NoisyPass
from skib._numerics.threads import torch_threads
from skib._validation import check_device, draw_seeds
from skib.exceptions import EstimateNotConvergedWarning
from skib.mutual_info._input_law import (
    InputLaw,
    check_discrete,
    check_weights,
    input_law,
)
from skib.mutual_info._network import (
    check_network,
    check_network_inputs,
    layer_log_density,
)
from skib.mutual_info._quantities import (
    BRACKET,
    DIAGNOSTICS,
    ESTIMATES,
    is_saturated,
)

__all__ = ["LayerInformation", "network_mutual_info"]

N_PAIRS = 8
AUTO_SAMPLES = 16384
# Nats between the estimates of one log p(t | x) from above and from below from which
# on the point counts as not converged; and the mean over points from which on the
# estimate may be off by more than kernel averages over a hundred passes are.
UNCONVERGED_GAP, LARGEST_MEAN_GAP = 1.0, 0.2


@dataclass(frozen=True)
class LayerInformation:
    """Information of one hidden layer about input and label, in nats.

    Attributes
    ----------
    layer : int
        Hidden layer, counted from 1.
    mutual_info : float
        I(X;T).
    mutual_info_low, mutual_info_high : float
        A bracket: whatever the number of draws and of samples, the mean of the first
        is not above I(X;T) and the mean of the second not below.
    entropy, conditional_entropy : float
        h(T), h(T|X).
    label_mutual_info, label_conditional_entropy : float or None
        I(Y;T), h(T|Y). None without labels.
    mutual_info_std_error, ... : float or None
        Standard error of each of the above.
    input_entropy : float
        H(X) of the distinct inputs: the ceiling of I(X;T).
    saturated : bool
        Whether ``mutual_info`` is within its error of that ceiling.
    n_mc : int
        Noisy passes of each input at which densities were evaluated.
    effective_fraction : float
        Mean over points of the share of importance samples that independent exact
        ones would need for the same error of log p(t | x).
    unconverged_fraction : float
        Share of points whose two estimates of log p(t | x), not above and not below it
        in expectation, lie more than 1 nat apart.
    density_gap : float
        Mean over points of the second less the first: in expectation the bias that
        importance sampling leaves in ``conditional_entropy`` is at most half of it.
    """

    layer: int
    mutual_info: float
    mutual_info_std_error: float
    mutual_info_low: float
    mutual_info_low_std_error: float
    mutual_info_high: float
    mutual_info_high_std_error: float
    entropy: float
    entropy_std_error: float
    conditional_entropy: float
    conditional_entropy_std_error: float
    label_mutual_info: float | None
    label_mutual_info_std_error: float | None
    label_conditional_entropy: float | None
    label_conditional_entropy_std_error: float | None
    input_entropy: float
    saturated: bool
    n_mc: int
    effective_fraction: float
    unconverged_fraction: float
    density_gap: float

    @property
    def converged(self) -> bool:
        """Whether importance sampling worked: ``density_gap`` is at most 0.2 nats."""
        return self.density_gap <= LARGEST_MEAN_GAP


def network_mutual_info(
    coefs: Sequence[Any],
    intercepts: Sequence[Any],
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    activation: str = "tanh",
    noise_std: Any,
    layers: Sequence[int] | None = None,
    n_draws: int = 32,
    n_mc: int | str = "auto",
    tol: float | None = None,
    max_samples: int = 1_000_000,
    device: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> list[LayerInformation]:
    """Information of hidden layers about input and label, from the weights.

    What an input says about its own noisy activations, log p(t | x), is importance
    sampled through the network and needs no smoothing; the other inputs' share of p(t)
    is a kernel average over noisy passes, whose bias is extrapolated away. A few passes
    do what the plug-in estimate of activations alone needs hundreds for.

    Parameters
    ----------
    coefs : sequence of array-likes, each of shape (n_in, n_out)
        Weights of the hidden layers.
    intercepts : sequence of array-likes, each of shape (n_out,)
    X : array-like or Tensor of shape (n_inputs, n_features)
        Inputs, the whole law of X. Equal rows are merged.
    y : array-like of shape (n_inputs,), default=None
        Discrete labels.
    sample_weight : array-like of shape (n_inputs,), default=None
        Law of the inputs, up to a factor; None is uniform.
    activation : {"tanh", "relu", "leaky_relu", "logistic", "identity"}, default="tanh"
    noise_std : float or sequence of float
        Standard deviation of the noise, > 0: one for all layers, or one per layer.
    layers : sequence of int, default=None
        Hidden layers, counted from 1; None is all. All are estimated on the same
        passes.
    n_draws : int, default=32
        Noisy passes of each input in the kernel averages, at least 4; as many more as
        are at hand are used.
    n_mc : int or "auto", default="auto"
        Noisy passes of each input at which densities are evaluated, at least 2, since
        their spread is the standard error. "auto" takes at least 16384 over all inputs.
    tol : float or None, default=None
        Wanted standard error of every estimate of every layer, in nats: passes are
        added until it is reached. None takes ``n_mc`` passes, once.
    max_samples : int, default=1_000_000
        Passes over all inputs after which ``tol`` is given up with an
        `EstimateNotConvergedWarning`.
    device : str, torch.device or None, default=None
        Where kernels are summed. None: where X lives; the CPU for numpy arrays.
        Importance sampling runs on the CPU.
    n_jobs : int or None, default=None
        Number of CPU threads; None is 1 and -1 is all.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    layers : list of LayerInformation

    Raises
    ------
    ValueError
        If the shapes do not fit each other, a layer does not exist, a noise_std is not
        > 0, or there are too few draws.

    See Also
    --------
    GaussianMixtureMIEstimator : From activations alone, whatever made them.
    network_log_conditional : The densities behind the estimates.

    References
    ----------
    Z. Goldfeld et al., "Estimating Information Flow in Deep Neural Networks", ICML 2019
    (what is estimated); R. Grosse, Z. Ghahramani, R. Adams, "Sandwiching the marginal
    likelihood using bidirectional Monte Carlo", 2015, arXiv:1511.02543 (the bracket).

    Examples
    --------
    Two inputs, two linear units in a row: the second has noise of variance 5 between
    the activations -2 and 2, which leaves 0.2846 nats.

    >>> from skib.mutual_info import network_mutual_info
    >>> first, second = network_mutual_info(
    ...     [[[1.0]], [[2.0]]], [[0.0], [0.0]], [[-1.0], [1.0]],
    ...     activation="identity", noise_std=1.0, random_state=0,
    ... )
    >>> abs(second.mutual_info - 0.2846) < 4 * second.mutual_info_std_error
    True
    """
    network = check_network(coefs, intercepts, activation, noise_std)
    layers = _check_layers(layers, network)
    law, has_labels = _law_of_inputs(X, y, sample_weight, network)
    home = X.device if isinstance(X, Tensor) else None
    settings = _Settings(
        n_draws=_check_n_draws(n_draws),
        n_mc=_check_n_mc(n_mc, len(law.joint)),
        device=check_device(home if device is None else device),
    )
    _check_stopping(tol, max_samples)
    max_mc = max(settings.n_mc, max_samples // len(law.joint))
    means = {layer: _Means(law.input_weights) for layer in layers}
    with torch_threads(effective_n_jobs(n_jobs)):
        _integrate(means, network, law, settings, tol, max_mc, random_state)
    return [_result(layer, means[layer], law, has_labels) for layer in layers]


# --- sampling ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Settings:
    n_draws: int
    n_mc: int
    device: torch.device


def _integrate(
    means: dict[int, _Means],
    network: NoisyNetwork,
    law: InputLaw,
    settings: _Settings,
    tol: float | None,
    max_mc: int,
    random_state: Any,
) -> None:
    """Add passes until the wanted error, or the allowed work, is reached."""
    some = next(iter(means.values()))
    seeds = np.random.default_rng(draw_seeds(random_state, 1)[0])
    # A round's passes are also its kernels: more of them would cost their square.
    per_round = max(settings.n_draws, math.ceil(AUTO_SAMPLES / len(law.joint)))
    wanted = settings.n_mc
    while some.n_samples < wanted:
        n_mc = min(wanted - some.n_samples, per_round)
        terms = _round_of_terms(network, law, list(means), n_mc, settings, seeds)
        for layer, mean in means.items():
            mean.add(terms[layer])
        if some.n_samples == wanted and tol is not None:
            # More passes do not help where importance sampling fails.
            helped = [m for m in means.values() if m.converged] or [some]
            error = max(m.std_error(name) for m in helped for name in ESTIMATES)
            wanted = _wanted_n_mc(some.n_samples, error, tol, max_mc)


def _wanted_n_mc(done: int, error: float, tol: float, max_mc: int) -> int:
    """Return the passes per input that the wanted error asks for."""
    if error <= tol:
        return done
    if done >= max_mc:
        warnings.warn(
            f"The standard error is {error:.2g} nats after {done} noisy passes of each "
            f"input, above tol={tol}. Raise max_samples or tol.",
            EstimateNotConvergedWarning,
        )
        return done
    # A tenth more than the error asks for, since it is itself an estimate.
    return min(max_mc, math.ceil(1.1 * done * (error / tol) ** 2))


def _round_of_terms(
    network: NoisyNetwork,
    law: InputLaw,
    layers: list[int],
    n_mc: int,
    settings: _Settings,
    seeds: np.random.Generator,
) -> dict[int, _Terms]:
    """Terms of the estimates of each layer, all at the same ``n_mc`` passes."""
    # One seed per layer, wanted or not: a layer's numbers do not depend on the others.
    pass_seed, *layer_seeds = seeds.integers(2**31, size=1 + network.n_layers).tolist()
    n_draws = N_BLOCKS * math.ceil(max(n_mc, settings.n_draws) / N_BLOCKS)
    first = network.first_clean(law.centers[:, 0])
    passes = network.sample_from(
        first[:, None].expand(-1, n_draws, -1),
        torch.Generator().manual_seed(pass_seed),
    )
    points = NoisyPass(
        *(
            [part[:, :n_mc].flatten(0, 1) for part in parts]
            for parts in (passes.clean, passes.noise)
        )
    )
    terms = {}
    for layer in layers:
        generator = torch.Generator().manual_seed(layer_seeds[layer - 1])
        density = layer_log_density(network, layer, points, N_PAIRS, generator)
        # No noise comes before the first layer: its draws are all equal.
        clouds = passes.clean[layer - 1][:, : 1 if layer == 1 else n_draws]
        noise = network.noise_stds[layer - 1] * points.noise[layer - 1]
        noise_std = network.noise_stds[layer - 1]
        terms[layer] = _layer_terms(density, clouds, noise, noise_std, law, settings)
    return terms


def _layer_terms(
    density: ConditionalDensity,
    clouds: Tensor,
    noise: Tensor,
    noise_std: float,
    law: InputLaw,
    settings: _Settings,
) -> _Terms:
    """Terms whose weighted means are the estimates of one layer."""
    n_inputs, n_draws, n_units = clouds.shape
    n_mc = len(noise) // n_inputs
    groups = torch.arange(n_inputs).repeat_interleave(n_mc)
    draws = torch.arange(n_mc).repeat(n_inputs) % n_draws
    device = settings.device
    levels = BLOCKS if n_draws > 1 else ALL_DRAWS
    sums = kernel_sums(
        clouds.to(device),
        law.joint.to(device),
        groups.to(device),
        draws.to(device),
        noise.to(device),
        noise_std,
        levels=levels,
    )
    sums = sums.cpu()
    log_normalizer = n_units * math.log(math.sqrt(2 * math.pi) * noise_std)
    log_kernel = -0.5 * (noise / noise_std).square().sum(1) - log_normalizer
    own = OwnDensity(density.low - log_kernel, density.high - log_kernel)
    found = information_terms(own, law.joint[groups], law.label_weights, sums, n_draws)
    # Where all passes are evaluated the control's mean over draws is 0 whatever they
    # are: it takes noise away, but the sampling error of the draws stays.
    control = (1 - n_mc / n_draws if n_draws > 1 else 1.0) * found.control
    information, influence = found.information + control, found.influence - control
    # The mean of -log_kernel is known: only what the network adds is sampled.
    conditional = 0.5 * n_units + log_normalizer - own.middle
    entropy = conditional + information
    gap = density.high - density.low
    return _Terms(
        n_mc,
        n_draws,
        values={
            "mutual_info": information,
            "mutual_info_low": found.low + control,
            "mutual_info_high": found.high + control,
            "entropy": entropy,
            "conditional_entropy": conditional,
            "label_mutual_info": found.label_information,
            "label_conditional_entropy": entropy - found.label_information,
            "effective_fraction": density.effective_fraction,
            "unconverged_fraction": (gap.abs() > UNCONVERGED_GAP).to(gap.dtype),
            "density_gap": gap,
        },
        last_steps={
            "mutual_info": found.last_step,
            "entropy": found.last_step,
            "label_mutual_info": found.label_last_step,
            "label_conditional_entropy": found.last_step - found.label_last_step,
        },
        influences={
            "mutual_info": influence,
            "mutual_info_low": -control,
            "mutual_info_high": influence,
            "entropy": influence,
            "label_mutual_info": found.label_influence,
            "label_conditional_entropy": influence - found.label_influence,
        }
        if n_draws > 1
        else {},
    )


@dataclass(frozen=True)
class _Terms:
    """Terms of one round at `n_mc` of its `n_draws` passes per input.

    `influences` are how much a pass moves each quantity as a draw, besides its term;
    `last_steps` are those of the extrapolation, a measure of the bias left.
    """

    n_mc: int
    n_draws: int
    values: dict[str, Tensor]
    influences: dict[str, Tensor]
    last_steps: dict[str, Tensor]


class _Means:
    """Weighted means over inputs of terms at several independent passes of each."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.n_samples = 0
        self._values: dict[str, _Moments] = {}
        self._effects: dict[str, _Moments] = {}
        self._influences: dict[str, _Moments] = {}
        self._last_steps: dict[str, _Moments] = {}
        self._draws_without_term = 0.0

    def add(self, terms: _Terms) -> None:
        shape = len(self.weights), terms.n_mc
        share = terms.n_mc / terms.n_draws
        nothing = torch.zeros(shape, dtype=self.weights.dtype)
        for name, values in terms.values.items():
            influence = terms.influences.get(name, nothing).reshape(shape)
            value = values.reshape(shape)
            self._values.setdefault(name, _Moments()).add(value)
            # A pass moves the mean by its term, and by its kernel at other points.
            self._effects.setdefault(name, _Moments()).add(value + share * influence)
            self._influences.setdefault(name, _Moments()).add(influence)
        for name, values in terms.last_steps.items():
            self._last_steps.setdefault(name, _Moments()).add(values.reshape(shape))
        self.n_samples += terms.n_mc
        self._draws_without_term += terms.n_mc * share * (1 - share)

    @property
    def converged(self) -> bool:
        return self.mean("density_gap") <= LARGEST_MEAN_GAP

    def mean(self, name: str) -> float:
        return float(self.weights @ self._values[name].mean())

    def std_error(self, name: str) -> float:
        """Join the spread over passes of each input and the bias that may be left."""
        variance = self._effects[name].variance()
        # Passes that are draws alone have the spread of those that are both.
        alone = self._draws_without_term / self.n_samples
        variance = variance + alone * self._influences[name].variance()
        sampling = self.weights**2 @ variance / self.n_samples
        return math.sqrt(sampling + self._bias_left(name) ** 2)

    def _bias_left(self, name: str) -> float:
        if name not in self._last_steps:
            return 0.0
        return float(self.weights @ self._last_steps[name].mean())


class _Moments:
    """Mean and variance along the rows of arrays that come one after the other."""

    n_samples = 0

    def add(self, values: Tensor) -> None:
        assert bool(torch.isfinite(values).all()), "a term of an estimate is not finite"
        if self.n_samples == 0:
            # Squares about a point near the mean lose no digits.
            self._origin = values.mean(1)
            self._sum = torch.zeros_like(self._origin)
            self._squares = torch.zeros_like(self._origin)
        offsets = values - self._origin[:, None]
        self._sum += offsets.sum(1)
        self._squares += offsets.square().sum(1)
        self.n_samples += values.shape[1]

    def mean(self) -> Tensor:
        return self._origin + self._sum / self.n_samples

    def variance(self) -> Tensor:
        left = self._squares - self._sum**2 / self.n_samples
        # Rounding may leave a little less than nothing.
        return left.clamp_min(0) / (self.n_samples - 1)


def _result(
    layer: int, means: _Means, law: InputLaw, has_labels: bool
) -> LayerInformation:
    values: dict[str, Any] = {name: means.mean(name) for name in DIAGNOSTICS}
    for name in (*ESTIMATES, *BRACKET):
        known = has_labels or not name.startswith("label")
        values[name] = means.mean(name) if known else None
        values[f"{name}_std_error"] = means.std_error(name) if known else None
    error = values["mutual_info_std_error"]
    return LayerInformation(
        layer=layer,
        input_entropy=law.input_entropy,
        saturated=is_saturated(values["mutual_info"], error, law.input_entropy),
        n_mc=means.n_samples,
        **values,
    )


# --- what users hand in ------------------------------------------------------------


def _law_of_inputs(
    X: Any, y: Any, sample_weight: Any, network: NoisyNetwork
) -> tuple[InputLaw, bool]:
    """Return the law of (input, label); each input is its own one centre."""
    inputs = torch.from_numpy(check_network_inputs(X, network))
    weights = check_weights(sample_weight, len(inputs))
    if y is None:
        return input_law(inputs, None, weights), False
    _, labels = check_discrete(y, inputs)
    return input_law(inputs, labels, weights), True


def _check_layers(layers: Sequence[int] | None, network: NoisyNetwork) -> list[int]:
    available = range(1, network.n_layers + 1)
    wanted = list(available) if layers is None else [int(i) for i in np.ravel(layers)]
    if not wanted or not set(wanted) <= set(available):
        raise ValueError(
            f"layers must be hidden layers from 1 to {network.n_layers}. Got "
            f"layers={layers!r}."
        )
    return wanted


def _check_n_draws(n_draws: int) -> int:
    if check_scalar(n_draws, "n_draws", Integral, min_val=1) < N_BLOCKS:
        raise ValueError(
            f"n_draws must be at least {N_BLOCKS} draws per input, so that the bias of "
            f"having few shows. Got n_draws={n_draws}."
        )
    return n_draws


def _check_n_mc(n_mc: int | str, n_inputs: int) -> int:
    if n_mc == "auto":
        return max(2, math.ceil(AUTO_SAMPLES / n_inputs))
    return check_scalar(n_mc, "n_mc", Integral, min_val=2)


def _check_stopping(tol: float | None, max_samples: int) -> None:
    check_scalar(max_samples, "max_samples", Integral, min_val=1)
    if tol is not None:
        check_scalar(tol, "tol", Real, min_val=0, include_boundaries="neither")
