"""Settings: noise, devices, options, how long to sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar

__all__ = [
    "check_device",
    "check_noise_std",
    "check_option",
    "check_sampling",
    "whatever_the_default_device",
]


def check_noise_std(noise_std: Any, *, zero_allowed: bool = False) -> float:
    """Return ``noise_std`` as a float, or say why it cannot be one."""
    wanted = "a finite number >= 0" if zero_allowed else "a finite number > 0"
    is_number = isinstance(noise_std, Real) and not isinstance(noise_std, bool)
    if not is_number or not np.isfinite(noise_std) or noise_std < 0:
        raise ValueError(f"noise_std must be {wanted}. Got noise_std={noise_std!r}.")
    if noise_std == 0 and not zero_allowed:
        raise ValueError(
            "noise_std must be > 0: without noise a layer keeps every input apart, so "
            "I(X;T) is the entropy of the inputs, or infinite, whatever the network "
            "does. Give the network noise, or use BinnedMIEstimator to measure "
            f"clustering. Got noise_std={noise_std!r}."
        )
    return float(noise_std)


def check_device(device: Any) -> torch.device:
    """Return the torch device named by ``device``; None means the CPU."""
    try:
        resolved = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be None or a torch device such as 'cpu' or 'cuda'. Got "
            f"device={device!r}."
        ) from error
    if not _holds_numbers(resolved):
        raise ValueError(
            f"device={device!r} was asked for, but torch has no such device here that "
            "holds numbers. Use device=None."
        )
    return resolved


def _holds_numbers(device: torch.device) -> bool:
    try:
        return not torch.empty(0, device=device).is_meta
    except (RuntimeError, AssertionError):  # torch asserts that it was built for CUDA
        return False


def check_option(name: str, value: Any, options: Iterable[Any]) -> None:
    """Refuse a value that is not among the options."""
    if not any(value is option or value == option for option in options):
        known = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {known}. Got {name}={value!r}.")


def check_sampling(estimator: Any, *, fewest: int) -> None:
    """Check ``n_mc``, ``tol`` and ``max_samples`` of an estimator that samples."""
    if estimator.n_mc != "auto":
        check_scalar(estimator.n_mc, "n_mc", Integral, min_val=fewest)
    check_scalar(estimator.max_samples, "max_samples", Integral, min_val=1)
    if estimator.tol is not None:
        positive = {"min_val": 0, "include_boundaries": "neither"}
        check_scalar(estimator.tol, "tol", Real, **positive)


def whatever_the_default_device(function: Callable) -> Callable:
    """Let a public function compute where its arrays live.

    Not where ``torch.set_default_device`` would put what it makes on the way.
    """

    @wraps(function)
    def computed(*args: Any, **kwargs: Any) -> Any:
        if torch.get_default_device().type == "cpu":
            return function(*args, **kwargs)
        with torch.device("cpu"):
            return function(*args, **kwargs)

    return computed
