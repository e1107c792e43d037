"""skib: information flow in deep neural networks, measured with error bars."""

__version__ = "0.1.0"
