"""How well classes are apart, in one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import check_array

from skib._validation import as_numpy, check_discrete, check_option

__all__ = ["class_separation"]

METRICS = ("euclidean", "cosine")


def class_separation(activations: Any, y: Any, *, metric: str = "euclidean") -> float:
    """Share of the spread of representations that lies between classes.

    ``1 - D_within / D_total``: 0 where classes are not to be told apart, 1 where each
    is one point. D_within is the mean distance of two representations of one class,
    D_total that of two representations whatever their classes, every class counting
    alike and every representation also beside itself, as in [1]_. Exact, in time
    proportional to the number of samples.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units)
        Representations, in activation units.
    y : array-like of shape (n_samples,)
        Discrete labels.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Squared Euclidean distance, for which the score is the correlation ratio of the
        analysis of variance; or 1 - cosine similarity, as in [1]_, where
        representations that are all zero have similarity 0 to any.

    Returns
    -------
    separation : float
        Between 0 and 1; 0 where all representations are equal.

    See Also
    --------
    sklearn.metrics.silhouette_score : Another, which looks at the nearest class only.

    References
    ----------
    .. [1] Kornblith, S., Chen, T., Lee, H. and Norouzi, M. (2021). Why Do Better Loss
       Functions Lead to Less Transferable Features? NeurIPS. Section 4.1, "class
       separation R^2". https://arxiv.org/abs/2010.16402

    Examples
    --------
    >>> from skib.metrics import class_separation
    >>> round(class_separation([[0.0], [1.0], [5.0], [6.0]], [0, 0, 1, 1]), 3)
    0.962
    """
    check_option("metric", metric, METRICS)
    activations = check_array(
        as_numpy(activations), dtype=np.float64, input_name="activations"
    )
    classes, codes = check_discrete(y, activations)
    if metric == "cosine":
        activations = normalize(activations)
    else:
        activations = activations - activations.mean(axis=0)
    members = codes == np.arange(len(classes))[:, None]
    means = np.stack([activations[of_class].mean(axis=0) for of_class in members])
    squares = (activations**2).sum(axis=1)
    # Both distances are those of squares, up to a factor: half of |a - b|^2 on average
    # is the mean square less that of the mean.
    square = np.mean([squares[of_class].mean() for of_class in members])
    if metric == "cosine":
        square = 1.0
    within = square - (means**2).sum(axis=1).mean()
    total = square - (means.mean(axis=0) ** 2).sum()
    # Equal representations differ by rounding.
    if total <= 1e-14 * max(1.0, square):
        return 0.0
    return float(np.clip(1 - within / total, 0.0, 1.0))
