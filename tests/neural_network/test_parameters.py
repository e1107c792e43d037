"""Parameters are refused where scikit-learn's MLPs refuse them."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from skib.neural_network import NoisyMLPClassifier

X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 0, 1, 1, 1]
VALUES = [
    True,
    np.False_,
    "False",
    "auto",
    "adam",
    "adaptive",
    None,
    -1,
    0,
    1,
    2,
    np.int64(3),
    0.5,
    1.0,
    1.5,
    np.float32(0.25),
    np.inf,
    -np.inf,
    np.nan,
    [1],
]
# An activation may be one per layer here, and sizes are checked by their use there.
SHARED = sorted(
    set(MLPClassifier().get_params()) - {"activation", "hidden_layer_sizes"}
)


def is_refused(estimator):
    try:
        estimator.fit(X, y)
    except (ValueError, TypeError):
        return True
    return False


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", SHARED)
def test_the_same_values_are_refused_as_by_mlp_classifier(name, solver):
    """And those that are not can be trained with, if only for an epoch."""
    start = {"hidden_layer_sizes": (2,), "max_iter": 1, "solver": solver}
    for value in VALUES:
        options = {**start, name: value}
        noisy = NoisyMLPClassifier(noise_std=0, **options)
        assert is_refused(noisy) == is_refused(MLPClassifier(**options)), value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": "False"}, "shuffle must be True or False. Got shuffle='False'"),
        ({"early_stopping": 1}, "early_stopping must be True or False"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change must be an instance of int"),
        ({"verbose": "no"}, "verbose must be an instance of int"),
        ({"transform_layer": 9}, "transform_layer must be one of the hidden layers 1 "),
        ({"activation": None}, "activation must be one of .* Got activation=None"),
        ({"activation": ["tanh"] * 2}, "each of the 1 hidden layers. Got 2 names"),
        ({"device": "meta"}, "no such device here that holds numbers"),
    ],
)
def test_a_bad_parameter_is_named_before_training(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NoisyMLPClassifier((2,), **options).fit(X, y)
