"""scikit-learn's own checks, with no failure expected."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    estimator_checks_generator,
    parametrize_with_checks,
)

from skib.mutual_info import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    KernelDensityMIEstimator,
    NearestNeighborMIEstimator,
    PairwiseDistanceMIEstimator,
)
from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.05}
# A fixed number of epochs: no check waits for convergence.
QUICK["n_iter_no_change"] = np.inf

# float64, as the checks compare to 1e-7.
EXACT = [
    NoisyMLPClassifier(noise_std=0, dtype="float64", **QUICK),
    NoisyMLPRegressor(noise_std=0, dtype="float64", **QUICK),
]


@parametrize_with_checks(EXACT)
def test_estimators_without_noise_pass_the_checks(estimator, check):
    check(estimator)


# Repeated rows meet noise of their own, a weighted row does not.
FOR_QUIET_ONES = (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
)


def checks_of_noisy_estimators():
    for estimator in (NoisyMLPClassifier(**QUICK), NoisyMLPRegressor(**QUICK)):
        for each, check in estimator_checks_generator(estimator):
            if check.func not in FOR_QUIET_ONES:
                yield pytest.param(
                    each, check, id=f"{type(each).__name__}-{check.func.__name__}"
                )


@pytest.mark.parametrize(("estimator", "check"), list(checks_of_noisy_estimators()))
def test_noisy_estimators_pass_the_checks(estimator, check):
    check(estimator)


# The checks' data lie outside of (-1, 1), and hold inputs that no noise confuses.
@pytest.mark.filterwarnings("ignore::skib.exceptions.SaturationWarning")
@pytest.mark.filterwarnings("ignore::skib.exceptions.UncoveredBinsWarning")
@pytest.mark.filterwarnings("ignore::skib.exceptions.HighDimensionWarning")
@parametrize_with_checks(
    [
        GaussianMixtureMIEstimator(n_mc=4, random_state=0),
        GaussianMixtureMIEstimator(n_mc=4, target="label", random_state=0),
        BinnedMIEstimator(),
        BinnedMIEstimator(n_offsets=2, correction="miller-madow", target="label"),
        PairwiseDistanceMIEstimator(),
        PairwiseDistanceMIEstimator(bound="upper", target="label"),
        NearestNeighborMIEstimator(n_samples=256, random_state=0),
        NearestNeighborMIEstimator(
            n_neighbors=8, weighted=True, n_samples=256, random_state=0
        ),
        KernelDensityMIEstimator(n_samples=128, random_state=0),
        KernelDensityMIEstimator(
            bandwidth=0.1, n_samples=256, target="label", random_state=0
        ),
    ]
)
def test_information_estimators_pass_the_checks(estimator, check):
    check(estimator)
