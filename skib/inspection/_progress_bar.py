"""Progress bars for long work."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["progress_bar"]


class _NoBar:
    def update(self, n: int) -> None:
        """Do nothing."""


def progress_bar(
    total: int, label: str, *, verbose: int
) -> AbstractContextManager[Any]:
    """Return a bar with an ``update`` method; one is drawn when ``verbose`` > 0."""
    if not verbose:
        return nullcontext(_NoBar())
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError(
            "A progress bar (verbose > 0) needs tqdm. Install it with "
            "`pip install 'skib[plot]'`, or set verbose=0."
        ) from error
    return tqdm(total=total, desc=label)
