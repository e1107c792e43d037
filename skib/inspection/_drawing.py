"""What the displays share: units, colours, axes, legends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

__all__ = [
    "BAND",
    "Drawing",
    "as_table",
    "drawing_on",
    "figure_and_axes",
    "gray_line",
    "layer_colors",
    "layer_marker",
    "layer_markers",
    "log_epochs",
    "nats_per",
    "spread_epochs",
]

UNITS = {"nats": 1.0, "bits": math.log(2)}
# A band of two standard errors holds the truth in about 95 % of the cases.
BAND = 2.0
MARKERS = "os^DvP<X>p*h"
LINE_STYLES = ("-", "--", ":", "-.")
# Markers on a line: more of them would hide it.
MOST_MARKERS = 20
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Inches that an entry of a legend takes.
ENTRY_HEIGHT = 0.17
# Inches between two ticks.
TICK_WIDTH = 0.25
# Part of the axes that a wide legend leaves.
LEFT_BY_LEGEND = 0.65
# Part of an axis left free at its ends.
MARGIN = 0.03
# Above the largest value there is room for the name of the ceiling.
HEADROOM = 1.13


def nats_per(unit: str) -> float:
    """Return how many nats one unit is."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {tuple(UNITS)}. Got unit={unit!r}.")
    return UNITS[unit]


def as_table(name: str, values: Any, epochs: np.ndarray, layers: np.ndarray) -> Any:
    """Return values as an array of shape (n_epochs, n_layers); None stays None."""
    if values is None:
        return None
    table = np.asarray(values, dtype=float)
    if table.shape != (len(epochs), len(layers)):
        raise ValueError(
            f"{name} must have one row per epoch and one column per layer, shape "
            f"({len(epochs)}, {len(layers)}). Got shape {table.shape}."
        )
    return table


def layer_colors(ax: Any, n_layers: int, cmap: Any = None) -> list[Any]:
    """Return a colour per layer, from light to dark; on dark axes the other way.

    The lightness alone tells them apart, in gray and for the colour-blind, and none is
    near that of the background.
    """
    import matplotlib

    if cmap is None or isinstance(cmap, str):
        cmap = matplotlib.colormaps[cmap or "viridis"]
    r, g, b, _ = matplotlib.colors.to_rgba(ax.get_facecolor())
    is_dark = 0.299 * r + 0.587 * g + 0.114 * b < 0.5
    first, last = (0.35, 0.95) if is_dark else (0.82, 0.02)
    if n_layers == 1:
        return [cmap((first + last) / 2)]
    return [cmap(place) for place in np.linspace(first, last, n_layers)]


def layer_marker(column: int) -> str:
    """Return the marker of a layer."""
    return MARKERS[column % len(MARKERS)]


def layer_markers(column: int, epochs: np.ndarray) -> dict[str, Any]:
    """Return the marker of a layer, at no more epochs than leave the line visible."""
    # Each layer begins elsewhere, so that markers do not hide each other.
    rows = spread_epochs(epochs, MOST_MARKERS, (column * GOLDEN_RATIO) % 1)
    return {"marker": layer_marker(column), "markevery": rows.tolist()}


def spread_epochs(epochs: np.ndarray, most: int, shift: float = 0.0) -> np.ndarray:
    """Return the places of so many epochs, about evenly on a log scale.

    The first and the last are among them, unless a ``shift`` moves all by a part of
    their distance.
    """
    if len(epochs) <= most:
        return np.arange(len(epochs))
    logs = np.log1p(epochs - np.min(epochs))
    wanted = np.linspace(logs[0], logs[-1], most) + shift * logs[-1] / (most - 1)
    return np.unique(np.abs(np.subtract.outer(wanted, logs)).argmin(axis=1))


