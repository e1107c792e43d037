"""The version, readable from every room."""

__version__ = "0.1.0"
