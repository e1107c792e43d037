"""From a layer's output of any shape to rows of units."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Reduction", "check_reductions", "check_reference", "principal_axes"]

# What each makes of (n_rows, channels, *places) or (n_rows, tokens, width).
BY_NAME = {
    "channels": "means over places of maps (n, channels, ...)",
    "mean": "means over tokens of sequences (n, tokens, width)",
    "tokens": "all tokens of sequences (n, tokens, width)",
}


@dataclass(frozen=True)
class Reduction:
    """What is measured of a layer's output.

    Attributes
    ----------
    reduce : {"channels", "mean", "tokens"}, int or None
        None flattens; an int is a token.
    n_components : int or None
        Principal components of what is left.
    """

    reduce: str | int | None = None
    n_components: int | None = None

    def rows(self, output: Tensor, name: str) -> Tensor:
        """Return the output as (n_rows, n_units), before any projection."""
        if self.reduce is None:
            return output.flatten(1) if output.ndim > 1 else output[:, None]
        if self.reduce == "channels":
            _check_axes(output, 3, self.reduce, name, at_least=True)
            return output.flatten(2).mean(2)
        _check_axes(output, 3, self.reduce, name)
        if self.reduce == "mean":
            return output.mean(1)
        if self.reduce == "tokens":
            return output.flatten(1)
        n_tokens = output.shape[1]
        token = int(self.reduce)
        if not -n_tokens <= token < n_tokens:
            raise ValueError(
                f"reduce must be one of the {n_tokens} tokens of layer {name!r}, from "
                f"0. Got reduce={token}."
            )
        return output[:, token]


def _check_axes(
    output: Tensor, n_axes: int, reduce: Any, name: str, *, at_least: bool = False
) -> None:
    if output.ndim == n_axes or (at_least and output.ndim > n_axes):
        return
    wanted = BY_NAME.get(reduce, "one token of sequences (n, tokens, width)")
    raise ValueError(
        f"reduce={reduce!r} takes {wanted}. Got the output of layer {name!r}, of shape "
        f"{tuple(output.shape)}; give a dict of reductions by layer name to reduce "
        "some layers only."
    )


def check_reductions(
    reduce: Any, n_components: Any, names: tuple[str, ...]
) -> tuple[Reduction, ...]:
    """Return one reduction for each layer."""
    by_layer = _by_layer("reduce", reduce, names)
    for each in by_layer:
        is_token = isinstance(each, Integral) and not isinstance(each, bool)
        if not (each is None or is_token or each in BY_NAME):
            raise ValueError(
                f"reduce must be None (flatten), {', '.join(map(repr, BY_NAME))}, the "
                f"number of a token, or a dict of these by layer name. Got {each!r}."
            )
    counts = _by_layer("n_components", n_components, names)
    for each in counts:
        is_count = isinstance(each, Integral) and not isinstance(each, bool)
        if each is not None and not (is_count and each >= 1):
            raise ValueError(
                "n_components must be None or a number of components >= 1, or a dict "
                f"of these by layer name. Got {each!r}."
            )
    return tuple(
        Reduction(*each) for each in zip(map(_plain, by_layer), counts, strict=True)
    )


def check_reference(
    reference: Any, reductions: tuple[Reduction, ...], *, is_relative: bool
) -> Any:
    """Return a copy of the inputs that activations are looked at for, where needed."""
    if isinstance(reference, Tensor):
        return reference.detach().clone()
    if reference is not None:
        return np.array(reference)
    has_components = any(each.n_components for each in reductions)
    if is_relative or has_components:
        what = "n_components" if has_components else "noise_scale='relative'"
        raise ValueError(
            f"{what} needs reference, inputs whose activations are looked at. Got "
            "reference=None; give, say, the inputs that you will measure."
        )
    return None


def _by_layer(what: str, value: Any, names: tuple[str, ...]) -> list[Any]:
    if not isinstance(value, dict):
        return [value] * len(names)
    unknown = [name for name in value if name not in names]
    if unknown:
        raise ValueError(
            f"{what} must be by names of layers: {', '.join(names)}. Got "
            f"{unknown[0]!r}."
        )
    return [value.get(name) for name in names]


def _plain(reduce: Any) -> Any:
    return int(reduce) if isinstance(reduce, Integral) else reduce


def principal_axes(rows: Tensor, n_components: int) -> Tensor | None:
    """Return orthonormal directions of the largest variance, one per column.

    None where there are no more units than that: all of them are kept.
    """
    n_units = rows.shape[1]
    if n_components >= n_units:
        return None
    centred = (rows - rows.mean(0)).double()
    # Directions beyond the rank of the rows hold nothing.
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    return axes[:n_components].T.to(rows.dtype)
