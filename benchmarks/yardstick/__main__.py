"""How far estimators of I(X;T) are off where the truth is known.

python -m benchmarks.yardstick            # ten minutes on one core, fills the page
python -m benchmarks.yardstick --coverage # ten minutes too, error bars anew
python -m benchmarks.yardstick --quick    # a minute, prints the summary of a few

Every figure goes to results/comparison.csv as well.
"""

import argparse
import time
import warnings
from pathlib import Path

import torch

from benchmarks.yardstick.contenders import (
    FROM_ACTIVATIONS,
    FROM_WEIGHTS,
    contenders,
)
from benchmarks.yardstick.picture import draw
from benchmarks.yardstick.problems import all_problems, quick_problems
from benchmarks.yardstick.report import (
    coverage_table,
    fill_page,
    summary_table,
    tables,
)
from benchmarks.yardstick.results import Result, Results, write_csv
from skib.exceptions import SkibWarning

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "comparison.md"
PICTURE = ROOT / "docs" / "images" / "comparison.png"
CSV = ROOT / "results" / "comparison.csv"


N_MORE_RUNS = 3


def measure(problems, every, *, first_seed=0, verbose=False):
    """Ask every contender about every problem, one after the other."""
    for seed, problem in enumerate(problems, first_seed):
        if verbose:
            print(f"{problem.family}: {problem.name}", flush=True)
        for name, run in every.items():
            start = time.process_time()
            with warnings.catch_warnings():
                # What limits an estimate shows in its error.
                warnings.simplefilter("ignore", SkibWarning)
                found = run(problem, seed)
            seconds = time.process_time() - start
            if found is not None:
                yield Result(problem, name, *found, seconds)


def compare(problems):
    every = contenders()
    # Kernels are compiled on first use, at nobody's cost.
    list(measure(quick_problems(), of_skib_alone(every)))
    return Results(measure(problems, every, verbose=True))


def of_skib_alone(every):
    return {name: every[name] for name in (FROM_WEIGHTS, FROM_ACTIVATIONS)}


def more_runs(problems):
    """Ask skib again with other seeds: one run is too few to judge error bars by."""
    problems, every = list(problems), of_skib_alone(contenders())
    for run in range(1, N_MORE_RUNS + 1):
        yield from measure(problems, every, first_seed=1000 * run, verbose=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few problems, no page")
    parser.add_argument("--coverage", action="store_true", help="skib's error bars")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.coverage:
        fill_page(
            PAGE, {"coverage": coverage_table(Results(more_runs(all_problems())))}
        )
    elif asked.quick:
        print(summary_table(compare(quick_problems())))
    else:
        publish(compare(all_problems()))


def publish(results):
    print(summary_table(results))
    write_csv(results, CSV)
    fill_page(PAGE, tables(results))
    draw(results, PICTURE)


if __name__ == "__main__":
    main()
