"""The information of layers over training, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skib.inspection._flow_display import InformationFlowDisplay
from skib.inspection._flow_repr import flow_html, flow_text
from skib.inspection._flow_table import FlowTable
from skib.mutual_info import BRACKET, QUANTITIES, Information

__all__ = ["InformationFlow"]

WITH_ERROR = (*QUANTITIES, *BRACKET)
IN_NATS = (*WITH_ERROR, *(f"{name}_std_error" for name in WITH_ERROR), "density_gap")
OF_NETWORK = ("from_network", "method", "effective_fraction", "unconverged_fraction")


class InformationFlow(FlowTable):
    """Information of layers over training, with standard errors.

    `information_flow` returns one; `from_estimates` makes one of estimators that were
    fitted by hand.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
    input_entropy, label_entropy : float or None, default=None
    provenance : dict, default=None
    **columns
        Arrays of shape (n_epochs, n_layers), by name.

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
        Whether I(X;T) is at its ceiling, ``input_entropy``.
    from_network : ndarray of bool, of shape (n_epochs, n_layers)
        Of a `skib.mutual_info.NetworkMIEstimator`, whose other diagnostics
        (``effective_fraction``, ``unconverged_fraction``, ``density_gap``) are here
        too: whether the weights were used; else the estimate is from activations alone.
    method : ndarray of str, of shape (n_epochs, n_layers)
        Of the same estimator: "kernels", "decoder" or "activations".
    input_entropy, label_entropy : float
        H(X), H(Y) in nats (``label_entropy`` is None without labels).
    provenance : dict
        How the numbers were made: estimator and its parameters, what it estimates,
        noise, layer sizes, number of inputs, seed, version.
    """

    in_nats = frozenset(IN_NATS)
    optional = frozenset((*IN_NATS, *OF_NETWORK, "saturated", "label_entropy"))

    def __init__(
        self,
        epochs: Any,
        layers: Any,
        *,
        input_entropy: float | None = None,
        label_entropy: float | None = None,
        provenance: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        facts = {"input_entropy": input_entropy, "label_entropy": label_entropy}
        super().__init__(epochs, layers, columns, facts=facts, provenance=provenance)

    @classmethod
    def from_estimates(
        cls, estimates: Sequence[Sequence[Any]], *, epochs: Any, layers: Any
    ) -> InformationFlow:
        """Make a table of estimators that were fitted one by one.

        Parameters
        ----------
        estimates : sequence of sequences of fitted estimators
            ``estimates[e][l]`` belongs to ``epochs[e]`` and ``layers[l]``.
        epochs : array-like of shape (n_epochs,)
        layers : array-like of shape (n_layers,)
            Numbers or names.

        Returns
        -------
        flow : InformationFlow
        """
        shape = len(epochs), len(layers)
        if any(len(row) != shape[1] for row in estimates) or len(estimates) != shape[0]:
            raise ValueError(
                "estimates must hold one fitted estimator for each of the "
                f"{shape[0]} epochs and {shape[1]} layers. Got rows of lengths "
                f"{[len(row) for row in estimates]}."
            )
        names = (*IN_NATS, *OF_NETWORK, "saturated")
        found = [
            [{n: getattr(each, f"{n}_", None) for n in names} for each in row]
            for row in estimates
        ]
        first = estimates[0][0]
        return cls(
            epochs,
            layers,
            **_columns(found),
            input_entropy=first.input_entropy_,
            provenance={
                "estimator": repr(first),
                "layer_estimators": [repr(each) for each in estimates[0]],
                "layer_sizes": [
                    getattr(each, "n_features_in_", None) for each in estimates[0]
                ],
                "quantities": getattr(first, "quantities", {}),
            },
        )

    @classmethod
    def from_information(
        cls,
        table: Sequence[Sequence[Information]],
        *,
        epochs: Any,
        layers: Any,
        **facts: Any,
    ) -> InformationFlow:
        """Make a table of what estimators said of layers.

        Parameters
        ----------
        table : sequence of sequences of Information
            ``table[e][l]`` belongs to ``epochs[e]`` and ``layers[l]``.
        epochs, layers : array-likes
        **facts
            ``input_entropy``, ``label_entropy`` and ``provenance``.

        Returns
        -------
        flow : InformationFlow
        """
        entries = [[_entry(information) for information in row] for row in table]
        return cls(epochs, layers, **_columns(entries), **facts)

    def plot(
        self,
        ax: Any = None,
        *,
        unit: str = "nats",
        target: str = "input",
        name: str | None = None,
        **kwargs: Any,
    ) -> InformationFlowDisplay:
        """Draw the information of each layer against the epoch.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        unit : {"nats", "bits"}, default="nats"
        target : {"input", "label"}, default="input"
            Whether to draw I(X;T) or I(Y;T).
        name : str, default=None
            What the legend calls this table, where several are on the same axes.
        **kwargs
            As in `InformationFlowDisplay.plot`.

        Returns
        -------
        display : InformationFlowDisplay
        """
        display = InformationFlowDisplay.from_flow(self, target=target)
        return display.plot(ax, unit=unit, name=name, **kwargs)

    def __repr__(self) -> str:
        return flow_text(self)

    def _repr_html_(self) -> str:
        return flow_html(self)


def _entry(information: Information) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for name, estimate in information.estimates().items():
        entry[name], entry[f"{name}_std_error"] = estimate.value, estimate.std_error
    return {**entry, "saturated": information.saturated, **information.diagnostics}


def _columns(entries: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Turn one dict per (epoch, layer) into one array per name, NaN where it lacks."""
    known = {
        name: None
        for row in entries
        for entry in row
        for name, value in entry.items()
        if value is not None
    }
    lacking = dict.fromkeys(known, np.nan)
    return {
        name: np.array(
            [[{**lacking, **entry}[name] for entry in row] for row in entries]
        )
        for name in known
    }
