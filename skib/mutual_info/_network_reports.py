"""What is said of a layer of a known network: estimates, diagnostics, limits."""

from __future__ import annotations

from typing import Any

from skib.exceptions import EstimateNotConvergedWarning, ImportanceSamplingWarning
from skib.mutual_info._choice import within_bracket
from skib.mutual_info._decoded import Work
from skib.mutual_info._decoder_bracket import Found
from skib.mutual_info._information import BRACKET, QUANTITIES, Estimate, Information
from skib.mutual_info._input_law import InputLaw
from skib.mutual_info._network_passes import (
    DIAGNOSTICS,
    NetworkPasses,
    density_diagnostics,
)
from skib.mutual_info._stratified import FreshPasses

__all__ = ["largest_error", "of_decoder", "of_kernels"]

# Nats between the estimates of log p(t | x) from above and from below, a mean over
# points, from which on the result may be off by more than kernel averages over a
# hundred passes are.
LARGEST_MEAN_GAP = 0.2


def of_decoder(
    found: Found, work: Work, law: InputLaw, tol: float | None
) -> Information:
    """Say what decoder and chain found."""
    diagnostics = {
        name: float(values.mean())
        for name, values in density_diagnostics(found.density).items()
    }
    estimates: dict[str, Any] = found.estimates
    information = Information(
        **estimates,
        diagnostics={
            "from_network": True,
            "method": "decoder",
            "n_mc": work.n_mc,
            **diagnostics,
        },
        limits=(
            *_badly_sampled(diagnostics["density_gap"]),
            *_decoder_tol_missed(found, work, tol),
        ),
        advice="Set tol, or look at more noise or at layers with fewer units.",
    )
    return information.of(law)


def _decoder_tol_missed(
    found: Found, work: Work, tol: float | None
) -> tuple[EstimateNotConvergedWarning, ...]:
    if tol is None or found.error <= tol:
        return ()
    which = "Half the bracket" if found.half_width > tol else "The standard error"
    size = work.size
    message = (
        f"{which} of I(X;T) is {found.error:.2g} nats after {work.n_mc} noisy "
        f"passes of each input and {size.n_points} chains of {size.n_steps} steps, "
        f"above tol={tol}. Raise max_samples or tol."
    )
    return (EstimateNotConvergedWarning(message),)


def of_kernels(
    means: FreshPasses, passes: NetworkPasses, layer: int, tol: float | None
) -> Information:
    """Say what kernel averages found."""
    law = passes.law
    n_units = passes.network.layer_sizes[layer - 1] if layer > 1 else 0
    estimates: dict[str, Any] = within_bracket(
        {name: means.estimate(name) for name in QUANTITIES + BRACKET},
        n_units,
        law.input_entropy,
    )
    diagnostics = {name: means.mean(name) for name in DIAGNOSTICS}
    found = Information(
        **estimates,
        diagnostics={
            "from_network": True,
            "method": "kernels",
            "n_mc": means.n_samples,
            **diagnostics,
        },
        limits=(
            *_badly_sampled(diagnostics["density_gap"]),
            *_tol_missed(estimates, means, law, tol),
        ),
        advice="Raise n_draws or the noise, or look at layers with fewer units.",
    )
    return found.of(law)


def _tol_missed(
    estimates: dict[str, Estimate],
    means: FreshPasses,
    law: InputLaw,
    tol: float | None,
) -> tuple[EstimateNotConvergedWarning, ...]:
    if tol is None:
        return ()
    of_passes = largest_error(means, law)
    error = max(estimates[name].std_error for name in _known(law))
    if error <= tol:
        return ()
    what_helps = "Raise max_samples or tol."
    if of_passes <= tol:
        what_helps = (
            "Most of it is what the bracket of I(X;T) leaves open, which more passes "
            "do not lower. Raise n_draws or tol."
        )
    message = (
        f"The standard error is {error:.2g} nats after {means.n_samples} noisy "
        f"passes of each input, above tol={tol}. {what_helps}"
    )
    return (EstimateNotConvergedWarning(message),)


def _badly_sampled(density_gap: float) -> tuple[ImportanceSamplingWarning, ...]:
    if density_gap <= LARGEST_MEAN_GAP:
        return ()
    message = (
        "Importance sampling through the network did not converge: its estimates of "
        f"log p(t|x) from below and above are {density_gap:.2g} nats apart on average, "
        "which the standard errors of h(T|X) and h(T) hold."
    )
    return (ImportanceSamplingWarning(message),)


def largest_error(means: FreshPasses, law: InputLaw) -> float:
    """Return the largest standard error among the quantities that are known."""
    return max(map(means.std_error, _known(law)))


def _known(law: InputLaw) -> list[str]:
    """Return the quantities of the law: without labels, those of the input."""
    return [n for n in QUANTITIES if law.has_labels or not n.startswith("label")]
