"""Random states become seeds, before any work is handed out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["draw_seed", "draw_seeds", "seed_at"]


def draw_seeds(random_state: Any, n_seeds: int) -> list[int]:
    """Draw one seed per task before the tasks are handed out.

    The seeds, and so the results, do not depend on who works on which task.
    """
    random = check_random_state(random_state)
    return [int(seed) for seed in random.randint(np.iinfo(np.int32).max, size=n_seeds)]


def draw_seed(random_state: Any) -> int:
    """Draw one seed."""
    return draw_seeds(random_state, 1)[0]


def seed_at(seed: int, *place: int) -> int:
    """Return the seed of a place (an epoch, a layer), whatever else is asked for."""
    state = np.random.SeedSequence([seed, *map(int, place)]).generate_state(1)
    return int(state[0] & np.iinfo(np.int32).max)
