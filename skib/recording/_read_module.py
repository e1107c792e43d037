"""Reading a torch module as a noisy network, where it is a chain of known layers.

One pass of random rows through the module tells in which order its parts run and
whether each takes what the one before put out. Between two named layers there may be
linear maps, which are multiplied out, and then one activation. What was read is
compared with the module on other rows before it is believed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skib._numerics.activations import ACTIVATIONS, LEAKY_SLOPE
from skib._numerics.noisy_network import NoisyNetwork
from skib.recording._layer_noise import GaussianNoise
from skib.recording._module_runs import find_layers, float_type, run_to

__all__ = ["NotAChainError", "activation_name", "read_network"]

N_ROWS = 5
# Of values of order 1, in float64.
ROUNDING = 1e-9

# Modules that hand on what they get, in evaluation mode.
THROUGH = (nn.Identity, nn.Flatten, nn.Dropout, nn.AlphaDropout, GaussianNoise)
ACTIVATION_MODULES: dict[type[nn.Module], str] = {
    nn.Tanh: "tanh",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.Sigmoid: "logistic",
    nn.ELU: "elu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Softplus: "softplus",
}
# Settings that they must have to be the functions of these names.
SETTINGS: dict[type[nn.Module], dict[str, Any]] = {
    nn.LeakyReLU: {"negative_slope": LEAKY_SLOPE},
    nn.ELU: {"alpha": 1.0},
    nn.GELU: {"approximate": "none"},
    nn.Softplus: {"beta": 1.0, "threshold": 20.0},
}


class NotAChainError(Exception):
    """Says why a module cannot be read."""


class _Done(BaseException):
    """Ends the pass at the last named layer."""


def read_network(
    module: nn.Module, names: Sequence[str], noise_std: Sequence[float]
) -> NoisyNetwork:
    """Return the module up to the last named layer as a noisy network.

    Parameters
    ----------
    module : Module
        In evaluation mode, on the CPU.
    names : sequence of str
        Layers with noise, in forward order.
    noise_std : sequence of float
        One for each.

    Returns
    -------
    network : NoisyNetwork
        In float64.

    Raises
    ------
    NotAChainError
        If it is none, with the reason.
    """
    first = next((m for m in module.modules() if isinstance(m, nn.Linear)), None)
    if first is None:
        raise NotAChainError("there is no Linear layer")
    generator = torch.Generator().manual_seed(0)
    shape = N_ROWS, first.in_features
    rows, others = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    chain = _Chain()
    try:
        # Most modules are no chains, and that shows before they are copied.
        _follow(module, rows.to(float_type(module)), names, _Chain())
        module = copy.deepcopy(module).double()
        _follow(module, rows, names, chain)
    except NotAChainError:
        raise
    # Whatever a module says of rows that it does not take.
    except Exception as error:
        raise NotAChainError(f"it does not take rows: {error}") from error
    if len(chain.coefs) < len(names):
        raise NotAChainError(f"layer {names[len(chain.coefs)]!r} is not on its way")
    network = NoisyNetwork(
        tuple(chain.coefs),
        tuple(chain.intercepts),
        tuple(chain.activations),
        tuple(noise_std),
    )
    _compare(network, module, names, others)
    return network


class _Chain:
    """Layers read so far, and what has come since the last named one."""

    def __init__(self) -> None:
        self.coefs: list[Tensor] = []
        self.intercepts: list[Tensor | None] = []
        self.activations: list[str] = []
        self.value: Tensor | None = None
        self._restart()

    def _restart(self) -> None:
        self.coef: Tensor | None = None
        self.intercept: Tensor | None = None
        self.activation: str | None = None

    def take(self, part: nn.Module, name: str) -> None:
        """Add a part of the module."""
        if isinstance(part, THROUGH):
            return
        if isinstance(part, nn.Linear):
            self._add_linear(part.weight.T, part.bias, name)
        elif isinstance(part, nn.BatchNorm1d):
            scale, shift = _folded(part)
            self._add_linear(torch.diag(scale), shift, name)
        else:
            self._refuse_second_activation(name)
            self.activation = activation_name(part, name)

    def close(self, width: int) -> None:
        """End a layer: noise comes after it."""
        coef = self.coef
        if coef is None:
            coef = torch.eye(width, dtype=torch.float64)
        self.coefs.append(coef.detach().clone())
        intercept = self.intercept
        self.intercepts.append(None if intercept is None else intercept.detach())
        self.activations.append(self.activation or "identity")
        self._restart()

    def _add_linear(self, coef: Tensor, intercept: Tensor | None, name: str) -> None:
        self._refuse_second_activation(name)
        if self.coef is not None:
            earlier = self.intercept
            self.coef = self.coef @ coef
            moved = None if earlier is None else earlier @ coef
            parts = [part for part in (moved, intercept) if part is not None]
            self.intercept = torch.stack(parts).sum(0) if parts else None
        else:
            self.coef, self.intercept = coef, intercept

    def _refuse_second_activation(self, name: str) -> None:
        if self.activation is not None:
            raise NotAChainError(
                f"between two named layers an activation comes before {name!r}: name "
                "the layer of that activation too"
            )


def activation_name(part: nn.Module, name: str) -> str:
    """Return the activation function that a module applies, or say that it is none."""
    kind = type(part)
    known = ACTIVATION_MODULES.get(kind)
    fits = all(getattr(part, k) == v for k, v in SETTINGS.get(kind, {}).items())
    if known not in ACTIVATIONS or not fits:
        raise NotAChainError(f"{name!r} is a {part}")
    return known


def _folded(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return scale and shift of batch normalisation by running statistics."""
    if norm.running_mean is None or norm.running_var is None:
        raise NotAChainError("batch normalisation has no running statistics")
    scale = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return scale, shift


