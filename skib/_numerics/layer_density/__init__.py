"""Law of a layer's noisy output given the input, log p(t | x), through the network."""

from skib._numerics.layer_density.importance import ConditionalDensity
from skib._numerics.layer_density.moves import STEPS_PER_MOVE
from skib._numerics.layer_density.passes import (
    annealed_layer_log_density,
    layer_log_density,
)

__all__ = [
    "STEPS_PER_MOVE",
    "ConditionalDensity",
    "annealed_layer_log_density",
    "layer_log_density",
]
