"""Estimators of mutual information on arrays of activations."""

from skib.mutual_info._binned import BinnedMIEstimator
from skib.mutual_info._gaussian_mixture import GaussianMixtureMIEstimator

__all__ = ["BinnedMIEstimator", "GaussianMixtureMIEstimator"]