def _follow(
    module: nn.Module, rows: Tensor, names: Sequence[str], chain: _Chain
) -> None:
    """Run the module, handing its parts to the chain as they are called."""
    parts = _parts(module)
    handles = []
    for name, part in parts.items():
        enter, leave = _part_hooks(chain, name)
        handles.append(part.register_forward_pre_hook(enter))
        handles.append(part.register_forward_hook(leave))
    for layer in find_layers(module, names):
        hook = _layer_hook(chain, is_last=layer is find_layers(module, names[-1:])[0])
        handles.append(layer.register_forward_hook(hook))
    chain.value = rows.clone()
    try:
        with torch.no_grad():
            module(rows.clone())
    except _Done:
        pass
    finally:
        for handle in handles:
            handle.remove()


def _parts(module: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that compute something, without those inside of them."""
    found: dict[str, nn.Module] = {}
    for name, part in module.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        is_leaf = isinstance(part, nn.Linear) or not list(part.children())
        if is_leaf and not inside:
            found[name] = part
    return found


def _part_hooks(chain: _Chain, name: str) -> tuple[Callable[..., Any], ...]:
    def enter(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        if len(inputs) != 1 or not _same_rows(inputs[0], chain.value):
            raise NotAChainError(
                f"{name!r} does not take what the module before it puts out"
            )
        chain.take(part, name)

    def leave(_part: nn.Module, _inputs: Any, output: Any) -> None:
        chain.value = output.clone() if isinstance(output, Tensor) else None

    return enter, leave


def _layer_hook(chain: _Chain, *, is_last: bool) -> Callable[..., None]:
    def close(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if not _same_rows(output, chain.value):
            raise NotAChainError("a named layer puts out what none of its parts does")
        chain.close(output.flatten(1).shape[1])
        if is_last:
            raise _Done

    return close


def _same_rows(values: Any, expected: Tensor | None) -> bool:
    if not isinstance(values, Tensor) or expected is None or values.ndim < 2:
        return False
    return torch.equal(values.flatten(1), expected.flatten(1))


def _compare(
    network: NoisyNetwork, module: nn.Module, names: Sequence[str], rows: Tensor
) -> None:
    """Refuse what was read where the module computes something else."""
    layers = find_layers(module, names)
    values = rows
    for place in range(network.n_layers):
        values = network.step(values, place)
        truth = run_to(module, rows, layers, names, place).flatten(1)
        scale = max(1.0, float(truth.abs().max()))
        if float((values - truth).abs().max()) > ROUNDING * scale:
            raise NotAChainError(f"layer {names[place]!r} computes something else")
