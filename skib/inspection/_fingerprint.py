"""A name for the content of what a task is given, equal in every process."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import joblib
from sklearn.base import BaseEstimator
from torch import nn

from skib._validation import as_numpy

__all__ = ["fingerprint"]


def fingerprint(value: Any) -> str:
    """Return a hash of the content, of tensors too, whose pickles change by the day."""
    return joblib.hash(_content(value))


def _content(value: Any) -> Any:
    if isinstance(value, BaseEstimator):
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return name, _content(value.get_params(deep=False))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
        return type(value).__qualname__, _content(parts)
    if isinstance(value, nn.Module):
        return _module_content(value)
    if isinstance(value, dict):
        return {key: _content(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(_content, value))
    return as_numpy(value)


def _module_content(module: nn.Module) -> Any:
    """Return what a module computes with: its build, settings, code and numbers."""
    parts = [
        (name, repr(part), _settings(part), _code(type(part).forward))
        for name, part in module.named_modules()
    ]
    numbers = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return tuple(parts), _content(numbers)


def _settings(module: nn.Module) -> dict[str, Any]:
    plain = (bool, int, float, str, tuple, type(None))
    return {k: repr(v) for k, v in vars(module).items() if isinstance(v, plain)}


def _code(function: Any) -> Any:
    code = getattr(function, "__code__", None)
    return code and (code.co_code, code.co_names, repr(function.__defaults__))
