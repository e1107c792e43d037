"""Noisy networks: training, recording, activations."""
