"""Running a torch module up to a layer, with noise on the layers before it.

Hooks are there while a module runs, and no longer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from skib._validation import check_rows

__all__ = [
    "bare_module",
    "bare_names",
    "check_runs",
    "eval_copy",
    "find_layers",
    "float_type",
    "main_output",
    "module_inputs",
    "run_all",
    "run_from",
    "run_to",
    "with_main_output",
]

# Rows of the test whether a module treats its inputs one by one.
N_TRIED = 3
# Names that wrappers put before those of the module inside.
WRAPPERS = ("_orig_mod.", "module.")

_NOT_ALONE = (
    "The module must treat each input alone, but the output for one changes with the "
    "rest of its batch (batch statistics): the law of T would depend on the batch. Use "
    "running statistics (track_running_stats=True)."
)

Noise = Callable[[int, Tensor], Tensor]


class _Reached(BaseException):
    """Ends a forward pass at the layer wanted; no error, so no `except` sees it."""


def bare_module(module: Any) -> nn.Module:
    """Return the module inside of DataParallel and torch.compile."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a torch.nn.Module. Got {type(module).__name__}; for "
            "weights as arrays there is Recording.from_weights."
        )
    while True:
        inside = getattr(module, "_orig_mod", None)
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inside = module.module
        if inside is None:
            break
        module = inside
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError(
            "module must run as Python code, so that its layers can be watched. Got a "
            f"{type(module).__name__}; give the module that it was compiled from."
        )
    return module


def eval_copy(module: nn.Module) -> nn.Module:
    """Return a copy on the CPU in evaluation mode, which shares nothing with it."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            # What a forward pass left behind cannot be copied with its graph.
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    copied = copy.deepcopy(module, memo).to("cpu").eval()
    for parameter in copied.parameters():
        parameter.grad = None
        parameter.requires_grad_(False)
    return copied


def find_layers(module: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Return the modules of these names, or say which names there are."""
    if isinstance(names, str) or not len(names):
        raise ValueError(
            "layers must be a list of at least one name, as in named_modules(). Got "
            f"layers={names!r}."
        )
    known = dict(module.named_modules(remove_duplicate=False))
    known.pop("")
    found: dict[nn.Module, str] = {}
    for name in names:
        if name not in known:
            raise ValueError(
                f"layers must be names as in named_modules(): {', '.join(known)}. Got "
                f"{name!r}."
            )
        if known[name] in found:
            raise ValueError(
                f"layers must be different modules. Got {found[known[name]]!r} and "
                f"{name!r}, which are the same; leave one out, or give each place a "
                "module of its own."
            )
        found[known[name]] = name
    return list(found)


def bare_names(module: nn.Module, names: Any) -> Any:
    """Return names without what DataParallel and torch.compile put before them."""
    if isinstance(names, str):
        return names
    known = {name for name, _ in module.named_modules(remove_duplicate=False)}
    return tuple(name if name in known else _without_wrapper(name) for name in names)


def _without_wrapper(name: Any) -> Any:
    for wrapper in WRAPPERS:
        name = str(name).removeprefix(wrapper)
    return name


def float_type(module: nn.Module) -> torch.dtype:
    """Return the type of the module's weights."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.get_default_dtype()


def module_inputs(X: Any, module: nn.Module) -> Tensor:
    """Return inputs of any shape as a tensor of the type that the module takes.

    Floats, and whole numbers, become what the weights are; whole numbers stay what
    they are where an embedding waits for them.
    """
    rows = check_rows(X, any_shape=True)
    inputs = rows if isinstance(rows, Tensor) else torch.from_numpy(rows.copy())
    if not inputs.is_floating_point() and any(
        isinstance(part, (nn.Embedding, nn.EmbeddingBag)) for part in module.modules()
    ):
        return inputs.long()
    return inputs.to(float_type(module))


def main_output(output: Any, name: str) -> Tensor:
    """Return what a layer puts out: a tensor, or the first of a tuple."""
    tensor = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(output).__name__
        raise TypeError(
            f"Layer {name!r} must put out a tensor of floats, or a tuple that begins "
            f"with one. Got {kind}; name a module inside of it, or one after it."
        )
    return tensor


def with_main_output(output: Any, tensor: Tensor) -> Any:
    """Return the output with another tensor in its place."""
    if isinstance(output, Tensor):
        return tensor
    if hasattr(output, "_replace"):
        return output._replace(**{output._fields[0]: tensor})
    return type(output)((tensor, *output[1:]))


@contextmanager
def _hooks(pairs: Iterator[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    handles = [layer.register_forward_hook(hook) for layer, hook in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """Compute without a graph, and leave the global random state as it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        yield


def run_to(
    module: nn.Module,
    inputs: Tensor,
    layers: Sequence[nn.Module],
    names: Sequence[str],
    at: int,
    noise: Noise | None = None,
) -> Tensor:
    """Return the output of a layer, as it was before anything changed it in place.

    Parameters
    ----------
    module : Module
        In evaluation mode.
    inputs : Tensor of shape (n_rows, ...)
    layers, names : sequences
        In forward order.
    at : int
        Place of the wanted layer, from 0. The pass ends there.
    noise : callable, default=None
        ``noise(place, output)`` is added to the output of each layer before.

    Returns
    -------
    output : Tensor of shape (n_rows, ...)
    """
    caught: list[Tensor] = []

    def hook_of(place: int) -> Callable[..., Any]:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            clean = main_output(output, names[place])
            if place == at:
                caught.append(clean.detach().clone())
                raise _Reached
            assert noise is not None
            return with_main_output(output, clean + noise(place, clean))

        return hook

    hooked = range(at + 1) if noise is not None else [at]
    with (
        _undisturbed(inputs.device),
        _hooks((layers[place], hook_of(place)) for place in hooked),
        suppress(_Reached),
    ):
        # A module may change its input in place.
        module(inputs.clone())
    return caught[0]


