"""Clustering of every layer at every recorded epoch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skib._validation import (
    check_discrete,
    check_option,
)
from skib._version import __version__
from skib.exceptions import SilentRepresentationsWarning
from skib.inspection._clustering_measures import (
    COSINE_EDGES,
    METRICS,
    NEED_LABELS,
    QUANTILES,
    Measuring,
    on_common_bins,
)
from skib.inspection._clustering_table import ClusteringFlow
from skib.inspection._question import check_question
from skib.inspection._sweep import over_epochs

__all__ = ["clustering_flow"]

BOUNDED = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}


def clustering_flow(
    recording: Any,
    X: Any,
    y: Any = None,
    *,
    metrics: str | Sequence[str] = "all",
    layers: Sequence[int] | None = None,
    epochs: Sequence[int] | None = None,
    bin_widths: Sequence[float] = (0.01, 0.05, 0.1),
    value_range: tuple[float, float] | None = None,
    max_pairs: int = 100_000,
    noisy: bool = False,
    n_jobs: int | None = None,
    memory: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> ClusteringFlow:
    """Measure how the representations of layers cluster over training.

    When I(X;T) falls, the representations of a class draw together [1]_. Unlike the
    information these measures need no noise, and have a meaning in layers of any width.

    Parameters
    ----------
    recording : Recording, or fitted estimator that has a ``recording_``
        As in `information_flow`; the network may be without noise.
    X : array-like or Tensor of shape (n_samples, n_features)
        Inputs, all equally likely.
    y : array-like of shape (n_samples,), default=None
        Discrete labels; without them only measures that need none are taken.
    metrics : "all" or sequence of str, default="all"
        "euclidean" and "cosine": distances, or cosine similarities, of pairs within
        and between classes; "separation": `skib.metrics.class_separation` and the
        silhouette; "binned_entropy": H(Bin(T)); "saturation": share of saturated
        units; "effective_rank".
    layers : sequence of int, default=None
        Hidden layers, counted from 1, negative from the last, or their names; None is
        all.
    epochs : sequence of int, default=None
        Recorded epochs; None is all.
    bin_widths : sequence of float, default=(0.01, 0.05, 0.1)
        Of the binned entropies, in activation units.
    value_range : tuple of float, default=None
        What activations can be, for "saturation"; None is what the activation function
        says, where the recording names one that is bounded.
    max_pairs : int, default=100_000
        All pairs are taken up to this number; beyond it, as many drawn at random.
    noisy : bool, default=False
        Whether to look at one noisy pass, T, in place of the noise-free network.
    n_jobs : int, default=None
        Number of joblib workers, of any backend.
    memory : str, path-like, joblib.Memory or None, default=None
        Where finished tasks are kept.
    random_state : int, RandomState instance or None, default=None
        Seed of pairs, and of noise.
    verbose : int, default=0
        Above 0, a progress bar over (epoch, layer).

    Returns
    -------
    flow : ClusteringFlow
        Arrays of shape (n_epochs, n_layers, ...).

    Raises
    ------
    TypeError
        If there is no recording.
    ValueError
        If a layer, an epoch or a metric does not exist, or a metric needs labels.

    Warns
    -----
    SilentRepresentationsWarning
        Where representations are all zero, which have no cosine.

    See Also
    --------
    information_flow : Information of the same layers.

    References
    ----------
    .. [1] Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural
       Networks. ICML. https://arxiv.org/abs/1810.05728

    Examples
    --------
    >>> import numpy as np
    >>> from skib import NoisyMLPClassifier
    >>> from skib.datasets import make_spiral
    >>> from skib.inspection import clustering_flow
    >>> X, y = make_spiral(random_state=0)
    >>> net = NoisyMLPClassifier(
    ...     (8, 8), "tanh", noise_std=0.1, learning_rate_init=0.01, max_iter=60,
    ...     n_iter_no_change=np.inf, record_epochs=[0, 60], random_state=0,
    ... ).fit(X, y)
    >>> flow = clustering_flow(net, X, y, metrics=["separation"], random_state=0)
    >>> bool((flow.separation[1] > flow.separation[0]).all())
    True
    """
    asked = check_question(recording, X, epochs=epochs, layers=layers)
    recording, X = asked.recording, asked.X
    classes, codes = (np.empty(0), None) if y is None else check_discrete(y, X)
    max_pairs = check_scalar(max_pairs, "max_pairs", Integral, min_val=1)
    measuring = Measuring(
        X,
        codes,
        len(classes),
        _check_metrics(metrics, has_labels=y is not None),
        tuple(float(width) for width in np.ravel(bin_widths)),
        _value_ranges(recording, len(asked.first.noise_std), value_range),
        max_pairs,
        noisy,
    )
    swept = over_epochs(
        measuring,
        recording,
        asked.epochs,
        asked.places,
        whole_epochs=False,
        label="clustering flow",
        n_jobs=n_jobs,
        memory=memory,
        random_state=random_state,
        verbose=verbose,
    )
    columns, facts = _columns(swept.results)
    _warn_of_silence(columns, swept.epochs, asked.layers)
    facts |= {
        "classes": classes,
        "bin_widths": measuring.bin_widths,
        "quantiles": QUANTILES,
    }
    provenance = _provenance(recording, asked.epochs[0], measuring)
    provenance["random_state"] = random_state
    return ClusteringFlow(
        swept.epochs, asked.layers, columns, facts=facts, provenance=provenance
    )


def _provenance(recording: Any, epoch: int, measuring: Measuring) -> dict[str, Any]:
    """How the numbers were made."""
    return {
        "skib": __version__,
        "metrics": measuring.metrics,
        "max_pairs": measuring.max_pairs,
        "noisy": measuring.noisy,
        "noise_std": recording.at(epoch).noise_std,
        "activation": getattr(recording, "activation", None),
        "layer_sizes": getattr(recording, "layer_sizes", None),
        "n_inputs": len(measuring.X),
    }


def _check_metrics(metrics: Any, *, has_labels: bool) -> tuple[str, ...]:
    if isinstance(metrics, str) and metrics == "all":
        return tuple(m for m in METRICS if has_labels or m not in NEED_LABELS)
    wanted = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in wanted:
        check_option("metrics", metric, ("all", *METRICS))
    unlabelled = [metric for metric in wanted if metric in NEED_LABELS]
    if unlabelled and not has_labels:
        raise ValueError(
            f"metrics={unlabelled} compare classes: give y. Got y=None. Without labels "
            f"there are {[m for m in METRICS if m not in NEED_LABELS]}."
        )
    if not wanted:
        raise ValueError(f"metrics must be 'all' or some of {list(METRICS)}. Got [].")
    return tuple(dict.fromkeys(wanted))


def _value_ranges(
    recording: Any, n_layers: int, value_range: Any
) -> dict[int, tuple[float, float] | None]:
    names = getattr(recording, "activation", None)
    if names is None or isinstance(names, str):
        names = [names] * n_layers
    return {
        layer: value_range or BOUNDED.get(name) for layer, name in enumerate(names, 1)
    }


def _columns(
    results: list[list[dict[str, Any]]],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """One array per measure, histograms on common bins, and the edges of these."""
    columns = {
        name: np.array([[found[name] for found in row] for row in results])
        for name in results[0][0]
    }
    facts: dict[str, Any] = {}
    if "distance_exponent" in columns:
        exponents = columns.pop("distance_exponent")
        for kind in ("within", "between"):
            name = f"{kind}_distance_histogram"
            columns[name], edges = on_common_bins(columns[name], exponents)
        facts["distance_edges"] = edges
    if "within_cosine" in columns:
        facts["cosine_edges"] = COSINE_EDGES
    return columns, facts


def _warn_of_silence(
    columns: dict[str, np.ndarray], epochs: list[int], layers: list[int]
) -> None:
    silent = columns.get("silent_fraction")
    if silent is None or not silent.any():
        return
    e, at = np.unravel_index(silent.argmax(), silent.shape)
    warnings.warn(
        f"At {int((silent > 0).sum())} of {silent.size} layers and epochs some "
        "representations are all zero and have no cosine: they are left out, most, "
        f"{silent.max():.0%}, at layer {layers[at]} of epoch {epochs[e]}. "
        "`silent_fraction` counts them.",
        SilentRepresentationsWarning,
        stacklevel=3,
    )
