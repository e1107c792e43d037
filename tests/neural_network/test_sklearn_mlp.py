"""scikit-learn's own tests of its MLPs, run on skib's networks without noise.

What fails is listed with its reason; docs/noisy_networks.md says the same in prose.
"""

import importlib.util
from functools import partial
from unittest import mock

import pytest
import sklearn.neural_network

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FLOAT32 = "float32 is the default, whatever the type of X"
# A test, or one of its cases, and why it fails.
DIFFERENCES = {
    "test_fit": "two classes have two softmax outputs; here weights of one are set",
    "test_gradient": "a private method; the gradient is tested in test_truth.py",
    "test_nonfinite_params": f"{FLOAT32}, and so X is refused as too large",
    "test_predict_proba_multilabel": "log-probabilities still differ where the "
    "probabilities round to 1 or underflow to 0",
    "test_warm_start": "other classes are refused in a sentence of skib's own",
    "test_early_stopping_stratified": "the error names the rare class as the user does",
    "test_mlp_param_dtypes[Estimator0-float64]": FLOAT32,
    "test_mlp_param_dtypes[Estimator1-float64]": FLOAT32,
    "test_mlp_warm_start_no_convergence": "n_iter_no_change=np.inf asks for exactly "
    "max_iter epochs, which is no failure to converge",
    "test_mlp_diverging_loss": "a network that diverges is refused, with or without "
    "early_stopping",
    "test_mlp_vs_poisson_glm_equivalent": "there is no Poisson loss",
}


def scikit_learns_tests():
    """Load the test module anew while scikit-learn's names stand for skib's classes."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    swapped = {
        "MLPClassifier": partial(NoisyMLPClassifier, noise_std=0),
        "MLPRegressor": partial(NoisyMLPRegressor, noise_std=0),
    }
    with mock.patch.multiple(sklearn.neural_network, **swapped):
        spec.loader.exec_module(module)
    return {n: test for n, test in vars(module).items() if n.startswith("test_")}


globals().update(scikit_learns_tests())


@pytest.fixture
def global_random_seed():
    """Stand in for the fixture of scikit-learn's own conftest."""
    return 0


@pytest.fixture(autouse=True)
def expected_to_fail(request):
    for name in (request.node.originalname, request.node.name):
        if name in DIFFERENCES:
            reason = DIFFERENCES[name]
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
