"""Noisy networks: training, recording, activations."""

from skib.neural_network._mlp import (
    NoisyMLPClassifier,
    NoisyMLPRegressor,
    fit_seeds,
)
from skib.neural_network._recording import Recording

__all__ = ["NoisyMLPClassifier", "NoisyMLPRegressor", "Recording", "fit_seeds"]
