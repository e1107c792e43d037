"""A table with axes epoch and layer: what every study over training results in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from skib.inspection._drawing import nats_per

__all__ = ["FlowTable", "plain"]


class FlowTable:
    """Arrays of shape (n_epochs, n_layers), each under its name.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
    columns : dict of arrays of shape (n_epochs, n_layers)
    facts : dict
        Numbers that hold for all of the table, or None, by name.
    provenance : dict
        How the numbers were made.
    """

    #: Columns in nats, which another unit scales.
    in_nats: ClassVar[frozenset[str]] = frozenset()
    #: Columns that may be missing, and are None then.
    optional: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        epochs: Any,
        layers: Any,
        columns: dict[str, Any],
        *,
        facts: dict[str, Any] | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.layers = np.asarray(layers)
        self.columns = {name: np.asarray(values) for name, values in columns.items()}
        self.facts = plain(facts or {})
        self.provenance = plain(provenance or {})

    def __getattr__(self, name: str) -> Any:
        # Called for what is not an attribute yet; not before there are columns.
        state = vars(self)
        for part in ("columns", "facts"):
            if name in state.get(part, ()):
                return state[part][name]
        if name in self.optional:
            return None
        known = ", ".join(state.get("columns", ()))
        raise AttributeError(
            f"{type(self).__name__} has no column {name!r}. It has {known}."
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns, *self.facts]

    def __eq__(self, other: Any) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        own, others = self.arrays(), other.arrays()
        return own.keys() == others.keys() and all(
            np.array_equal(values, others[name], equal_nan=values.dtype.kind == "f")
            for name, values in own.items()
        )

    __hash__ = None  # type: ignore[assignment]  # equal when the content is

    def __repr__(self) -> str:
        epochs = f"{len(self.epochs)} epochs"
        if len(self.epochs):
            epochs += f" from {self.epochs[0]} to {self.epochs[-1]}"
        return f"{type(self).__name__}({epochs}, layers={self.layers.tolist()})"

    def to_dict(self, unit: str = "nats") -> dict[str, np.ndarray]:
        """Return the table as columns by name, one entry per (epoch, layer).

        What any library of data frames takes: ``polars.DataFrame(flow.to_dict())``.

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"

        Returns
        -------
        columns : dict of ndarray of shape (n_epochs * n_layers,)
        """
        scale = 1 / nats_per(unit)
        epochs, layers = np.meshgrid(self.epochs, self.layers, indexing="ij")
        columns = {"epoch": epochs.ravel(), "layer": layers.ravel()}
        for name, (values, is_in_nats) in self._frame_columns().items():
            columns[name] = (values * scale if is_in_nats else values).ravel()
        return columns

    def to_xarray(self, unit: str = "nats") -> Any:
        """Return the table as a dataset with the dimensions epoch and layer.

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"

        Returns
        -------
        dataset : xarray.Dataset
            Its attributes hold the unit and the facts of the table.
        """
        try:
            import xarray as xr
        except ImportError as error:
            raise ImportError(
                "to_xarray needs xarray. Install it with `pip install xarray`."
            ) from error
        shape = len(self.epochs), len(self.layers)
        columns = self.to_dict(unit)
        axes = ("epoch", "layer")
        return xr.Dataset(
            {n: (axes, c.reshape(shape)) for n, c in columns.items() if n not in axes},
            coords={"epoch": self.epochs, "layer": self.layers},
            attrs={"unit": unit, **self.facts},
        )

    def to_frame(self, unit: str = "nats") -> Any:
        """Return the table as a data frame, one row per (epoch, layer).

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"

        Returns
        -------
        frame : pandas.DataFrame
            Columns epoch, layer and those of the table; ``frame.attrs`` holds the unit
            and the provenance.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas. Install it with `pip install 'skib[plot]'`."
            ) from error
        frame = pd.DataFrame(self.to_dict(unit))
        frame.attrs = {"unit": unit, **self.provenance}
        return frame

    def save(self, path: Any) -> None:
        """Write the table to a ``.npz`` file, without pickle.

        Parameters
        ----------
        path : str or path-like
        """
        with Path(path).open("wb") as file:
            arrays: dict[str, Any] = self.arrays()
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Any) -> Any:
        """Read a table written by `save`.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        table : same type as this
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls.from_arrays(arrays, path)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], path: Any = None) -> Any:
        """Make the table of what `arrays` returned.

        Parameters
        ----------
        arrays : dict of ndarray
        path : str or path-like, default=None
            Where they come from, for an error.

        Returns
        -------
        table : same type as this
        """
        arrays = dict(arrays)
        header = json.loads(str(arrays.pop("header", "{}")))
        if header.pop("type", None) != cls.__name__:
            raise ValueError(
                f"The file must be one that {cls.__name__}.save wrote. Got {path}, "
                f"which holds {sorted(arrays)}."
            )
        table = cls.__new__(cls)
        epochs, layers = arrays.pop("epochs"), arrays.pop("layers")
        FlowTable.__init__(table, epochs, layers, arrays, **header)
        return table

    def _frame_columns(self) -> dict[str, tuple[np.ndarray, bool]]:
        """Columns of the data frame, and whether they are in nats."""
        return {
            name: (values, name in self.in_nats)
            for name, values in self.columns.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the whole table as arrays, by name, as they are saved.

        Returns
        -------
        arrays : dict of ndarray
        """
        header = {
            "type": type(self).__name__,
            "facts": self.facts,
            "provenance": self.provenance,
        }
        return {
            "header": np.array(json.dumps(header)),
            "epochs": self.epochs,
            "layers": self.layers,
            **self.columns,
        }


def plain(value: Any) -> Any:
    """Return the same without numpy's types, as JSON knows it."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)
