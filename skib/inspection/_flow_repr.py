"""An information flow in a few lines of text, or of HTML."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from skib.inspection._drawing import spread_epochs

__all__ = ["flow_html", "flow_text"]

MOST_EPOCHS = 5
MOST_LAYERS = 6


def flow_text(flow: Any) -> str:
    """Return one line that says what the table is, and a small part of it."""
    head, rows = _excerpt(flow)
    lines = [_title(flow)]
    if rows:
        cells = [head, *rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += [
            "  ".join(
                cell.rjust(width) for cell, width in zip(row, widths, strict=True)
            )
            for row in cells
        ]
    return "\n".join(lines)


def flow_html(flow: Any) -> str:
    """Return the same as an HTML table, which notebooks show."""
    head, rows = _excerpt(flow)
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return (
        f"<div><p>{escape(_title(flow))}</p><table><thead><tr>{header}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _title(flow: Any) -> str:
    known = flow.provenance
    parts = [f"{len(flow.epochs)} epochs"]
    if len(flow.epochs):
        parts[0] += f" from {flow.epochs[0]} to {flow.epochs[-1]}"
    parts.append(f"layers={flow.layers.tolist()}")
    if known.get("layer_sizes"):
        parts.append(f"layer_sizes={known['layer_sizes']}")
    if known.get("n_inputs"):
        parts.append(f"{known['n_inputs']} inputs")
    if "estimator" in known:
        # Parameters of many lines are in the provenance.
        parts.append(" ".join(str(known["estimator"]).split()))
    return f"{type(flow).__name__}({', '.join(parts)})"


def _excerpt(flow: Any) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the information, at some epochs and layers."""
    values = flow.columns.get("mutual_info")
    if values is None or not values.size:
        return [], []
    errors = flow.mutual_info_std_error
    errors = np.zeros_like(values) if errors is None else errors
    epochs = spread_epochs(flow.epochs, MOST_EPOCHS)
    n_layers = len(flow.layers)
    layers = list(range(n_layers))
    if n_layers > MOST_LAYERS:
        layers = [*layers[: MOST_LAYERS - 1], n_layers - 1]
    name = flow.provenance.get("quantities", {}).get("input", "I(X;T)")
    head = [f"{name}, nats: epoch", *(f"layer {flow.layers[at]}" for at in layers)]
    rows = [
        [
            str(flow.epochs[e]),
            *(f"{values[e, at]:.3f} ± {errors[e, at]:.3f}" for at in layers),
        ]
        for e in epochs
    ]
    return head, rows
