"""What every estimator of a noisy layer reports, by name."""

from __future__ import annotations

__all__ = ["BRACKET", "DIAGNOSTICS", "ESTIMATES", "is_saturated"]

ESTIMATES = (
    "mutual_info",
    "entropy",
    "conditional_entropy",
    "label_mutual_info",
    "label_conditional_entropy",
)
BRACKET = ("mutual_info_low", "mutual_info_high")
# Of importance sampling, where the network is known.
DIAGNOSTICS = ("effective_fraction", "unconverged_fraction", "density_gap")


def is_saturated(information: float, std_error: float, input_entropy: float) -> bool:
    """Return whether I(X;T) is within its error of its ceiling."""
    slack = input_entropy - information
    return bool(input_entropy > 0 and slack <= 3 * std_error + 1e-9)
