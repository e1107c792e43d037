"""Measures of how the representations of a layer cluster."""
