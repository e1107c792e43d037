"""What the displays share: units, colours, axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["BAND", "figure_and_axes", "layer_color", "log_epochs", "nats_per"]

UNITS = {"nats": 1.0, "bits": math.log(2)}
# A band of two standard errors holds the truth in about 95 % of the cases.
BAND = 2.0


def nats_per(unit: str) -> float:
    """Return how many nats one unit is."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {tuple(UNITS)}. Got unit={unit!r}.")
    return UNITS[unit]


def layer_color(column: int, n_layers: int) -> Any:
    """Return the colour of a layer, from light (first) to dark (last)."""
    import matplotlib

    return matplotlib.colormaps["viridis_r"](0.1 + 0.9 * column / max(1, n_layers - 1))


def figure_and_axes(ax: Any, projection: str | None = None) -> tuple[Any, Any]:
    """Return the figure and the axes to draw on, new ones when ``ax`` is None."""
    if ax is not None:
        return ax.figure, ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib. Install it with `pip install 'skib[plot]'`."
        ) from error
    figure = plt.figure(layout="constrained")
    return figure, figure.add_subplot(projection=projection)


def log_epochs(ax: Any, epochs: np.ndarray) -> None:
    """Log axis of epochs that has room for epoch 0."""
    ax.set_xscale("symlog", linthresh=1) if 0 in epochs else ax.set_xscale("log")
    ax.set_xlabel("epoch")
