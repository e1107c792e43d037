"""The result of an information-flow study: a table with axes epoch and layer."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skib.inspection._drawing import nats_per
from skib.inspection._flow_display import InformationFlowDisplay

__all__ = ["InformationFlow"]

FRACTIONS = ("effective_fraction", "unconverged_fraction")


@dataclass(frozen=True, eq=False)
class InformationFlow:
    """Information of layers over training, with standard errors.

    Attributes
    ----------
    epochs : ndarray of shape (n_epochs,)
        Completed passes over the training data; 0 is the initial network.
    layers : ndarray of shape (n_layers,)
        Hidden layers, counted from 1.
    mutual_info, mutual_info_std_error, ... : ndarray of shape (n_epochs, n_layers)
        The estimator's attributes without the underscore, in nats; None where it has
        no such attribute.
    saturated : ndarray of shape (n_epochs, n_layers)
        Whether I(X;T) is within its error of its ceiling, ``input_entropy``.
    from_network : ndarray of bool, of shape (n_epochs, n_layers)
        Whether the weights were used, with log p(t|x) importance sampled through the
        network; else the estimate is from activations alone.
    effective_fraction : ndarray of shape (n_epochs, n_layers)
        Mean share of the importance samples that independent exact ones would need for
        the same error. This and the next two are NaN where importance sampling was not
        tried, and None if it was tried nowhere.
    unconverged_fraction : ndarray of shape (n_epochs, n_layers)
        Share of points whose estimates of log p(t|x) from below and from above are
        more than 1 nat apart.
    density_gap : ndarray of shape (n_epochs, n_layers)
        Mean distance of those two in nats: twice the most bias, in expectation, that
        importance sampling leaves in ``conditional_entropy``.
    input_entropy, label_entropy : float
        H(X), H(Y) in nats (``label_entropy`` is None without labels).
    provenance : dict
        How the numbers were made: estimator, draws, noise, versions.
    """

    epochs: np.ndarray
    layers: np.ndarray
    mutual_info: np.ndarray
    mutual_info_std_error: np.ndarray
    entropy: np.ndarray
    entropy_std_error: np.ndarray
    conditional_entropy: np.ndarray
    conditional_entropy_std_error: np.ndarray
    saturated: np.ndarray
    input_entropy: float
    mutual_info_low: np.ndarray | None = None
    mutual_info_low_std_error: np.ndarray | None = None
    mutual_info_high: np.ndarray | None = None
    mutual_info_high_std_error: np.ndarray | None = None
    label_mutual_info: np.ndarray | None = None
    label_mutual_info_std_error: np.ndarray | None = None
    label_conditional_entropy: np.ndarray | None = None
    label_conditional_entropy_std_error: np.ndarray | None = None
    from_network: np.ndarray | None = None
    effective_fraction: np.ndarray | None = None
    unconverged_fraction: np.ndarray | None = None
    density_gap: np.ndarray | None = None
    label_entropy: float | None = None
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_frame(self, unit: str = "nats") -> Any:
        """Return the table as a data frame, one row per (epoch, layer).

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"

        Returns
        -------
        frame : pandas.DataFrame
            Columns epoch, layer and the fields; ``frame.attrs`` holds the unit and
            the provenance.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas. Install it with `pip install 'skib[plot]'`."
            ) from error
        scale = 1 / nats_per(unit)
        epochs, layers = np.meshgrid(self.epochs, self.layers, indexing="ij")
        columns = {"epoch": epochs.ravel(), "layer": layers.ravel()}
        for name, values in self._tables().items():
            has_unit = values.dtype != bool and name not in FRACTIONS
            columns[name] = (values * scale if has_unit else values).ravel()
        frame = pd.DataFrame(columns)
        frame.attrs = {"unit": unit, **self.provenance}
        return frame

    def plot(self, unit: str = "nats", *, target: str = "input", ax: Any = None) -> Any:
        """Draw the information of each layer against the epoch.

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"
        target : {"input", "label"}, default="input"
            Whether to draw I(X;T) or I(Y;T).
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : InformationFlowDisplay
        """
        return InformationFlowDisplay.from_flow(self, target=target).plot(unit, ax=ax)

    def save(self, path: Any) -> None:
        """Write the result to a ``.npz`` file, without pickle.

        Parameters
        ----------
        path : str or path-like
        """
        header = {
            "input_entropy": self.input_entropy,
            "label_entropy": self.label_entropy,
            "provenance": self.provenance,
        }
        arrays: dict[str, Any] = {
            "header": np.array(json.dumps(header)),
            "epochs": self.epochs,
            "layers": self.layers,
            **self._tables(),
        }
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Any) -> InformationFlow:
        """Read a result written by `save`.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        flow : InformationFlow
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
        return cls(**arrays, **header)

    def _tables(self) -> dict[str, np.ndarray]:
        """Return the fields that have the axes (epoch, layer)."""
        shape = (len(self.epochs), len(self.layers))
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            name: values
            for name, values in fields.items()
            if isinstance(values, np.ndarray) and values.shape == shape
        }
