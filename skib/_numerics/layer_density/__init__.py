"""Law of a layer's noisy output given the input, log p(t | x), through the network."""

from skib._numerics.layer_density.importance import ConditionalDensity
from skib._numerics.layer_density.passes import layer_log_density

__all__ = ["ConditionalDensity", "layer_log_density"]
