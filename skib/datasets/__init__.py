"""Data sets of the information-plane literature, generated."""
