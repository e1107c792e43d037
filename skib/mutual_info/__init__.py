"""Estimators of mutual information under one contract, and exact values."""

from skib.mutual_info import bounds
from skib.mutual_info._base import ActivationsMIEstimator, MutualInfoEstimator
from skib.mutual_info._binned import BinnedMIEstimator
from skib.mutual_info._exact import (
    ExactValue,
    awgn_mutual_info,
    gaussian_mixture_entropy,
    linear_network_mutual_info,
    product_mutual_info,
)
from skib.mutual_info._gaussian_mixture import GaussianMixtureMIEstimator
from skib.mutual_info._information import BRACKET, QUANTITIES, Estimate, Information
from skib.mutual_info._input_law import InputLaw, LayerLaw, merge_inputs
from skib.mutual_info._kernel_density import KernelDensityMIEstimator
from skib.mutual_info._log_conditional import (
    LayerLogConditional,
    network_log_conditional,
)
from skib.mutual_info._nearest_neighbor import NearestNeighborMIEstimator
from skib.mutual_info._network import NetworkMIEstimator
from skib.mutual_info._network_mutual_info import network_mutual_info
from skib.mutual_info._pairwise import PairwiseDistanceMIEstimator

__all__ = [
    "BRACKET",
    "QUANTITIES",
    "ActivationsMIEstimator",
    "BinnedMIEstimator",
    "Estimate",
    "ExactValue",
    "GaussianMixtureMIEstimator",
    "Information",
    "InputLaw",
    "KernelDensityMIEstimator",
    "LayerLaw",
    "LayerLogConditional",
    "MutualInfoEstimator",
    "NearestNeighborMIEstimator",
    "NetworkMIEstimator",
    "PairwiseDistanceMIEstimator",
    "awgn_mutual_info",
    "bounds",
    "gaussian_mixture_entropy",
    "linear_network_mutual_info",
    "merge_inputs",
    "network_log_conditional",
    "network_mutual_info",
    "product_mutual_info",
]