def gray_line(**style: Any) -> Any:
    """Return what the legend shows of a line style."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": "0.4", "lw": 1.2, **style})


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
    """Log axis of epochs that has room for epoch 0, and ends where the epochs do."""
    first, last = float(np.min(epochs)), float(np.max(epochs))
    if first == last:
        ax.set_xlim(first - 1, first + 1)
        ax.set_xticks([first], [f"{first:g}"])
    elif first > 0:
        pad = (last / first) ** MARGIN
        ax.set_xscale("log")
        ax.set_xlim(first / pad, last * pad)
    else:
        # Limits after the scale: those of a linear axis reach below 0.
        ax.set_xscale("symlog", linthresh=1, linscale=0.5)
        decades = 0.5 + math.log10(max(last, 1.0))
        ax.set_xlim(-2 * MARGIN * decades, last * 10 ** (MARGIN * decades))
        _tick_decades(ax, last)
    ax.set_xlabel("epoch")


def _tick_decades(ax: Any, last: float) -> None:
    """Tick epoch 0 and powers of ten, as many as have room beside each other."""
    from matplotlib.ticker import FixedLocator

    width = LEFT_BY_LEGEND * ax.get_window_extent().width / ax.figure.dpi
    to_axes = ax.transData + ax.transAxes.inverted()
    chosen = [0.0]
    for tick in 10.0 ** np.arange(math.floor(math.log10(max(last, 1.0))) + 1):
        ends = to_axes.transform([(chosen[-1], 0), (tick, 0)])[:, 0]
        if (ends[1] - ends[0]) * width >= TICK_WIDTH:
            chosen.append(float(tick))
    ax.xaxis.set_major_locator(FixedLocator(chosen))


@dataclass
class Drawing:
    """What displays have drawn on some axes, so that one legend tells of all of it.

    Attributes
    ----------
    entries : dict
        Handles by what the legend says of them.
    n_runs : int
        Tables drawn so far: each has a line style of its own.
    epochs : list of float
        Those drawn.
    top, bottom : float
        Range of what was drawn.
    """

    entries: dict[str, Any] = field(default_factory=dict)
    n_runs: int = 0
    epochs: list[float] = field(default_factory=list)
    top: float = -math.inf
    bottom: float = 0.0
    _place: Any = None

    def next_style(self) -> str:
        """Return the line style of the next table."""
        self.n_runs += 1
        return LINE_STYLES[(self.n_runs - 1) % len(LINE_STYLES)]

    def add(self, label: str, handle: Any) -> None:
        """Give the legend an entry, unless it has it."""
        self.entries.setdefault(label, handle)

    def include(self, *values: Any) -> None:
        """Make sure that values are inside of the vertical limits."""
        for each in values:
            finite = each[np.isfinite(each)] if each is not None else np.empty(0)
            if finite.size:
                self.top = max(self.top, float(finite.max()))
                self.bottom = min(self.bottom, float(finite.min()))

    def set_limits(self, ax: Any, epochs: np.ndarray) -> None:
        """Set both axes for all that was drawn."""
        self.epochs = sorted({*self.epochs, *map(float, epochs)})
        log_epochs(ax, np.array(self.epochs))
        top = self.top if self.top > self.bottom else self.bottom + 1.0
        below = 1.05 * self.bottom if self.bottom < 0 else 0.0
        ax.set_ylim(below, top + (HEADROOM - 1) * (top - below))

    def legend(self, ax: Any, title: str) -> None:
        """Draw the legend to the right of the axes, in as many columns as it takes."""
        height = ax.get_window_extent().height / ax.figure.dpi
        per_column = max(5, int(height / ENTRY_HEIGHT) - 1)
        legend = ax.legend(
            self.entries.values(),
            self.entries.keys(),
            title=title,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=math.ceil(len(self.entries) / per_column),
            frameon=False,
            fontsize="small",
            title_fontsize="small",
            alignment="left",
            handlelength=1.6,
            columnspacing=1.0,
        )
        self._make_room(ax, legend)

    def _make_room(self, ax: Any, legend: Any) -> None:
        """Narrow the axes by the legend where no layout engine does so."""
        root = getattr(ax.figure, "figure", None) or ax.figure
        if root.get_layout_engine() is not None or not hasattr(
            root.canvas, "get_renderer"
        ):
            return
        if self._place is None:
            self._place = ax.get_position(original=True)
        width = legend.get_window_extent(root.canvas.get_renderer()).width
        share = width / ax.figure.bbox.width
        place = self._place
        free = 0.99 - place.x1
        narrower = max(0.3 * place.width, place.width - max(0.0, share - free))
        ax.set_position([place.x0, place.y0, narrower, place.height])


DRAWINGS: WeakKeyDictionary[Any, Drawing] = WeakKeyDictionary()


def drawing_on(ax: Any) -> Drawing:
    """Return what displays have drawn on the axes; nothing if these were cleared."""
    drawing = DRAWINGS.get(ax)
    if drawing is None or not ax.has_data():
        drawing = DRAWINGS[ax] = Drawing()
    return drawing
