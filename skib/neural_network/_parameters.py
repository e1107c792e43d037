"""Checks of the parameters of the noisy networks, one table."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from skib._validation import (
    check_device,
    check_layer,
    check_layer_activation,
    check_layer_noise,
    check_option,
)
from skib.neural_network._training import NOISE_KINDS

__all__ = ["check_parameters", "hidden_sizes"]


def _one_of(*options):
    return lambda name, value: check_option(name, value, options)


def _number(kind, low, high=None, closed="left"):
    """Wanted: a finite number between two bounds, of which ``closed`` are allowed."""

    def check(name, value):
        check_scalar(
            value, name, kind, min_val=low, max_val=high, include_boundaries=closed
        )
        if not np.isfinite(value):
            raise ValueError(f"{name} must be finite. Got {name}={value!r}.")

    return check


def _or(special, check):
    """Let one value through besides those of ``check``."""

    def check_others(name, value):
        if not (isinstance(value, type(special)) and value == special):
            check(name, value)

    return check_others


def _boolean(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False. Got {name}={value!r}.")


def _verbosity(name, value):
    if not isinstance(value, np.bool_):
        check_scalar(value, name, Integral, min_val=0)


def _random_state(name, value):
    check_random_state(value)


# Names, types and bounds of scikit-learn's MLPs, and after them those of noise.
PARAMETERS = {
    "solver": _one_of("lbfgs", "sgd", "adam"),
    "alpha": _number(Real, 0),
    "batch_size": _or("auto", _number(Integral, 1)),
    "learning_rate": _one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": _number(Real, 0, closed="neither"),
    "power_t": _number(Real, 0),
    "max_iter": _number(Integral, 1),
    "shuffle": _boolean,
    "random_state": _random_state,
    "tol": _number(Real, 0),
    "verbose": _verbosity,
    "warm_start": _boolean,
    "momentum": _number(Real, 0, 1, closed="both"),
    "nesterovs_momentum": _boolean,
    "early_stopping": _boolean,
    "validation_fraction": _number(Real, 0, 1),
    "beta_1": _number(Real, 0, 1),
    "beta_2": _number(Real, 0, 1),
    "epsilon": _number(Real, 0, closed="neither"),
    "n_iter_no_change": _or(np.inf, _number(Integral, 1)),
    "max_fun": _number(Integral, 1),
    "noise": _one_of(*NOISE_KINDS),
    "orthonormality": _number(Real, 0),
    "dtype": _one_of("float32", "float64"),
}


def check_parameters(estimator):
    """Refuse the first parameter that makes no sense, in one sentence."""
    for name, check in PARAMETERS.items():
        check(name, getattr(estimator, name))
    n_hidden = len(hidden_sizes(estimator))
    check_layer_activation(estimator.activation, n_hidden)
    check_layer(estimator.transform_layer, n_hidden, "transform_layer")
    noise_std = check_layer_noise(estimator.noise_std, n_hidden)
    if estimator.solver == "lbfgs" and (any(noise_std) or estimator.orthonormality):
        raise ValueError(
            "solver='lbfgs' needs a loss without noise and without orthonormal "
            f"updates. Got noise_std={estimator.noise_std!r} and orthonormality="
            f"{estimator.orthonormality!r}: use 'adam' or 'sgd', or set both to 0."
        )
    check_device(estimator.device)


def hidden_sizes(estimator):
    """Return the units of each hidden layer as a list."""
    sizes = np.atleast_1d(np.asarray(estimator.hidden_layer_sizes, dtype=object))
    is_int = all(isinstance(n, Integral) and not isinstance(n, bool) for n in sizes)
    if sizes.ndim != 1 or not len(sizes) or not is_int or min(sizes) < 1:
        raise ValueError(
            "hidden_layer_sizes must be one or more integers >= 1: the noise, and "
            "what is measured of it, sits in the hidden layers. Got "
            f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}."
        )
    return [int(size) for size in sizes]
