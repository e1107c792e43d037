"""What was found, and what can be said of it."""

import csv
from dataclasses import dataclass

import numpy as np

# Nats that nobody is held to, ten times what the truths are known to.
NEAR = 0.01
# Nearer by no more than this is not nearer: truths are not known better.
TRUTH_KNOWN_TO = 1e-3


@dataclass(frozen=True)
class Result:
    """One estimate of one problem by one contender."""

    problem: object
    contender: str
    value: float
    std_error: float | None
    seconds: float

    @property
    def error(self):
        return self.value - self.problem.truth

    @property
    def off(self):
        return abs(self.error)

    @property
    def states_error(self):
        return self.std_error is not None

    @property
    def slack(self):
        """Nats that it may be off by its own account."""
        return max(NEAR, 2 * (self.std_error or 0))

    def is_covered(self, n_errors=2):
        """Whether standard errors reach the truth, which has an error as well."""
        reach = n_errors * np.hypot(self.std_error, self.problem.truth_error)
        return bool(self.off <= reach + 1e-9)


class Results:
    """All results, by contender and by problem."""

    def __init__(self, results):
        self.all = list(results)
        self.contenders = list(dict.fromkeys(r.contender for r in self.all))
        self.problems = list(dict.fromkeys(r.problem for r in self.all))
        self._at = {(r.problem, r.contender): r for r in self.all}

    def at(self, problem, contender):
        return self._at.get((problem, contender))

    def of(self, contender):
        return [r for r in self.all if r.contender == contender]

    def best(self, problem, among=None):
        """Return the result nearest to the truth."""
        return min(
            (r for r in self.all if r.problem is problem and (not among or among(r))),
            key=lambda r: r.off,
        )

    def share_near_best(self, contender, *, own_error=True, among=None):
        """Share of its problems where it is the best, up to its error or `NEAR`."""
        return np.mean(
            [
                r.off - self.best(r.problem, among).off
                <= (r.slack if own_error else NEAR)
                for r in self.of(contender)
            ]
        )

    def coverage(self, contender, n_errors=2):
        """Share within so many standard errors; None for those that state none."""
        found = self.of(contender)
        if not all(r.states_error for r in found):
            return None
        return np.mean([r.is_covered(n_errors) for r in found])

    def losses(self, contender):
        """Pairs of its result and a nearer one, the largest difference first."""
        pairs = [(r, self.best(r.problem)) for r in self.of(contender)]
        nearer = [(r, b) for r, b in pairs if r.off - b.off > TRUTH_KNOWN_TO]
        return sorted(nearer, key=lambda pair: pair[1].off - pair[0].off)


def write_csv(results, path):
    """One line per problem and contender, every figure."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["family", "problem", "units", "inputs", "truth", "truth_error"]
            + ["contender", "value", "std_error", "error", "covered", "cpu_seconds"]
        )
        writer.writerows(_line(r) for r in results.all)


def _line(r):
    p = r.problem
    covered = r.is_covered() if r.states_error else ""
    return [
        *(p.family, p.name, p.n_units, len(p.X), f"{p.truth:.6f}"),
        *(f"{p.truth_error:.1e}", r.contender, f"{r.value:.6f}"),
        "" if r.std_error is None else f"{r.std_error:.6f}",
        *(f"{r.error:.6f}", covered, f"{r.seconds:.4f}"),
    ]
