"""Recordings on disk: one ``.npz`` of arrays and a JSON header, without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_weights", "write_weights"]

Weights = dict[str, list[list[Any]]]

LABELS = ("classes", "feature_names_in_")


def write_weights(
    path: Any, epochs: np.ndarray, weights: Weights, header: dict, labels: dict
) -> None:
    """Write weights by name, epoch and layer; None stands for no bias, no labels."""
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), "epochs": epochs}
    for name, values in labels.items():
        if values is not None:
            is_object = values.dtype == object
            arrays[name] = values.astype(str) if is_object else values
    for name, per_epoch in weights.items():
        for layer, values in enumerate(zip(*per_epoch, strict=True)):
            if values[0] is not None:
                arrays[f"{name}_{layer}"] = np.stack(values)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_weights(path: Any) -> tuple[np.ndarray, Weights, dict, dict]:
    """Return epochs, weights, header and labels as they were written."""
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
    labels = {name: arrays.get(name) for name in LABELS}
    return arrays["epochs"], weights, header, labels
