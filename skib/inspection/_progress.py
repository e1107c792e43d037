"""Progress bars for long work."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["progress"]


def progress(items: Iterable, total: int, label: str, *, verbose: int) -> Iterable:
    """Yield the items, with a progress bar when ``verbose`` is above 0."""
    if not verbose:
        return items
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError(
            "A progress bar (verbose > 0) needs tqdm. Install it with "
            "`pip install 'skib[plot]'`, or set verbose=0."
        ) from error
    return tqdm(items, total=total, desc=label)
