"""Warnings of skib, so that a script can silence or escalate one kind alone."""

__all__ = [
    "EstimateNotConvergedWarning",
    "HighDimensionWarning",
    "ImportanceSamplingWarning",
    "SaturationWarning",
    "SilentRepresentationsWarning",
    "SkibWarning",
    "SweepInterruptedWarning",
    "UncoveredBinsWarning",
]


class SkibWarning(UserWarning):
    """Base of every warning that skib raises."""


class SaturationWarning(SkibWarning):
    """The estimate sits at its ceiling, the entropy of the inputs given."""


class SilentRepresentationsWarning(SkibWarning):
    """Representations that are all zero were left out: they have no direction."""


class UncoveredBinsWarning(SkibWarning):
    """Activations fall outside the range that the bins cover."""


class HighDimensionWarning(SkibWarning):
    """The layer has so many units that the estimate cannot converge."""


class EstimateNotConvergedWarning(SkibWarning):
    """The wanted error was not reached with the work allowed."""


class ImportanceSamplingWarning(SkibWarning):
    """Importance sampling through a network failed; errors of h(T|X) say how far."""


class SweepInterruptedWarning(SkibWarning):
    """The user interrupted work over epochs; those that are finished are returned."""
