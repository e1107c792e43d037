"""Noisy networks: training, recording, activations."""

from skib.neural_network._classifier import NoisyMLPClassifier
from skib.neural_network._regressor import NoisyMLPRegressor
from skib.neural_network._seeds import fit_seeds

__all__ = ["NoisyMLPClassifier", "NoisyMLPRegressor", "fit_seeds"]
