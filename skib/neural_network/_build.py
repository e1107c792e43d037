"""Stack, optimiser and trainer as the parameters of estimators ask for them."""

from __future__ import annotations

import warnings

import torch

from skib._validation import (
    as_tensor,
    check_device,
    check_layer_activation,
    check_layer_noise,
)
from skib.neural_network._optimizers import Adam, StochasticGradientDescent
from skib.neural_network._stack import NetworkStack
from skib.neural_network._training import NoiseSource, Trainer

__all__ = ["make_optimizer", "make_stack", "make_trainer"]

_ADAM = Adam, ["learning_rate_init", "beta_1", "beta_2", "epsilon"]
_SGD = (
    StochasticGradientDescent,
    [
        "learning_rate_init",
        "learning_rate",
        "power_t",
        "momentum",
        "nesterovs_momentum",
    ],
)
# L-BFGS brings its own steps; the other only stands in its place.
OPTIMIZERS: dict[str, tuple] = {"adam": _ADAM, "sgd": _SGD, "lbfgs": _ADAM}


def _layer_sizes(estimator):
    return [len(estimator.coefs_[0]), *(coef.shape[1] for coef in estimator.coefs_)]


def _dtype(estimator):
    return torch.float64 if estimator.dtype == "float64" else torch.float32


def make_stack(estimators, data):
    """Return the networks of these estimators, side by side."""
    first = estimators[0]
    sizes, dtype = _layer_sizes(first), _dtype(first)
    # The penalty is divided by the weight of a batch, here in units of the largest.
    alpha = float(first.alpha) / data.largest_weight
    stack = NetworkStack(
        sizes,
        len(estimators),
        activations=check_layer_activation(first.activation, len(sizes) - 2),
        output=first.out_activation_,
        noise_is_factor=first.noise != "additive",
        alpha=min(alpha, torch.finfo(dtype).max),
        dtype=dtype,
        device=check_device(first.device),
    )
    for network, estimator in enumerate(estimators):
        stack.load(network, estimator.coefs_, estimator.intercepts_)
    return stack


def make_optimizer(estimators, flat, *, go_on):
    """Return a new optimiser, or the one of an earlier call to go on with.

    One estimator alone keeps it, for a later ``partial_fit``.
    """
    first = estimators[0]
    if go_on and hasattr(first, "_optimizer"):
        return first._optimizer.move(flat.device)
    make, names = OPTIMIZERS[first.solver]
    optimizer = make(flat, **{name: getattr(first, name) for name in names})
    if len(estimators) == 1:
        first._optimizer = optimizer
    return optimizer


def make_trainer(estimators, data, rows, stack, optimizer):
    """Return what runs the epochs; ``rows`` are the training rows of each."""
    first = estimators[0]
    on = {"dtype": stack.flat.dtype, "device": stack.flat.device}

    def there(array):
        return as_tensor(array).to(**on)

    weights = data.sample_weight
    noise = NoiseSource(
        first.noise,
        check_layer_noise(first.noise_std, len(stack.layer_sizes) - 2),
        stack.layer_sizes[1:-1],
        seeds=[e._random_state.randint(2**31 - 1) for e in estimators],
        **on,
    )
    return Trainer(
        stack,
        optimizer,
        there(data.X),
        there(data.targets),
        None if weights is None else there(weights),
        rows,
        batch_size=_batch_size(first, len(rows[0])),
        shuffles=[e._random_state for e in estimators] if first.shuffle else None,
        noise=noise,
        orthonormality=first.orthonormality,
    )


def _batch_size(estimator, n_samples):
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warnings.warn(
            f"batch_size={estimator.batch_size} is larger than the {n_samples} "
            f"training samples: {n_samples} is used.",
            stacklevel=5,
        )
    return min(int(estimator.batch_size), n_samples)
