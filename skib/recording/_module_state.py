"""The state of a torch module: its parameters and buffers, by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = [
    "State",
    "check_has_numbers",
    "check_kept_type",
    "check_same_build",
    "copied_state",
    "module_state",
    "put_state",
    "settle_parametrizations",
    "state_nbytes",
]

State = dict[str, Tensor]


def module_state(module: nn.Module) -> State:
    """Return parameters and buffers, shared ones once, unsaved ones too."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def copied_state(state: State, dtype: torch.dtype | None) -> State:
    """Return copies on the CPU, floats in this type unless it is None."""
    return {
        name: tensor.detach().to("cpu", _kept_type(tensor, dtype), copy=True)
        for name, tensor in state.items()
    }


def put_state(module: nn.Module, state: State) -> None:
    """Write a state into a module of the same build, in the types that it has."""
    own = module_state(module)
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)


def settle_parametrizations(module: nn.Module) -> None:
    """Turn parametrised weights into plain ones, which can be sent to workers.

    Not by `remove_parametrizations`: copies share their class with the original, and
    that would take the property off it.
    """
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            names = list(part.parametrizations)  # type: ignore[arg-type]
            values = {name: getattr(part, name).detach().clone() for name in names}
            # Only while it has them does it tell what it was.
            part.__class__ = parametrize.type_before_parametrizations(part)
            del part.parametrizations
            for name, value in values.items():
                part.register_parameter(name, nn.Parameter(value, requires_grad=False))


def state_nbytes(state: State, dtype: torch.dtype | None) -> int:
    """Return the bytes that a copy will take."""
    return sum(t.numel() * _kept_type(t, dtype).itemsize for t in state.values())


def check_has_numbers(module: nn.Module) -> None:
    """Refuse a module whose weights are not there yet, or that has none."""
    state = module_state(module)
    for name, tensor in state.items():
        if nn.parameter.is_lazy(tensor) or tensor.is_meta:
            raise ValueError(
                f"module must hold its weights, but {name!r} has no numbers yet. Run "
                "it once on a batch, then make the recorder."
            )
    if not state:
        raise ValueError(
            f"module must hold weights or buffers. Got a {type(module).__name__} "
            "without any; give the network that it belongs to."
        )


def check_kept_type(dtype: Any) -> None:
    """Refuse what is no type that weights can be kept in."""
    if dtype is not None and not getattr(dtype, "is_floating_point", False):
        raise TypeError(
            "dtype must be None or a torch type of floats, such as torch.float16. Got "
            f"dtype={dtype!r}."
        )


def check_same_build(state: State, expected: State) -> None:
    """Refuse a module whose state has other names or shapes than what was recorded."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    differing = sorted(set(shapes.items()) ^ set(wanted.items()))
    if differing:
        name = differing[0][0]
        raise ValueError(
            "module must be built like the one that was recorded: layers, names, "
            f"shapes. Got {shapes.get(name)} for {name!r}, where {wanted.get(name)} "
            "was recorded (None: it is not there)."
        )


def _kept_type(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype and tensor.is_floating_point() else tensor.dtype
