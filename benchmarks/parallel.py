"""What a second core brings: to a call, to a trajectory, and to the machine itself."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.activations import NOISE_STD, random_clouds
from benchmarks.contenders import Case
from benchmarks.tables import markdown_table
from benchmarks.timing import wall_seconds
from skib import GaussianMixtureMIEstimator, NoisyMLPClassifier, make_szt
from skib.inspection import information_flow

N_EPOCHS = 4
N_REPEATS = 3


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
        f"information_flow, {N_EPOCHS} epochs, workers": _workers(),
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
    """The flow from activations alone, which the workers sample themselves."""
    X, y = make_szt()
    network = NoisyMLPClassifier(
        (10, 7, 5, 4, 3),
        "tanh",
        noise_std=NOISE_STD,
        max_iter=200,
        n_iter_no_change=np.inf,
        record_epochs=N_EPOCHS,
        random_state=0,
    ).fit(X, y)
    estimator = GaussianMixtureMIEstimator(NOISE_STD, n_mc=1)
    return [
        lambda n=n: information_flow(
            network, X, y, estimator=estimator, n_draws=128, random_state=0, n_jobs=n
        )
        for n in (1, 2)
    ]
