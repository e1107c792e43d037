"""From a decoder's mean and a chain's gap to values, brackets and errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from skib._numerics.decoder import Gaps
from skib._numerics.layer_density import ConditionalDensity
from skib.mutual_info._information import Estimate
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._stratified import FreshPasses

__all__ = [
    "NO_GAP",
    "Found",
    "GapMeans",
    "combined",
    "gap_means",
    "mean_of",
    "to_ceiling",
]


@dataclass(frozen=True)
class Found:
    """Estimates of one layer.

    Attributes
    ----------
    estimates : dict of Estimate
        By quantity, the bracket too.
    density : ConditionalDensity
        Log p(t | x) at some points.
    low_error, gap_error : float
        Parts of the error: what more passes of the decoder lower, and what more or
        longer chains do.
    """

    estimates: dict[str, Estimate]
    density: ConditionalDensity
    low_error: float
    gap_error: float

    @property
    def half_width(self) -> float:
        """Half of the bracket, in nats."""
        ends = (self.estimates[f"mutual_info_{end}"].value for end in ("low", "high"))
        low, high = ends
        return 0.5 * (high - low)

    @property
    def error(self) -> float:
        """What a wanted error is compared with: half the bracket, or more."""
        return max(self.half_width, self.estimates["mutual_info"].std_error)


class GapMeans(NamedTuple):
    """How far the chain's end lies above the decoder's, on average.

    Attributes
    ----------
    full, jackknife : Estimate
        Of I(X;T): by all steps of the chains, and extrapolated to infinitely many.
    label_full, label_jackknife : Estimate
        The same of I(Y;T).
    """

    full: Estimate
    jackknife: Estimate
    label_full: Estimate
    label_jackknife: Estimate


NO_GAP = GapMeans(*[Estimate(0.0)] * 4)


def to_ceiling(means: FreshPasses, law: InputLaw) -> GapMeans:
    """Return what is missing to the entropies of input and label, as the gap."""
    gap = Estimate(law.input_entropy - means.mean("low"))
    label_entropy = law.label_entropy or 0.0
    label_gap = Estimate(label_entropy - means.mean("label_low"))
    return GapMeans(gap, gap, label_gap, label_gap)


def mean_of(values: Tensor) -> Estimate:
    """Return the mean of independent values, with its standard error."""
    error = float(values.std()) / math.sqrt(len(values))
    return Estimate(float(values.mean()), error)


def gap_means(gaps: Gaps) -> GapMeans:
    """Average gaps over the points of chains."""
    return GapMeans(
        mean_of(gaps.full),
        mean_of(gaps.jackknife),
        mean_of(gaps.label_full),
        mean_of(gaps.label_jackknife),
    )


class _Bracketed(NamedTuple):
    """A value between a low and a high end."""

    value: Estimate
    low: Estimate
    high: Estimate
    gap_error: float


def _bracketed(
    low: Estimate, gap: Estimate, jackknife: Estimate, ceilings: list[Estimate]
) -> _Bracketed:
    """Place the value in the bracket: the lower end, and half of the loss above it.

    Parameters
    ----------
    low : Estimate
    gap, jackknife : Estimate
        Of the high end, from all steps and extrapolated, above the low one.
    ceilings : list of Estimate
        Further high ends.
    """
    high = Estimate(low.value + gap.value, math.hypot(low.std_error, gap.std_error))
    for ceiling in ceilings:
        high = min(high, ceiling, key=lambda end: end.value)
    # Ends that cross, or are below zero, are so by their errors.
    high = replace(high, value=max(high.value, 0.0))
    low_end = min(max(low.value, 0.0), high.value)
    loss = min(max(jackknife.value, 0.0), max(high.value - low_end, 0.0))
    width = max(high.value - low_end, 0.0)
    gap_error = math.hypot(0.5 * jackknife.std_error, width / math.sqrt(12))
    value = low_end + 0.5 * loss
    return _Bracketed(
        Estimate(value, math.hypot(low.std_error, gap_error)),
        Estimate(low_end, low.std_error),
        high,
        gap_error,
    )


def combined(
    means: FreshPasses,
    gap: GapMeans,
    above: Estimate | None,
    density: ConditionalDensity,
    correction: Estimate,
    law: InputLaw,
) -> Found:
    """Join the parts, and their errors."""
    ceilings = [Estimate(law.input_entropy)]
    if above is not None:
        ceilings.append(above)
    low = means.estimate("low")
    found = _bracketed(low, gap.full, gap.jackknife, ceilings)
    label_ceilings = [Estimate(law.label_entropy or 0.0), found.high]
    label = _bracketed(
        means.estimate("label_low"), gap.label_full, gap.label_jackknife, label_ceilings
    )
    surprise = means.estimate("surprise")
    # What the decoder adds to the low end is added to all that holds the information.
    lift = found.value.value - low.value
    entropy = means.estimate("entropy")
    label_lift = lift - (label.value.value - means.mean("label_low"))
    of_label = means.estimate("label_entropy")
    errors = found.gap_error, correction.std_error
    estimates = {
        "mutual_info": found.value,
        "mutual_info_low": found.low,
        "mutual_info_high": found.high,
        "conditional_entropy": Estimate(
            surprise.value - correction.value,
            math.hypot(surprise.std_error, correction.std_error),
        ),
        "entropy": Estimate(
            entropy.value - correction.value + lift,
            math.hypot(entropy.std_error, *errors),
        ),
        "label_mutual_info": label.value,
        "label_conditional_entropy": Estimate(
            of_label.value - correction.value + label_lift,
            math.hypot(of_label.std_error, label.gap_error, *errors),
        ),
    }
    return Found(estimates, density, low.std_error, found.gap_error)
