"""Measures of how the representations of a layer cluster."""

from skib.metrics._class_distances import ClassDistances, class_distances

__all__ = ["ClassDistances", "class_distances"]
