"""What an estimator says of one layer: values, errors, bracket, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from skib.exceptions import HighDimensionWarning, SaturationWarning, SkibWarning
from skib.mutual_info._input_law import InputLaw

__all__ = ["BRACKET", "QUANTITIES", "Estimate", "Information"]

QUANTITIES = (
    "mutual_info",
    "entropy",
    "conditional_entropy",
    "label_mutual_info",
    "label_conditional_entropy",
)
BRACKET = ("mutual_info_low", "mutual_info_high")

# Nats below H(X) within which a value says no more than that it is at its ceiling.
AT_CEILING = 0.01
# Share of the possible values, 0 to H(X), that a bracket may cover without a word.
WIDE_BRACKET = 0.25


@dataclass(frozen=True)
class Estimate:
    """A number with its error.

    Attributes
    ----------
    value : float
        In nats.
    std_error : float, default=0.0
        Its standard error, in nats; 0 where nothing was sampled.

    Examples
    --------
    >>> from skib.mutual_info import Estimate
    >>> print(Estimate(0.8021, 0.0023))
    0.8021 +- 0.0023 nats
    """

    value: float
    std_error: float = 0.0

    def __str__(self) -> str:
        return f"{self.value:.4f} +- {self.std_error:.2g} nats"


@dataclass(frozen=True)
class Information:
    """Information of one layer about its input and the label, in nats.

    Only the first is needed; what an estimator does not know is None.

    Attributes
    ----------
    mutual_info : Estimate
        I(X;T).
    mutual_info_low, mutual_info_high : Estimate or None
        A bracket: the mean of the first is not above I(X;T) and the mean of the second
        not below.
    entropy, conditional_entropy : Estimate or None
        h(T), h(T|X).
    label_mutual_info, label_conditional_entropy : Estimate or None
        I(Y;T), h(T|Y); None without labels.
    diagnostics : dict
        Further numbers about how the estimate was made, by name.
    limits : tuple of SkibWarning
        What limits the value, in words: issued by ``fit``, gathered by a sweep.
    advice : str
        What would narrow a wide bracket.
    bounds_only : bool
        Whether the value is no more than its bracket says, as users know who asked for
        bounds: a wide one is then no limit to warn of.
    input_entropy : float
        H(X), of the distinct inputs: the ceiling of I(X;T).
    saturated : bool
        Whether I(X;T) is at that ceiling.
    """

    mutual_info: Estimate
    mutual_info_low: Estimate | None = None
    mutual_info_high: Estimate | None = None
    entropy: Estimate | None = None
    conditional_entropy: Estimate | None = None
    label_mutual_info: Estimate | None = None
    label_conditional_entropy: Estimate | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)
    limits: tuple[SkibWarning, ...] = field(default=(), compare=False)
    advice: str = field(default="", compare=False)
    bounds_only: bool = field(default=False, compare=False)
    input_entropy: float = math.nan
    saturated: bool = False

    def of(self, law: InputLaw) -> Information:
        """Judge the estimate by the law of the inputs it was made with.

        Parameters
        ----------
        law : InputLaw

        Returns
        -------
        information : Information
            With ceiling, saturation and limits.
        """
        saturated = _is_saturated(self, law.input_entropy)
        labelled = law.has_labels
        return replace(
            self,
            label_mutual_info=self.label_mutual_info if labelled else None,
            label_conditional_entropy=(
                self.label_conditional_entropy if labelled else None
            ),
            input_entropy=law.input_entropy,
            saturated=saturated,
            limits=(*self.limits, *_limits(self, law, saturated)),
        )

    def has_wide_bracket(self, law: InputLaw) -> bool:
        """Tell whether the bracket leaves so much open that the value says little.

        Parameters
        ----------
        law : InputLaw

        Returns
        -------
        is_wide : bool
        """
        low, high = self.mutual_info_low, self.mutual_info_high
        if low is None or high is None or self.bounds_only:
            return False
        # A bracket within its errors, or of nothing at all, is not wide.
        error = math.hypot(low.std_error, high.std_error)
        possible = max(law.input_entropy, 1.0)
        return high.value - low.value > max(WIDE_BRACKET * possible, 3 * error)

    def estimates(self) -> dict[str, Estimate]:
        """Return all that is known, by name.

        Returns
        -------
        estimates : dict of Estimate
        """
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {n: e for n, e in found.items() if isinstance(e, Estimate)}


def _is_saturated(information: Information, input_entropy: float) -> bool:
    """Tell whether even the lower end is within its error of H(X), if that is any."""
    low = information.mutual_info_low or information.mutual_info
    slack = input_entropy - low.value
    # A law of one input leaves a rounding error of an entropy.
    return bool(input_entropy > 1e-12 and slack <= AT_CEILING + 3 * low.std_error)


def _limits(
    information: Information, law: InputLaw, saturated: bool
) -> list[SkibWarning]:
    if information.has_wide_bracket(law):
        low, high = (getattr(information, name).value for name in BRACKET)
        return [
            HighDimensionWarning(
                f"I(X;T) lies between {low:.4g} and {high:.4g} nats, a bracket so wide "
                f"that the estimate says little. {information.advice}".rstrip()
            )
        ]
    if saturated:
        return [
            SaturationWarning(
                f"I(X;T) = {information.mutual_info.value:.4g} nats is at its ceiling, "
                f"the entropy of the {len(law.joint)} inputs given: none of them is "
                "confused with another. Near it a value says no more about the layer, "
                "and nothing about the law that the inputs may be a sample of."
            )
        ]
    return []
