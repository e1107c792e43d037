"""Displays draw what they were given, in the unit they say."""

import math

import matplotlib as mpl
import numpy as np
import pytest

from skib import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    Recording,
    information_flow,
)
from skib.inspection import (
    InformationFlow,
    InformationFlowDisplay,
    InformationPlaneDisplay,
    RepresentationDisplay,
)
from skib.mutual_info import PairwiseDistanceMIEstimator

VALUES = np.array([[3.0, 2.0], [3.0, 1.0], [2.5, 0.5]])
ERRORS = np.full((3, 2), 0.1)


@pytest.fixture(autouse=True)
def _no_windows():
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "Agg"}):
        yield
    plt.close("all")


def make_flow(**kwargs):
    names = ("mutual_info", "entropy", "conditional_entropy")
    fields = dict.fromkeys(names, VALUES)
    fields |= {f"{name}_std_error": ERRORS for name in names}
    return InformationFlow(
        epochs=np.array([0, 1, 10]),
        layers=np.array([1, 2]),
        saturated=VALUES > 2.9,
        input_entropy=3.0,
        **fields,
        **kwargs,
    )


def with_labels():
    return make_flow(
        label_mutual_info=VALUES / 5,
        label_mutual_info_std_error=ERRORS / 5,
        label_entropy=0.7,
        mutual_info_low=VALUES - 0.2,
        mutual_info_high=VALUES + 0.3,
    )


@pytest.mark.parametrize(("unit", "scale"), [("nats", 1), ("bits", 1 / math.log(2))])
def test_flow_draws_a_line_for_each_layer(unit, scale):
    display = make_flow().plot(unit=unit)
    assert len(display.lines_) == 2
    for line, values in zip(display.lines_, VALUES.T, strict=True):
        np.testing.assert_allclose(line.get_ydata(), values * scale)
    assert display.ax_.get_ylabel() == f"I(X;T) [{unit}]"
    assert len(display.ax_.collections) == 2


def test_flow_draws_the_bracket_where_there_is_one():
    display = with_labels().plot()
    bands = [c.get_paths()[0].vertices[:, 1] for c in display.ax_.collections]
    assert len(bands) == 4
    assert max(bands[1]) == pytest.approx(3.3)
    assert min(bands[1]) == pytest.approx(2.3)


def test_flow_about_the_label():
    display = with_labels().plot(target="label")
    np.testing.assert_allclose(display.lines_[0].get_ydata(), VALUES[:, 0] / 5)
    assert display.ax_.get_ylabel() == "I(Y;T) [nats]"


def test_plane_has_a_path_for_each_layer():
    display = InformationPlaneDisplay.from_flow(with_labels()).plot(unit="bits")
    line = display.lines_[1]
    np.testing.assert_allclose(line.get_xdata(), VALUES[:, 1] / math.log(2))
    np.testing.assert_allclose(line.get_ydata(), VALUES[:, 1] / 5 / math.log(2))
    assert "[bits]" in display.ax_.get_xlabel()


@pytest.mark.parametrize("n_units", [2, 3])
def test_representation_draws_every_point_in_its_class(n_units):
    points = np.random.RandomState(0).uniform(-1, 1, size=(20, n_units))
    labels = np.array(["a", "b"])[np.arange(20) % 2]
    display = RepresentationDisplay(points, labels, value_range=(-1, 1)).plot()
    assert [c.get_label() for c in display.lines_] == ["a", "b"]
    assert len(display.lines_[0].get_offsets()) == 10
    assert display.ax_.get_xlim() == pytest.approx((-1, 1))


def test_refusals():
    with pytest.raises(ValueError, match="two or three units"):
        RepresentationDisplay(np.zeros((5, 4)), np.zeros(5))
    with pytest.raises(ValueError, match="estimated with labels"):
        InformationPlaneDisplay.from_flow(make_flow())
    with pytest.raises(ValueError, match="estimated with labels"):
        InformationFlowDisplay.from_flow(make_flow(), target="label")
    with pytest.raises(ValueError, match="target must be one of"):
        make_flow().plot(target="output")


@pytest.mark.parametrize(
    ("estimator", "label"),
    [
        (BinnedMIEstimator(), "H(Bin(T)) [nats]"),
        (PairwiseDistanceMIEstimator(bound="upper"), "I(X;T), upper bound [nats]"),
        (GaussianMixtureMIEstimator(n_mc=2, random_state=0), "I(X;T) [nats]"),
    ],
)
def test_axis_says_what_the_estimator_estimates(tmp_path, estimator, label):
    """Also after it was saved; no name is tested."""
    recording = Recording.from_weights(
        [0, 3], [[np.eye(2)]] * 2, None, activation="tanh", noise_std=0.5
    )
    X = np.random.RandomState(0).randn(20, 2)
    flow = information_flow(recording, X, estimator=estimator, random_state=0)
    assert flow.plot().ax_.get_ylabel() == label
    flow.save(tmp_path / "flow.npz")
    loaded = InformationFlow.load(tmp_path / "flow.npz")
    assert loaded.plot().ax_.get_ylabel() == label


def test_plane_of_bins_says_so():
    flow = with_labels()
    flow.provenance["quantities"] = {"input": "H(Bin(T))", "label": "I(Y;Bin(T))"}
    display = InformationPlaneDisplay.from_flow(flow).plot()
    assert display.ax_.get_xlabel() == "H(Bin(T)) [nats]"
    assert display.ax_.get_ylabel() == "I(Y;Bin(T)) [nats]"
