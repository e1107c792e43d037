"""What a second core brings: to a call, to a trajectory, and to the machine itself."""

from concurrent.futures import ThreadPoolExecutor

from joblib import Parallel, delayed

from benchmarks.activations import NOISE_STD, random_clouds
from benchmarks.contenders import Case
from benchmarks.epochs import fit_all, layers_by_stage
from benchmarks.tables import markdown_table
from benchmarks.timing import wall_seconds

N_EPOCHS = 24
N_REPEATS = 5


def parallel_table():
    """Wall seconds of the same work on one core and on two, best of a few turns."""
    dense = Case(random_clouds(65536, 5), 0.1, 16384)
    sparse = Case(random_clouds(65536, 5), NOISE_STD, 65536)
    tasks = {
        "two independent dense calls": _side_by_side(
            lambda: dense.sums(engine="numba", tolerance=0)
        ),
        "dense sums, numba, threads": _threads(dense, engine="numba", tolerance=0),
        "dense sums, torch, threads": _threads(dense, engine="torch", tolerance=0),
        "truncated sums, numba, threads": _threads(sparse, engine="numba"),
        "truncated sums, torch, threads": _threads(sparse, engine="torch"),
        f"fits of {N_EPOCHS} epochs, workers": _workers(),
    }
    rows = []
    for name, on_cores in tasks.items():
        seconds = wall_seconds({1: on_cores[0], 2: on_cores[1]}, N_REPEATS)
        cells = [f"{seconds[1]:.2f}", f"{seconds[2]:.2f}"]
        rows.append([name, *cells, f"{seconds[1] / seconds[2]:.2f}x"])
        print(*rows[-1], sep="  ", flush=True)
    return markdown_table(["work", "one core, s", "two, s", "gain"], rows)


def _side_by_side(task):
    """Twice a task in turn, and at once: what the machine gives at most."""

    def at_once():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: task(), range(2)))

    return [lambda: (task(), task()), at_once]


def _threads(case, **options):
    return [lambda n=n: case.sums(n_threads=n, **options) for n in (1, 2)]


def _workers():
    stages = layers_by_stage()
    epochs = [stages[epoch % len(stages)] for epoch in range(N_EPOCHS)]
    return [
        lambda n=n: Parallel(n_jobs=n)(delayed(fit_all)(layers) for layers in epochs)
        for n in (1, 2)
    ]
