"""Several runs as one table and one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skib._validation import check_option
from skib.inspection._clustering_table import ClusteringFlow
from skib.inspection._drawing import LINE_STYLES
from skib.inspection._flow import InformationFlow
from skib.inspection._flow_display import InformationFlowDisplay, columns_of
from skib.inspection._flow_table import FlowTable

__all__ = ["CombinedFlow", "combine_flows"]

TABLES = {table.__name__: table for table in (InformationFlow, ClusteringFlow)}
BANDS = ("std", "std_error", "range")


def combine_flows(flows: Sequence[Any], names: Sequence[Any] | None = None) -> Any:
    """Combine the tables of several runs: seeds, noise levels, estimators, data.

    Parameters
    ----------
    flows : sequence of InformationFlow, or of ClusteringFlow
    names : sequence of str, default=None
        One for each; runs of the same name are repetitions of each other. None numbers
        them, from 0.

    Returns
    -------
    combined : CombinedFlow

    Raises
    ------
    ValueError
        If there is no flow, names do not fit, or no epoch or layer is in all flows.

    Examples
    --------
    >>> from skib.inspection import InformationFlow, combine_flows
    >>> runs = [
    ...     InformationFlow([0, 1], [1], mutual_info=[[1.0], [value]],
    ...                     mutual_info_std_error=[[0.1], [0.1]])
    ...     for value in (2.0, 3.0)
    ... ]
    >>> combine_flows(runs).to_frame()[["run", "epoch", "mutual_info"]]
       run  epoch  mutual_info
    0    0      0          1.0
    1    0      1          2.0
    2    1      0          1.0
    3    1      1          3.0
    """
    return CombinedFlow(flows, names)


class CombinedFlow:
    """Tables of several runs.

    Parameters
    ----------
    flows : sequence of InformationFlow, or of ClusteringFlow
    names : sequence of str, default=None
        One for each; None numbers them.

    Attributes
    ----------
    flows : list of tables
    names : list
    epochs : ndarray of shape (n_epochs,)
        Those in all runs, which are compared.
    layers : ndarray of shape (n_layers,)
        Those in all runs.

    See Also
    --------
    combine_flows : The function that makes one.
    """

    def __init__(
        self, flows: Sequence[Any], names: Sequence[Any] | None = None
    ) -> None:
        self.flows = list(flows)
        self.names = list(range(len(self.flows)) if names is None else names)
        kinds = {type(flow) for flow in self.flows}
        if len(kinds) != 1 or not isinstance(self.flows[0], FlowTable):
            raise ValueError(
                "flows must be tables of one kind, InformationFlow or ClusteringFlow, "
                f"at least one. Got {sorted(kind.__name__ for kind in kinds)}."
            )
        if len(self.names) != len(self.flows):
            raise ValueError(
                f"names must hold one name for each of the {len(self.flows)} flows. "
                f"Got {len(self.names)}."
            )
        self.epochs = self._in_all("epochs")
        self.layers = self._in_all("layers")

    def __repr__(self) -> str:
        return (
            f"CombinedFlow({len(self.flows)} runs, names={self.names}, "
            f"{len(self.epochs)} epochs, layers={self.layers.tolist()})"
        )

    def __eq__(self, other: Any) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.names == other.names and self.flows == other.flows

    __hash__ = None  # type: ignore[assignment]  # equal when the content is

    def values(self, column: str = "mutual_info") -> np.ndarray:
        """Return a column of all runs, at the epochs and layers that are in all.

        Parameters
        ----------
        column : str, default="mutual_info"

        Returns
        -------
        values : ndarray of shape (n_runs, n_epochs, n_layers)
        """
        tables = []
        for flow in self.flows:
            table = getattr(flow, column)
            if table is None:
                raise ValueError(
                    f"All flows must have the column {column!r}: one has not. Give y "
                    "to those that are about labels, or choose another."
                )
            rows = [flow.epochs.tolist().index(e) for e in self.epochs.tolist()]
            at = [flow.layers.tolist().index(layer) for layer in self.layers.tolist()]
            tables.append(table[np.ix_(rows, at)])
        return np.array(tables)

    def to_frame(self, unit: str = "nats") -> Any:
        """Return one data frame of all runs, one row per (run, epoch, layer).

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"

        Returns
        -------
        frame : pandas.DataFrame
            With a column ``run``, the names.
        """
        frames = [flow.to_frame(unit) for flow in self.flows]
        import pandas as pd

        for frame, name in zip(frames, self.names, strict=True):
            frame.insert(0, "run", name)
            frame.attrs = {}
        frame = pd.concat(frames, ignore_index=True)
        frame.attrs = {"unit": unit}
        return frame

    def plot(
        self,
        ax: Any = None,
        *,
        unit: str = "nats",
        target: str = "input",
        column: str | None = None,
        by: str | None = None,
        band: str = "std",
        legend: bool = True,
        **kwargs: Any,
    ) -> InformationFlowDisplay:
        """Draw the mean over runs of each layer, with a band.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        unit : {"nats", "bits"}, default="nats"
        target : {"input", "label"}, default="input"
            Whether to draw I(X;T) or I(Y;T).
        column : str, default=None
            Another column of shape (n_epochs, n_layers), drawn as it is.
        by : {None, "name"}, default=None
            None takes the mean of all runs; "name" that of the runs of each name, in
            its own line style.
        band : {"std", "std_error", "range"}, default="std"
            One standard deviation over runs to both sides, two standard errors of the
            mean, or from the smallest to the largest.
        legend : bool, default=True
            Whether to draw the legend, to the right of the axes.
        **kwargs
            As in `InformationFlowDisplay.plot`.

        Returns
        -------
        display : InformationFlowDisplay
            The last that was drawn.
        """
        check_option("by", by, (None, "name"))
        check_option("band", band, BANDS)
        groups = dict.fromkeys(self.names) if by == "name" else {None: None}
        if len(groups) > len(LINE_STYLES):
            raise ValueError(
                f"by='name' has {len(LINE_STYLES)} line styles to tell names apart. "
                f"Got {len(groups)} names; draw some of them, each on its own axes."
            )
        for at, name in enumerate(groups):
            runs = [name is None or name == each for each in self.names]
            display = self._display(np.array(runs), target, column, band)
            display.plot(
                ax,
                unit=unit,
                name=None if name is None else str(name),
                legend=legend and at == len(groups) - 1,
                **kwargs,
            )
            ax = display.ax_
        if column is not None and column not in self.flows[0].in_nats:
            ax.set_ylabel(column)
        return display

    def save(self, path: Any) -> None:
        """Write all tables to one ``.npz`` file, without pickle.

        Parameters
        ----------
        path : str or path-like
        """
        arrays: dict[str, Any] = {
            f"{run}/{name}": array
            for run, flow in enumerate(self.flows)
            for name, array in flow.arrays().items()
        }
        header = json.dumps({"type": "CombinedFlow", "names": self.names})
        with Path(path).open("wb") as file:
            np.savez_compressed(file, header=np.array(header), **arrays)

    @classmethod
    def load(cls, path: Any) -> CombinedFlow:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        combined : CombinedFlow
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header", "{}")))
        if header.get("type") != "CombinedFlow":
            raise ValueError(
                f"The file must be one that CombinedFlow.save wrote. Got {path}, which "
                f"holds {sorted(arrays)}."
            )
        flows = []
        for run in range(len(header["names"])):
            own = {
                name.split("/", 1)[1]: array
                for name, array in arrays.items()
                if name.startswith(f"{run}/")
            }
            kind = TABLES[json.loads(str(own["header"]))["type"]]
            flows.append(kind.from_arrays(own, path))
        return cls(flows, header["names"])

    def _in_all(self, axis: str) -> np.ndarray:
        wanted = [getattr(flow, axis).tolist() for flow in self.flows]
        common = [each for each in wanted[0] if all(each in other for other in wanted)]
        if not common:
            raise ValueError(
                f"flows must have some {axis} in common, to be compared. Got {wanted}."
            )
        return np.array(common)

    def _display(
        self, runs: np.ndarray, target: str, column: str | None, band: str
    ) -> InformationFlowDisplay:
        first = self.flows[int(np.argmax(runs))]
        label, ceilings = column, {None}
        if column is None:
            column, ceiling, label, _ = columns_of(first, target)
            ceilings = {getattr(flow, ceiling) for flow in self.flows}
        values = self.values(column)[runs]
        mean, half = values.mean(axis=0), _half_width(values, band)
        names = {"std": "s.d.", "std_error": "2 s.e.", "range": "range"}
        low, high = (None, None)
        if band == "range":
            low, high = values.min(axis=0), values.max(axis=0)
        is_in_nats = column in first.in_nats
        display = InformationFlowDisplay(
            self.epochs,
            self.layers,
            mean,
            half,
            low=low,
            high=high,
            label=str(label),
            # Of other data there is another ceiling.
            ceiling=ceilings.pop() if len(ceilings) == 1 and is_in_nats else None,
            ceiling_label="H(Y)" if target == "label" else "H(X)",
            band_label=f"± {names[band]} of {len(values)} runs",
            bracket_label=f"range of {len(values)} runs",
        )
        return display


def _half_width(values: np.ndarray, band: str) -> np.ndarray:
    """Half of what the display takes for a standard error: it draws two."""
    n_runs = len(values)
    if band == "range" or n_runs == 1:
        return np.zeros_like(values[0])
    std = values.std(axis=0, ddof=1)
    return std / 2 if band == "std" else std / np.sqrt(n_runs)
