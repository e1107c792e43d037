"""Estimators of mutual information on arrays of activations."""
