"""Optimisers over one flat vector of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Adam", "StochasticGradientDescent"]


class _Optimizer:
    """What both optimisers share: their tensors can move between devices."""

    def move(self, device):
        """Bring all tensors to a device; return self."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def park(self):
        """Bring all tensors to the CPU, so that any machine can unpickle them."""
        return self.move("cpu")

    def end_epoch(self, n_samples_seen: int) -> None:
        """Adjust what changes between epochs; nothing by default."""

    def slow_down(self) -> bool:
        """Go on with a lower rate; return False where there is none."""
        return False


class Adam(_Optimizer):
    """Adam, algorithm 1 of Kingma and Ba, as in ``torch.optim.Adam``."""

    def __init__(self, like, *, learning_rate_init, beta_1, beta_2, epsilon):
        self.learning_rate_init = learning_rate_init
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_steps = 0
        self.mean = torch.zeros_like(like)
        self.square = torch.zeros_like(like)

    def step_(self, flat: Tensor, gradient: Tensor) -> None:
        """Move the weights, in place."""
        self.n_steps += 1
        self.mean.lerp_(gradient, 1 - self.beta_1)
        self.square.mul_(self.beta_2).addcmul_(
            gradient, gradient, value=1 - self.beta_2
        )
        # The two corrections for the start from zero are folded into scalars.
        root = math.sqrt(1 - self.beta_2**self.n_steps)
        rate = self.learning_rate_init * root / (1 - self.beta_1**self.n_steps)
        spread = self.square.sqrt().add_(self.epsilon * root)
        flat.addcdiv_(self.mean, spread, value=-rate)


class StochasticGradientDescent(_Optimizer):
    """Gradient descent with (Nesterov's) momentum and scikit-learn's schedules."""

    def __init__(
        self,
        like,
        *,
        learning_rate_init,
        learning_rate,
        power_t,
        momentum,
        nesterovs_momentum,
    ):
        self.learning_rate_init = learning_rate_init
        self.schedule = learning_rate
        self.power_t = power_t
        self.momentum = float(momentum)
        self.nesterovs_momentum = nesterovs_momentum
        self.learning_rate = float(learning_rate_init)
        self.velocity = torch.zeros_like(like)

    def step_(self, flat: Tensor, gradient: Tensor) -> None:
        """Move the weights, in place."""
        self.velocity.mul_(self.momentum).sub_(gradient, alpha=self.learning_rate)
        if self.nesterovs_momentum:
            flat.add_(self.velocity, alpha=self.momentum)
            flat.sub_(gradient, alpha=self.learning_rate)
        else:
            flat.add_(self.velocity)

    def end_epoch(self, n_samples_seen: int) -> None:
        """Lower the rate of the "invscaling" schedule."""
        if self.schedule == "invscaling":
            decay = (n_samples_seen + 1) ** self.power_t
            self.learning_rate = self.learning_rate_init / decay

    def slow_down(self) -> bool:
        """Divide the rate of the "adaptive" schedule by five while there is room."""
        if self.schedule != "adaptive" or self.learning_rate <= 1e-6:
            return False
        self.learning_rate /= 5
        return True
