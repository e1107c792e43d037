"""Activations of a torch module as arrays, for a loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skib._validation import as_numpy
from skib.recording._module_runs import (
    bare_module,
    bare_names,
    check_runs,
    eval_copy,
    find_layers,
    module_inputs,
    run_all,
)
from skib.recording._module_state import check_has_numbers, module_state
from skib.recording._reductions import check_reductions

__all__ = ["collect_activations"]


def collect_activations(
    module: Any,
    layers: Sequence[str],
    loader: Iterable[Any],
    *,
    reduce: Any = None,
    device: Any = None,
) -> dict[str, np.ndarray]:
    """Run a module without noise over a loader, and keep what layers put out.

    The module is copied, and left as it is.

    Parameters
    ----------
    module : Module
        Run in evaluation mode.
    layers : sequence of str
        Names as in ``module.named_modules()``, in forward order.
    loader : iterable
        Batches of inputs, or of tuples that begin with them, such as a DataLoader. Not
        shuffled, if the rows are to be those of something else.
    reduce : {"channels", "mean", "tokens"}, int, dict or None, default=None
        As in `TorchRecorder`; None flattens.
    device : str, torch.device or None, default=None
        Where to run; None is the CPU.

    Returns
    -------
    activations : dict of ndarrays of shape (n_inputs, n_units)
        By layer name.

    See Also
    --------
    TorchRecorder : The same over training, with noise, and an information flow at once.
    skib.InformationFlow.from_estimates : A table of estimators fitted to these.

    Examples
    --------
    >>> import torch
    >>> from skib.recording import collect_activations
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    >>> batches = [torch.zeros(4, 3), torch.ones(4, 3)]
    >>> collect_activations(net, ["1"], batches)["1"].shape
    (8, 2)
    """
    module = bare_module(module)
    check_has_numbers(module)
    copied = eval_copy(module).to(device or "cpu")
    names = bare_names(copied, layers)
    find_layers(copied, names)
    reductions = check_reductions(reduce, None, names)
    parts = [
        [
            reduction.rows(output, name)
            for reduction, output, name in zip(reductions, outputs, names, strict=True)
        ]
        for outputs in _outputs(copied, names, loader)
    ]
    if not parts:
        raise ValueError(
            "loader must yield at least one batch. Got none; a generator that was used "
            "up yields nothing, make it anew."
        )
    by_layer = zip(*parts, strict=True)
    return {n: as_numpy(torch.cat(p)) for n, p in zip(names, by_layer, strict=True)}


def _outputs(
    module: nn.Module, names: Sequence[str], loader: Iterable[Any]
) -> Iterator[list[Tensor]]:
    """Yield what layers put out, batch by batch, on the CPU."""
    layers = find_layers(module, names)
    device = next(iter(module_state(module).values())).device
    is_checked = False
    for batch in loader:
        rows = batch[0] if isinstance(batch, (tuple, list)) else batch
        inputs = module_inputs(rows, module).to(device)
        if not is_checked:
            check_runs(module, inputs, layers, names)
            is_checked = True
        yield [output.cpu() for output in run_all(module, inputs, layers, names)]
