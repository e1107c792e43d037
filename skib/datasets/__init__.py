"""Data sets of the information-plane literature, generated."""

from skib.datasets._szt import make_szt

__all__ = ["make_szt"]
