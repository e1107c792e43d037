"""What the bounds accept, and two functions that all of them need."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_count(name: str, value: Any, at_least: int = 1) -> int:
    """Return a count as an int, or say why it cannot be one."""
    is_whole = isinstance(value, Integral) or (
        isinstance(value, float) and value.is_integer()  # 1e9 is how people write it
    )
    if not is_whole or isinstance(value, bool) or value < at_least:
        raise ValueError(
            f"{name} must be a whole number >= {at_least}. Got {name}={value!r}."
        )
    return int(value)


def check_number(
    name: str, value: Any, low: float = 0.0, high: float = math.inf
) -> float:
    """Return a number in [low, high] as a float, or say why it cannot be one."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or not low <= value <= high:
        raise ValueError(
            f"{name} must be a number from {low} to {high}. Got {name}={value!r}."
        )
    return float(value)


def exp_or_inf(exponent: float) -> float:
    """Exponential; infinite, not an error, where floats end."""
    try:
        return math.exp(exponent)
    except OverflowError:
        return math.inf


def binary_entropy(probability: float) -> float:
    """Entropy, in nats, of a coin."""
    if probability in (0.0, 1.0):
        return 0.0
    other = 1 - probability
    return -probability * math.log(probability) - other * math.log1p(-probability)