def run_from(
    module: nn.Module,
    inputs: Tensor,
    layers: Sequence[nn.Module],
    names: Sequence[str],
    given: Sequence[Tensor],
    noise_std: Sequence[float],
) -> list[Tensor]:
    """Return the outputs of all layers of a pass; gradients are kept where wanted.

    Parameters
    ----------
    module : Module
    inputs : Tensor of shape (n_rows, ...)
    layers : sequence of Module
    names : sequence of str
    given : sequence of Tensors of shape (n_rows, ...)
        The output that the first layer is to have, and the noise, in standard
        deviations, of it and of the layers after it; none for a plain pass.
    noise_std : sequence of float

    Returns
    -------
    outputs : list of Tensors of shape (n_rows, ...)
        Without the noise of the layer itself.
    """
    caught: list[Tensor] = []

    def hook_of(place: int) -> Callable[..., Any]:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            clean = main_output(output, names[place])
            clean = given[0] if place == 0 and given else clean.clone()
            caught.append(clean)
            if place + 1 == len(layers):
                raise _Reached
            noise = given[place + 1] * noise_std[place] if given else 0.0
            return with_main_output(output, clean + noise)

        return hook

    pairs = zip(layers, map(hook_of, range(len(layers))), strict=True)
    with torch.random.fork_rng([]), _hooks(pairs), suppress(_Reached):
        module(inputs.clone())
    return caught


def run_all(
    module: nn.Module, inputs: Tensor, layers: Sequence[nn.Module], names: Sequence[str]
) -> list[Tensor]:
    """Return the outputs of all layers of one pass, which `check_runs` let pass."""
    with _undisturbed(inputs.device):
        return [output for _, output in _calls(module, inputs, layers, names)]


def check_runs(
    module: nn.Module, inputs: Tensor, layers: Sequence[nn.Module], names: Sequence[str]
) -> None:
    """Refuse a module whose layers have no law of their own given an input.

    Each must be called once in a pass, in the order given, must put out one row per
    input, the same whatever else is in the batch, and not be random.
    """
    batch = inputs[:N_TRIED]
    # One state of the random numbers for all: the second pass must draw others.
    with _undisturbed(batch.device):
        calls = _calls(module, batch, layers, names)
        _check_order([name for name, _ in calls], names)
        again = dict(_calls(module, batch, layers, names))
        try:
            alone = dict(_calls(module, batch[:1], layers, names))
        # Whatever a module says of a batch of one.
        except Exception as error:
            raise ValueError(f"{_NOT_ALONE} Of one input alone: {error}") from error
    for name, output in calls:
        rows = len(output) if output.ndim else 0
        lonely = alone[name]
        if rows != len(batch) or lonely.shape != (1, *output.shape[1:]):
            raise ValueError(
                f"Layer {name!r} must put out one row per input, whatever the batch. "
                f"Got shape {tuple(output.shape)} for {len(batch)} inputs and "
                f"{tuple(lonely.shape)} for one; put the batch first "
                "(batch_first=True), or name another layer."
            )
        if not torch.equal(output, again[name]):
            raise ValueError(
                f"Layer {name!r} must not be random in evaluation mode, but two passes "
                "of the same inputs differ: its noise would be taken for the "
                "network's. Turn it off (dropout with training=self.training)."
            )
        if not _equal_up_to_rounding(output[0], lonely[0]):
            raise ValueError(f"{_NOT_ALONE} Got this at layer {name!r}.")


def _calls(
    module: nn.Module, batch: Tensor, layers: Sequence[nn.Module], names: Sequence[str]
) -> list[tuple[str, Tensor]]:
    """Return names and outputs of the layers in the order in which they are called."""
    calls: list[tuple[str, Tensor]] = []

    def hook_of(name: str) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            calls.append((name, main_output(output, name).detach().clone()))

        return hook

    pairs = zip(layers, map(hook_of, names), strict=True)
    with _hooks(pairs):
        module(batch.clone())
    return calls


def _check_order(order: list[str], names: Sequence[str]) -> None:
    for name in names:
        n_calls = order.count(name)
        if n_calls == 0:
            raise ValueError(
                f"Layer {name!r} must be called in a forward pass, but none calls it. "
                f"Those named that are called: {', '.join(order) or 'none'}."
            )
        if n_calls > 1:
            raise ValueError(
                f"Layer {name!r} must be called once in a forward pass, to have one "
                f"activation. Got {n_calls} calls; give each call a module of its own, "
                "or name the modules before and after it."
            )
    if order != list(names):
        raise ValueError(
            f"layers must be in forward order: {', '.join(order)}. Got "
            f"{', '.join(names)}."
        )


def _equal_up_to_rounding(one: Tensor, other: Tensor) -> bool:
    # Other batch sizes, other orders of summation; half precision is rounded coarsely.
    tolerance = 100 * torch.finfo(one.dtype).eps
    scale = float(one.abs().max()) if one.numel() else 0.0
    gap = (one.double() - other.double()).abs()
    return bool((gap <= tolerance * max(scale, 1e-30)).all())
