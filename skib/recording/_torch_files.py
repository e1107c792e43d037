"""Recorded states of torch modules on disk: arrays and JSON, without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skib._validation import as_numpy

__all__ = ["read_states", "write_states"]

KIND = "TorchRecorder"


def write_states(
    path: Any, states: dict[int, dict[str, Tensor]], header: dict, reference: Any
) -> None:
    """Write the states by epoch, and what else there is to know."""
    names = list(next(iter(states.values()), {}))
    epochs = sorted(states)
    types = {name: str(states[epochs[0]][name].dtype) for name in names}
    header = {"type": KIND, "names": names, "types": types, **header}
    arrays: dict[str, Any] = {
        "header": np.array(json.dumps(header, default=int)),
        "epochs": np.array(epochs, dtype=np.int64),
    }
    for place, name in enumerate(names):
        arrays[f"state_{place}"] = np.stack([_bits(states[e][name]) for e in epochs])
    if reference is not None:
        arrays["reference"] = as_numpy(reference)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_states(path: Any) -> tuple[dict[int, dict[str, Tensor]], dict, Any]:
    """Return states by epoch, header and reference as they were written."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays.get("header", "{}")))
    if header.pop("type", None) != KIND:
        raise ValueError(
            f"The file must be one that TorchRecorder.save wrote. Got {path}, which "
            f"holds {sorted(arrays)}."
        )
    names, types = header.pop("names"), header.pop("types")
    states = {
        int(epoch): {
            name: _tensor(arrays[f"state_{place}"][at], types[name])
            for place, name in enumerate(names)
        }
        for at, epoch in enumerate(arrays["epochs"])
    }
    return states, header, arrays.get("reference")


def _bits(tensor: Tensor) -> np.ndarray:
    """Return an array; numpy has no bfloat16, so its bits stand for it."""
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy()
    return tensor.resolve_neg().resolve_conj().numpy()


def _tensor(values: np.ndarray, type_: str) -> Tensor:
    # A copy with its own memory: one epoch must not keep all others.
    tensor = torch.from_numpy(np.array(values))
    dtype = getattr(torch, type_.removeprefix("torch."))
    return tensor.view(dtype) if dtype == torch.bfloat16 else tensor
