"""Measures of how the representations of a layer cluster."""

from skib.metrics._cells import binned_entropy
from skib.metrics._class_distances import ClassDistances, class_distances
from skib.metrics._separation import class_separation
from skib.metrics._units import effective_rank, saturated_fraction

__all__ = [
    "ClassDistances",
    "binned_entropy",
    "class_distances",
    "class_separation",
    "effective_rank",
    "saturated_fraction",
]
