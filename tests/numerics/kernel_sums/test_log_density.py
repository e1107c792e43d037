import math

import numpy as np
import pytest
import torch

from skib._numerics.kernel_sums import log_density, mixture_log_density

ENGINES = ["torch", "numba"]


def require(engine):
    if engine != "torch":
        pytest.importorskip(engine)


def dense_log_density(points, centers, weights, noise_std):
    """By definition, in float64, from differences."""
    n_draws, n_features = centers.shape[1:]
    steps = (points.double()[:, None, None] - centers.double()) / noise_std
    log_terms = (weights.double() / n_draws).log()[:, None] - (steps**2).sum(3) / 2
    log_scale = n_features * math.log(math.sqrt(2 * math.pi) * noise_std)
    return log_terms.flatten(1).logsumexp(1) - log_scale


@pytest.fixture
def by_engine(monkeypatch):
    """Let an engine sum small problems too."""
    monkeypatch.setattr(log_density, "DOUBLE_UP_TO_CENTERS", 0)
    monkeypatch.setattr(log_density, "COMPILED_FROM_PAIRS", 0)


def points_everywhere(rng, centers, noise_std):
    """Draw from the mixture, between its centres, and far from all of them."""
    flat = centers.flatten(0, 1)
    n_features = flat.shape[1]
    chosen = flat[torch.tensor(rng.integers(len(flat), size=150))]
    pairs = flat[torch.tensor(rng.integers(len(flat), size=(40, 2)))]
    away = torch.tensor(rng.normal(size=(60, n_features)))
    away *= torch.tensor([10.0, 30.0, 300.0, 1e5]).repeat(15)[:, None] * noise_std
    return torch.cat(
        [
            chosen + noise_std * torch.tensor(rng.normal(size=chosen.shape)),
            pairs.mean(1),
            chosen[:60] + away,
        ]
    )


def assert_is_right(points, centers, weights, noise_std, engine):
    found = mixture_log_density(points, centers, weights, noise_std, engine=engine)
    expected = dense_log_density(points, centers, weights, noise_std)
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=1e-9)


@pytest.mark.usefixtures("by_engine")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_features", [1, 3, 10, 100])
@pytest.mark.parametrize("noise_std", [1e-6, 0.005, 0.1, 100.0])
def test_engines_agree_with_dense_float64_anywhere(
    rng, draw_case, data, engine, n_features, noise_std
):
    require(engine)
    centers, weights, *_ = draw_case(
        rng, data, n_features=n_features, noise_std=noise_std, n_groups=90, n_draws=7
    )
    points = points_everywhere(rng, centers, noise_std)
    assert_is_right(points, centers, weights[:, 0], noise_std, engine)


@pytest.mark.usefixtures("by_engine")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "weights",
    [
        torch.arange(300) % 3.0,
        torch.logspace(-30, 0, 300),
        torch.logspace(-300, 0, 300, dtype=torch.float64),
        torch.eye(300)[7],
        torch.full((300,), 1e-200, dtype=torch.float64),
    ],
)
def test_weights_may_be_zero_or_differ_by_any_factor(rng, engine, weights):
    """Also where a light centre is the only one near."""
    require(engine)
    centers = torch.tensor(np.tanh(rng.normal(size=(300, 2, 3))))
    for noise_std in (0.01, 0.3):
        points = points_everywhere(rng, centers, noise_std)
        assert_is_right(points, centers, weights, noise_std, engine)


@pytest.mark.usefixtures("by_engine")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_centers", [1, 127, 128, 129])
def test_leaves_need_not_be_full(rng, engine, n_centers):
    require(engine)
    centers = torch.tensor(rng.normal(size=(n_centers, 1, 2)))
    points = points_everywhere(rng, centers, 0.2)
    assert_is_right(points, centers, torch.ones(n_centers), 0.2, engine)


@pytest.mark.usefixtures("by_engine")
@pytest.mark.parametrize("n_features", [3, 10, 30])
@pytest.mark.parametrize("noise_std", [0.005, 0.1])
def test_only_points_far_from_every_centre_take_float64(
    rng, monkeypatch, n_features, noise_std
):
    centers = torch.tensor(np.tanh(rng.normal(size=(3000, 1, n_features))))
    points = points_everywhere(rng, centers, noise_std)
    taken = []

    def in_double(points, leaves, noise_std):
        taken.append(points)
        return points.new_zeros(len(points))

    monkeypatch.setattr(log_density, "_log_sums_in_double", in_double)
    mixture_log_density(points, centers, torch.ones(3000), noise_std, engine="torch")
    distances = torch.cdist(points, centers[:, 0]).amin(1) / noise_std
    far = torch.cat(taken)[:, :n_features]
    assert len(far) == int((distances > log_density.NEAR_UP_TO).sum())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("engine", ["torch", "triton"])
def test_cuda_agrees_with_dense_float64(rng, by_engine, engine):
    require(engine)
    centers = torch.tensor(np.tanh(rng.normal(size=(700, 3, 5))))
    weights = torch.tensor(rng.random(700))
    points = points_everywhere(rng, centers, 0.05)
    on_gpu = [part.cuda() for part in (points, centers, weights)]
    found = mixture_log_density(*on_gpu, 0.05, engine=engine).cpu()
    expected = dense_log_density(points, centers, weights, 0.05)
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=1e-9)


def test_density_of_one_component_is_the_gaussian(rng):
    center = torch.tensor(rng.normal(size=(1, 1, 4)))
    points = torch.tensor(rng.normal(size=(20, 4)))
    gaussian = torch.distributions.Normal(center[0, 0], 0.7)
    found = mixture_log_density(points, center, torch.ones(1), 0.7)
    torch.testing.assert_close(found, gaussian.log_prob(points).sum(1))


def test_density_agrees_with_logsumexp_over_components(rng):
    centers = torch.tensor(rng.normal(size=(40, 5, 3)))
    weights = torch.tensor(rng.dirichlet(np.ones(40)))
    points = torch.tensor(rng.normal(size=(300, 3)))
    squared = ((points[:, None, None] - centers) ** 2).sum(3) / 0.2**2
    log_terms = (weights / 5).log()[None, :, None] - squared / 2
    expected = log_terms.flatten(1).logsumexp(1) - 3 * math.log(
        math.sqrt(2 * math.pi) * 0.2
    )
    found = mixture_log_density(points, centers, weights, 0.2)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_density_far_away_is_finite_and_right():
    """A thousand noise widths out, exp() is zero but its logarithm is not."""
    far = torch.tensor([[1e4]])
    found = mixture_log_density(
        far, torch.zeros(2, 1, 1), torch.tensor([0.5, 0.5]), 1.0
    )
    assert float(found) == pytest.approx(
        -0.5e8 - 0.5 * math.log(2 * math.pi), rel=1e-12
    )


def test_density_ignores_groups_without_weight():
    centers = torch.tensor([[[0.0]], [[5.0]]])
    at_empty = torch.tensor([[5.0]])
    found = mixture_log_density(at_empty, centers, torch.tensor([1.0, 0.0]), 1.0)
    assert float(found) == pytest.approx(-12.5 - 0.5 * math.log(2 * math.pi))
