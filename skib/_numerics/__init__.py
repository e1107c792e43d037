"""Tensors in, tensors out: the mathematics under the estimators."""
