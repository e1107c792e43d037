"""Estimators of mutual information on arrays of activations, and exact values."""

from skib.mutual_info import bounds
from skib.mutual_info._binned import BinnedMIEstimator
from skib.mutual_info._exact import (
    ExactValue,
    awgn_mutual_info,
    gaussian_mixture_entropy,
    linear_network_mutual_info,
    product_mutual_info,
)
from skib.mutual_info._gaussian_mixture import GaussianMixtureMIEstimator
from skib.mutual_info._network import LayerLogConditional, network_log_conditional
from skib.mutual_info._network_information import (
    LayerInformation,
    network_mutual_info,
)

__all__ = [
    "BinnedMIEstimator",
    "ExactValue",
    "GaussianMixtureMIEstimator",
    "LayerInformation",
    "LayerLogConditional",
    "awgn_mutual_info",
    "bounds",
    "gaussian_mixture_entropy",
    "linear_network_mutual_info",
    "network_log_conditional",
    "network_mutual_info",
    "product_mutual_info",
]
