"""Median errors against the width of the layer."""

import matplotlib
import numpy as np
from matplotlib.ticker import NullFormatter

from benchmarks.yardstick.contenders import FROM_ACTIVATIONS, FROM_WEIGHTS

WIDTHS = {
    "1": (1, 1),
    "2–3": (2, 3),
    "4–8": (4, 8),
    "10–16": (10, 16),
    "20–40": (20, 40),
}
# Of contenders that go alike, one.
STYLES = {
    "30 bins": {"marker": "x", "color": "0.45", "ls": ":"},
    "kernel density": {"marker": "^", "color": "0.6", "ls": "--"},
    "nearest neighbours": {"marker": "v", "color": "0.6", "ls": "-."},
    "pairwise distances": {"marker": "D", "color": "C0", "ls": ":", "mfc": "w"},
    "KSG of discrete inputs": {"marker": "s", "color": "0.6", "ls": "-", "mfc": "w"},
    "MINE": {"marker": "P", "color": "C1", "ls": "--"},
    FROM_ACTIVATIONS: {"marker": "o", "color": "C2", "ls": "-", "mfc": "w", "lw": 1.6},
    FROM_WEIGHTS: {"marker": "o", "color": "k", "ls": "-", "lw": 1.8},
}
SMALLEST = 1e-4


def draw(results, path):
    with matplotlib.rc_context({"backend": "Agg", "font.size": 8}):
        import matplotlib.pyplot as plt

        figure, ax = plt.subplots(figsize=(3.3, 3.7), layout="constrained")
        for contender, style in STYLES.items():
            medians = _medians(results, contender)
            ax.plot(medians, label=contender, ms=4.5, **({"lw": 1} | style))
        _dots(ax, results)
        ax.set_yscale("log")
        ax.set_xticks(range(len(WIDTHS)), WIDTHS)
        ax.set(xlabel="units of the layer", ylabel="median |error| of I(X;T), nats")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.spines[["top", "right"]].set_visible(False)
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(
            *(handles[::-1], labels[::-1]),
            **{"loc": "outside lower center", "ncols": 2, "frameon": False},
            **{"fontsize": 7, "handlelength": 3, "columnspacing": 1},
        )
        figure.savefig(path, dpi=300)
        plt.close(figure)


def _within(results, contender):
    """Errors of a contender, by width of the layer."""
    for low, high in WIDTHS.values():
        yield [
            max(r.off, SMALLEST)
            for r in results.of(contender)
            if low <= r.problem.n_units <= high
        ]


def _medians(results, contender):
    return [np.median(off) if off else np.nan for off in _within(results, contender)]


def _dots(ax, results):
    """Each problem of the network-aware estimator, beside its line."""
    for at, off in enumerate(_within(results, FROM_WEIGHTS)):
        beside = at + np.linspace(0.1, 0.3, len(off)) if off else []
        ax.plot(beside, sorted(off), ".", color="k", ms=1.5)
