"""Data sets of the information-plane literature, generated."""

from skib.datasets._corner_mixture import corner_mixture_entropy, make_corner_mixture
from skib.datasets._leaky_relu_pair import make_leaky_relu_pair
from skib.datasets._reed_muller import make_reed_muller
from skib.datasets._single_neuron import make_single_neuron
from skib.datasets._spiral import make_spiral
from skib.datasets._szt import make_szt

__all__ = [
    "corner_mixture_entropy",
    "make_corner_mixture",
    "make_leaky_relu_pair",
    "make_reed_muller",
    "make_single_neuron",
    "make_spiral",
    "make_szt",
]
