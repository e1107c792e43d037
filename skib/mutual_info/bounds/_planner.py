"""How much sampling a wanted error needs, or that no amount is known to be enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skib._validation import check_noise_std
from skib.mutual_info.bounds._checks import check_count, check_number
from skib.mutual_info.bounds._chi_square import chi_square_of_cube
from skib.mutual_info.bounds._entropy import (
    bias_bound,
    deviation_bound,
    risk_bound,
    worst_case_bias,
)
from skib.mutual_info.bounds._monte_carlo import monte_carlo_mse_bound

# Share of the wanted error left to the noise samples, the cheap part.
MONTE_CARLO_SHARE = 0.2


@dataclass(frozen=True)
class SamplingPlan:
    """What an entropy h(S + Z) to a wanted error costs; ``print`` it to read it.

    Attributes
    ----------
    error : float
        Wanted bound on the expected error, nats.
    n_samples : int
        Samples of S, the centres of the mixture.
    n_mc : int
        Noise samples at each of them.
    bias_bound, deviation_bound, monte_carlo_bound : float
        What each source of error contributes at most, nats.
    worst_case_bias : float
        Bias at `n_samples` that some law of S forces, nats.
    """

    error: float
    n_samples: int
    n_mc: int
    bias_bound: float
    deviation_bound: float
    monte_carlo_bound: float
    worst_case_bias: float

    @property
    def verdict(self) -> str:
        """What to expect of the plan.

        "enough": the error is kept, whatever the law of S. "hopeless": for some law of
        S the plug-in with these samples, the most allowed, is biased by more than the
        wanted error. "not guaranteed": neither is known.
        """
        if self.total <= self.error:
            return "enough"
        return "hopeless" if self.worst_case_bias > self.error else "not guaranteed"

    @property
    def total(self) -> float:
        """Sum of the three bounds, nats."""
        return self.bias_bound + self.deviation_bound + self.monte_carlo_bound

    def __str__(self) -> str:
        return _SENTENCES[self.verdict].format(plan=self)


_SENTENCES = {
    "enough": (
        "Take {plan.n_samples:,} samples and {plan.n_mc} of noise at each: the "
        "expected error stays within {plan.total:.3g} nats."
    ),
    "not guaranteed": (
        "{plan.n_samples:,} samples are not guaranteed to be enough for "
        "{plan.error:.3g} nats: the bias is only known to be within "
        "{plan.bias_bound:.3g}. Use estimates with a bracket, fewer features, or "
        "more noise."
    ),
    "hopeless": (
        "Hopeless in this dimension: with {plan.n_samples:,} samples there are "
        "activations whose entropy comes out {plan.worst_case_bias:.3g} nats too low. "
        "Use fewer features, or more noise."
    ),
}


def plan_sampling(
    error: float,
    n_features: int,
    noise_std: float,
    *,
    chi_square: float | None = None,
    max_samples: int = 10_000_000,
) -> SamplingPlan:
    """Plan how many draws and noise samples an entropy to a wanted error needs.

    Parameters
    ----------
    error : float
        Wanted bound on E|h - estimate|, in nats, > 0.
    n_features : int
        Dimension of the layer, >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    chi_square : float, default=None
        Chi-square information of the activations, where more is known of them than
        that they lie in [-1, 1]: `chi_square_of_atoms`, `chi_square_of_gaussian`. None
        plans for every law on the cube.
    max_samples : int, default=10_000_000
        Most samples there can be.

    Returns
    -------
    plan : SamplingPlan

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> plan = bounds.plan_sampling(0.02, n_features=3, noise_std=0.1)
    >>> plan.n_samples, plan.n_mc, plan.verdict
    (9119830, 1, 'enough')
    >>> bounds.plan_sampling(0.1, n_features=100, noise_std=0.1).verdict
    'hopeless'
    """
    error = check_number("error", error, low=1e-6)
    d = check_count("n_features", n_features)
    noise_std = check_noise_std(noise_std)
    max_samples = check_count("max_samples", max_samples, at_least=2)
    known = chi_square_of_cube(d, noise_std) if chi_square is None else chi_square
    n = _fewest_samples((1 - MONTE_CARLO_SHARE) * error, known, max_samples)
    # Where more than the cube is known of the law, the worst law of the cube is out.
    forced = worst_case_bias(n, d, noise_std) if chi_square is None else 0.0
    n_mc = math.ceil(d / (n * (MONTE_CARLO_SHARE * error) ** 2))
    plan = SamplingPlan(
        error=error,
        n_samples=n,
        n_mc=n_mc,
        bias_bound=bias_bound(n, known),
        deviation_bound=deviation_bound(n),
        monte_carlo_bound=math.sqrt(monte_carlo_mse_bound(n, n_mc, d)),
        worst_case_bias=forced,
    )
    return plan


def _fewest_samples(error: float, chi_square: float, max_samples: int) -> int:
    """Bisect for the smallest n whose risk bound, which falls with n, is in `error`."""
    low, high = 2, max_samples
    if risk_bound(high, chi_square) > error:
        return max_samples
    while low < high:
        middle = (low + high) // 2
        if risk_bound(middle, chi_square) <= error:
            high = middle
        else:
            low = middle + 1
    return low
