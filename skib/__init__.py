"""skib: information flow in deep neural networks, measured with error bars."""

from skib._version import __version__
from skib.datasets import make_szt
from skib.inspection import InformationFlow, information_flow
from skib.metrics import class_distances
from skib.mutual_info import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    NetworkMIEstimator,
)
from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor
from skib.recording import Recording

__all__ = [
    "BinnedMIEstimator",
    "GaussianMixtureMIEstimator",
    "InformationFlow",
    "NetworkMIEstimator",
    "NoisyMLPClassifier",
    "NoisyMLPRegressor",
    "Recording",
    "__version__",
    "class_distances",
    "information_flow",
    "make_szt",
]
