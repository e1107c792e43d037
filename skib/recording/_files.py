"""Recordings on disk: one ``.npz`` of arrays and a JSON header, without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_weights", "write_weights"]

Weights = dict[str, list[list[Any]]]


def write_weights(
    path: Any, epochs: np.ndarray, weights: Weights, header: dict, classes: Any
) -> None:
    """Write weights by name, epoch and layer; None stands for no bias."""
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), "epochs": epochs}
    if classes is not None:
        arrays["classes"] = classes.astype(str) if classes.dtype == object else classes
    for name, per_epoch in weights.items():
        for layer, values in enumerate(zip(*per_epoch, strict=True)):
            if values[0] is not None:
                arrays[f"{name}_{layer}"] = np.stack(values)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_weights(path: Any) -> tuple[np.ndarray, Weights, dict, np.ndarray | None]:
    """Return epochs, weights, header and classes as they were written."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays["header"]))
    n_layers = sum(name.startswith("coef_") for name in arrays)
    weights = {
        name: [
            [
                arrays[f"{name}_{layer}"][e] if f"{name}_{layer}" in arrays else None
                for layer in range(n_layers)
            ]
            for e in range(len(arrays["epochs"]))
        ]
        for name in ("coef", "intercept")
    }
    return arrays["epochs"], weights, header, arrays.get("classes")
