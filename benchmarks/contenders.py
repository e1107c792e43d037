"""Ways to sum Gaussian kernels, each a function from a case to what it runs."""

from dataclasses import dataclass
from importlib.util import find_spec

import torch
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

from benchmarks.timing import MatrixProduct, interleaved
from skib._numerics.kernel_sums import kernel_sums, mixture_log_density
from skib._numerics.threads import torch_threads

ALL_DRAWS = torch.ones(1, 1, 1)

# An exponential costs about five multiply-adds, its polynomial.
EXPONENTIAL = 5

# Points evaluated by those that need seconds for more.
FEW_POINTS = 128


@dataclass
class Case:
    """Clouds of centres and one query per input, drawn from the mixture."""

    centers: torch.Tensor
    noise_std: float
    n_queries: int

    def __post_init__(self):
        generator = torch.Generator().manual_seed(1)
        n_groups, n_draws, n_features = self.centers.shape
        self.groups = torch.randint(n_groups, (self.n_queries,), generator=generator)
        self.draws = torch.randint(n_draws, (self.n_queries,), generator=generator)
        self.noise = self.noise_std * torch.randn(
            self.n_queries, n_features, generator=generator
        )
        self.weights = torch.full((n_groups, 1), 1 / n_groups)
        self.flat = self.centers.reshape(-1, n_features)
        self.points = self.centers[self.groups, self.draws] + self.noise
        self.few = self.points[:FEW_POINTS]

    def sums(self, *, levels=ALL_DRAWS, n_threads=1, **options):
        with torch_threads(n_threads):
            return kernel_sums(
                self.centers,
                self.weights,
                self.groups,
                self.draws,
                self.noise,
                self.noise_std,
                levels=levels,
                **options,
            )

    def fewer(self):
        """Return the same mixture with few queries, for those that need seconds."""
        return Case(self.centers, self.noise_std, min(self.n_queries, FEW_POINTS))


def _skib(**options):
    def prepare(case):
        return lambda: case.sums(**options)

    return prepare


def _log_density(case):
    weights = case.weights[:, 0]
    return lambda: mixture_log_density(
        case.points, case.centers, weights, case.noise_std
    )


def _cdist_logsumexp(case):
    def run():
        squared = torch.cdist(case.points, case.flat) ** 2
        return torch.logsumexp(squared / (-2 * case.noise_std**2), dim=1)

    return run


def _kernel_density(case):
    density = KernelDensity(bandwidth=case.noise_std, rtol=1e-3)
    density.fit(case.flat.numpy())
    return lambda: density.score_samples(case.points.numpy())


def _kernel_density_and_its_tree(case):
    centers, points = case.flat.numpy(), case.points.numpy()
    density = KernelDensity(bandwidth=case.noise_std, rtol=1e-3)
    return lambda: density.fit(centers).score_samples(points)


def _gaussian_kde(case):
    # Whitened data would get an elongated kernel; scipy offers no other.
    density = gaussian_kde(case.flat.numpy().T, bw_method=case.noise_std)
    return lambda: density.logpdf(case.points.numpy().T)


def _keops(case):
    from pykeops.torch import LazyTensor

    rows = LazyTensor(case.points[:, None] / case.noise_std)
    columns = LazyTensor(case.flat[None] / case.noise_std)
    return lambda: (-((rows - columns) ** 2).sum(-1) / 2).logsumexp(1)


FAST = {
    "skib numba": _skib(engine="numba", tolerance=0),
    "skib numba, truncated": _skib(engine="numba"),
    "skib torch": _skib(engine="torch", tolerance=0),
    "skib torch, truncated": _skib(engine="torch"),
}
SLOW = {
    "torch cdist + logsumexp": _cdist_logsumexp,
    "sklearn KernelDensity, rtol=1e-3": _kernel_density,
    "scipy gaussian_kde": _gaussian_kde,
}
if find_spec("pykeops"):
    SLOW["KeOps logsumexp"] = _keops


def density_pairs_per_second(case):
    """Pairs per CPU second of log-densities: sorting for skib, a ready tree for KDE."""
    # So many that a tree's own ways to save work with many queries count.
    few = Case(case.centers, case.noise_std, min(case.n_queries, 1024))
    tasks = {
        "skib mixture_log_density": _log_density(case),
        "sklearn KernelDensity, rtol=1e-3": _kernel_density(few),
    }
    seconds = interleaved(tasks)
    n_queries = dict(zip(tasks, (case.n_queries, few.n_queries), strict=True))
    return {name: n_queries[name] * len(case.flat) / seconds[name] for name in tasks}


def layer_pairs_per_second(case):
    """Pairs per CPU second from raw activations to densities, sorting included.

    All queries for all contenders but the slowest.
    """
    few = case.fewer()
    tasks = {
        "skib numba": _skib(engine="numba")(case),
        "skib torch": _skib(engine="torch")(case),
        "sklearn KernelDensity, rtol=1e-3": _kernel_density_and_its_tree(case),
        "torch cdist + logsumexp": _cdist_logsumexp(few),
    }
    seconds = interleaved(tasks, repeats=2)
    n_queries = dict.fromkeys(tasks, case.n_queries)
    n_queries["torch cdist + logsumexp"] = few.n_queries
    return {name: n_queries[name] * len(case.flat) / seconds[name] for name in tasks}


def pairs_per_second(case):
    """Pairs of query and centre per CPU second: the roofline, and every contender."""
    few = case.fewer()
    cases = dict.fromkeys(FAST, case) | dict.fromkeys(SLOW, few)
    prepare = FAST | SLOW
    peak = MatrixProduct()
    tasks = {"roofline": peak}
    tasks |= {name: prepare[name](cases[name]) for name in cases}
    seconds = interleaved(tasks, repeats=2)
    multiply_adds_per_pair = case.flat.shape[1] + EXPONENTIAL
    roofline = peak.multiply_adds / seconds["roofline"] / multiply_adds_per_pair
    return {"roofline": roofline} | {
        name: cases[name].n_queries * len(case.flat) / seconds[name] for name in cases
    }
