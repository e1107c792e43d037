"""What displays draw: limits, labels, numbers of artists, nothing on top of another.

At 1, 5 and 12 layers, 1, 30 and 300 epochs, with and without labels, on a figure of the
width of a column and on one of a page.
"""

import itertools

import matplotlib as mpl
import numpy as np
import pytest

from skib.inspection import (
    ActivationHistogramDisplay,
    ClusteringDisplay,
    ClusteringFlow,
    InformationFlow,
    InformationFlowDisplay,
    InformationPlaneDisplay,
    PairwiseDistanceDisplay,
    RepresentationDisplay,
)

CEILING = 8.0
SIZES = pytest.mark.parametrize(
    ("n_layers", "n_epochs"), list(itertools.product([1, 5, 12], [1, 30, 300]))
)
WIDTHS = pytest.mark.parametrize("width", [3.3, 6.4])


@pytest.fixture(autouse=True)
def plt():
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "Agg"}):
        yield plt
    plt.close("all")


def make_flow(n_layers, n_epochs, *, labels=True, first=0, seed=0, bracket=True):
    epochs = np.arange(first, first + n_epochs)
    shape = n_epochs, n_layers
    values = np.random.RandomState(seed).uniform(1, 7, size=shape)
    columns = {"mutual_info": values, "mutual_info_std_error": np.full(shape, 0.1)}
    if bracket:
        columns |= {"mutual_info_low": values - 0.5, "mutual_info_high": values + 0.4}
    if labels:
        columns["label_mutual_info"] = values / 10
        columns["label_mutual_info_std_error"] = np.full(shape, 0.01)
        columns["label_entropy"] = 0.7
    layers = np.arange(1, n_layers + 1)
    return InformationFlow(epochs, layers, input_entropy=CEILING, **columns)


def make_clustering(n_layers, n_epochs, *, labels=True):
    shape = n_epochs, n_layers
    random = np.random.RandomState(0)
    columns = {
        "effective_rank": random.uniform(1, 5, size=shape),
        "binned_entropy": random.uniform(1, 5, size=(*shape, 2)),
    }
    if labels:
        for kind, name in itertools.product(["within", "between"], ["distance"]):
            columns[f"{kind}_{name}"] = random.uniform(0, 2, size=shape)
            histograms = random.dirichlet(np.ones(16), size=shape)
            columns[f"{kind}_{name}_histogram"] = histograms
    facts = {"distance_edges": np.linspace(0, 4, 17), "bin_widths": [0.05, 0.1]}
    epochs, layers = np.arange(n_epochs), np.arange(1, n_layers + 1)
    return ClusteringFlow(epochs, layers, columns, facts=facts)


def axes_of(plt, width, layout="constrained"):
    return plt.subplots(figsize=(width, 0.75 * width), layout=layout)[1]


def boxes(display):
    """Boxes of the axes, the legend and the title, as drawn."""
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    ax = display.ax_
    found = {"axes": ax.get_window_extent(renderer)}
    if ax.get_legend() is not None:
        found["legend"] = ax.get_legend().get_window_extent(renderer)
    if ax.get_title():
        found["title"] = ax.title.get_window_extent(renderer)
    return found


def assert_apart(display, least_share=0.3):
    """Nothing on top of another, all in the figure, and the axes keep their share."""
    found = boxes(display)
    for one, other in itertools.combinations(found.values(), 2):
        assert (
            not one.overlaps(other)
            or min(
                one.x1 - other.x0,
                other.x1 - one.x0,
                one.y1 - other.y0,
                other.y1 - one.y0,
            )
            < 2
        )
    page = display.figure_.bbox
    for box in found.values():
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y1 <= page.y1 + 1
    assert found["axes"].width > least_share * page.width


def texts_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


class TestInformationFlow:
    @SIZES
    @WIDTHS
    @pytest.mark.parametrize("layout", ["constrained", None])
    def test_nothing_on_top_of_another(self, plt, n_layers, n_epochs, width, layout):
        ax = axes_of(plt, width, layout)
        display = make_flow(n_layers, n_epochs).plot(ax)
        ax.set_title("A title")
        assert_apart(display)

    @SIZES
    @pytest.mark.parametrize("target", ["input", "label"])
    def test_what_is_drawn(self, n_layers, n_epochs, target):
        display = make_flow(n_layers, n_epochs).plot(target=target, unit="bits")
        assert len(display.lines_) == n_layers
        assert texts_of(display)[:n_layers] == [str(n + 1) for n in range(n_layers)]
        extra = ["± 2 s.e.", "bracket"] if target == "input" else ["± 2 s.e."]
        assert texts_of(display)[n_layers:] == extra
        assert display.ax_.get_legend().get_title().get_text() == "layer"
        label = "I(X;T) [bits]" if target == "input" else "I(Y;T) [bits]"
        assert display.ax_.get_ylabel() == label
        assert display.ax_.get_xlabel() == "epoch"

    @SIZES
    @pytest.mark.parametrize("first", [0, 1, 20])
    def test_axis_of_epochs_ends_where_they_do(self, n_layers, n_epochs, first):
        """No third of the axis from -100 to 0, and no epoch outside."""
        display = make_flow(n_layers, n_epochs, first=first).plot()
        low, high = display.ax_.get_xlim()
        last = first + n_epochs - 1
        assert low < first
        assert high > last
        to_axes = display.ax_.transData + display.ax_.transAxes.inverted()
        ends = to_axes.transform([(first, 0), (last, 0)])[:, 0]
        if n_epochs > 1:
            np.testing.assert_allclose(ends, [0, 1], atol=0.08)
        else:
            np.testing.assert_allclose(ends, 0.5)

    @SIZES
    def test_values_brackets_and_ceiling_are_inside(self, n_layers, n_epochs):
        flow = make_flow(n_layers, n_epochs)
        low, high = flow.plot().ax_.get_ylim()
        assert low == 0
        assert max(CEILING, flow.mutual_info_high.max()) < high < 1.25 * CEILING

    def test_negative_values_show(self):
        flow = make_flow(2, 3)
        flow.columns["mutual_info"] = flow.mutual_info - 5
        assert flow.plot().ax_.get_ylim()[0] < flow.mutual_info.min()

    @pytest.mark.parametrize("n_layers", [1, 5, 12])
    def test_a_single_epoch_shows_its_errors(self, n_layers):
        display = make_flow(n_layers, 1, first=7).plot()
        # A bar and a bracket for each layer.
        assert len(display.ax_.collections) == 2 * n_layers
        places = [line.get_xdata()[0] for line in display.lines_]
        assert len(set(places)) == n_layers
        assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["7"]

    def test_bracket_is_drawn_beside_the_band(self):
        """They may contradict each other: 7.48 +- .003 beside 1.03 to 7.50."""
        display = InformationFlowDisplay(
            [0, 1],
            [1],
            [[7.0], [7.48]],
            [[0.003]] * 2,
            low=[[1.0], [1.03]],
            high=[[7.2], [7.5]],
        ).plot()
        thin = [each for each in display.ax_.lines if each not in display.lines_]
        edges = [each.get_ydata() for each in thin]
        np.testing.assert_allclose(edges, [[1.0, 1.03], [7.2, 7.5]])
        assert "bracket" in texts_of(display)

    def test_runs_have_styles_of_their_own_and_one_legend(self, plt):
        ax = axes_of(plt, 6.4)
        first = make_flow(3, 30, bracket=False).plot(ax, name="seed 0")
        second = make_flow(3, 30, bracket=False, seed=1).plot(ax, name="seed 1")
        assert texts_of(second) == ["1", "2", "3", "± 2 s.e.", "seed 0", "seed 1"]
        styles = [d.lines_[0].get_linestyle() for d in (first, second)]
        assert styles == ["-", "--"]
        ax.clear()
        assert texts_of(make_flow(1, 30).plot(ax))[0] == "1"

    def test_properties_of_lines_and_colours(self):
        display = make_flow(2, 30).plot(color="k", lw=3)
        assert {line.get_color() for line in display.lines_} == {"k"}
        assert display.lines_[0].get_linewidth() == 3
        display = make_flow(2, 30).plot(cmap="plasma")
        assert display.lines_[0].get_color() == mpl.colormaps["plasma"](0.82)

    @pytest.mark.parametrize("style", ["default", "dark_background"])
    @pytest.mark.parametrize("n_layers", [5, 12])
    def test_layers_read_in_gray_on_any_background(self, plt, style, n_layers):
        with plt.style.context(style):
            display = make_flow(n_layers, 30).plot()
            colors = [mpl.colors.to_rgb(line.get_color()) for line in display.lines_]
            ground = mpl.colors.to_rgb(display.ax_.get_facecolor())
        gray = np.array([0.299, 0.587, 0.114])
        lightness = np.array(colors) @ gray
        steps = np.diff(lightness)
        assert (steps < 0).all() or (steps > 0).all()
        assert np.abs(lightness - np.dot(ground, gray)).min() > 0.2

    def test_names_of_layers(self):
        flow = make_flow(2, 3)
        flow.layers = np.array(["encoder.0", "encoder.1"])
        assert texts_of(flow.plot())[:2] == ["encoder.0", "encoder.1"]

    def test_lists_are_arrays(self):
        display = InformationFlowDisplay([0, 1], [1], [[1.0], [2.0]], [[0.1], [0.1]])
        assert display.plot().lines_[0].get_ydata().tolist() == [1.0, 2.0]
        with pytest.raises(ValueError, match="values must have one row per epoch"):
            InformationFlowDisplay([0, 1], [1], [[1.0, 2.0]], [[0.1]] * 2)


class TestPlane:
    @SIZES
    @WIDTHS
    def test_nothing_on_top_of_another(self, plt, n_layers, n_epochs, width):
        ax = axes_of(plt, width)
        flow = make_flow(n_layers, n_epochs)
        display = InformationPlaneDisplay.from_flow(flow).plot(ax)
        ax.set_title("A title")
        assert_apart(display)
        assert len(display.lines_) == n_layers
        assert texts_of(display) == [str(n + 1) for n in range(n_layers)]

    @pytest.mark.parametrize("n_epochs", [30, 300])
    def test_epochs_have_a_scale(self, n_epochs):
        flow = make_flow(3, n_epochs)
        colorbar = InformationPlaneDisplay.from_flow(flow).plot().colorbar_
        assert colorbar.ax.get_xlabel() == "epoch"
        ticks = colorbar.get_ticks()
        assert ticks[[0, -1]].tolist() == [0, n_epochs - 1]

    def test_single_epoch_has_none(self):
        flow = make_flow(3, 1)
        assert InformationPlaneDisplay.from_flow(flow).plot().colorbar_ is None


class TestClustering:
    @SIZES
    @WIDTHS
    @pytest.mark.parametrize("labels", [True, False])
    def test_nothing_on_top_of_another(self, plt, n_layers, n_epochs, width, labels):
        flow = make_clustering(n_layers, n_epochs, labels=labels)
        metric = "euclidean" if labels else "binned_entropy"
        display = flow.plot(axes_of(plt, width), metric=metric, name="A title")
        assert_apart(display)
        assert len(display.lines_) == 2 * n_layers
        names = ["within", "between"] if labels else ["width 0.05", "width 0.1"]
        numbers = [str(n + 1) for n in range(n_layers)]
        assert texts_of(display) == [*numbers, *names]
        unit = "mean distance of pairs" if labels else "H(Bin(T)) [nats]"
        assert display.ax_.get_ylabel() == unit

    def test_one_line_per_layer(self):
        display = make_clustering(3, 30).plot(metric="effective_rank")
        assert len(display.lines_) == 3
        assert display.ax_.get_ylabel() == "effective rank"

    def test_lists_and_refusals(self):
        display = ClusteringDisplay([0, 1], [1], {"x": [[1.0], [2.0]]}, label="x")
        assert display.plot().lines_[0].get_ydata().tolist() == [1.0, 2.0]
        flow = make_clustering(2, 3, labels=False)
        with pytest.raises(ValueError, match="was not measured"):
            flow.plot(metric="euclidean")
        with pytest.raises(ValueError, match="metric must be one of"):
            flow.plot(metric="l1")


class TestPairs:
    @pytest.mark.parametrize("n_epochs", [1, 30, 300])
    @WIDTHS
    def test_rows_of_histograms(self, plt, n_epochs, width):
        flow = make_clustering(2, n_epochs)
        display = PairwiseDistanceDisplay.from_flow(flow, layer=1)
        display.plot(axes_of(plt, width), name="A title")
        n_rows = min(n_epochs, 8)
        assert len(display.lines_) == 2 * n_rows
        assert_apart(display)
        labels = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert labels[-1] == "0"
        assert labels[0] == str(n_epochs - 1)
        assert display.ax_.get_xlabel() == "distance, layer 1"
        assert display.ax_.get_xlim() == (0, 4)

    def test_chosen_epochs_and_refusals(self):
        flow = make_clustering(2, 30)
        display = PairwiseDistanceDisplay.from_flow(flow, epochs=[3, 9])
        assert display.epochs.tolist() == [3, 9]
        with pytest.raises(ValueError, match="epoch must be one of"):
            PairwiseDistanceDisplay.from_flow(flow, epochs=[99])
        with pytest.raises(ValueError, match="layer must be one of"):
            PairwiseDistanceDisplay.from_flow(flow, layer=3)
        with pytest.raises(ValueError, match="was not measured"):
            PairwiseDistanceDisplay.from_flow(flow, metric="cosine")
        with pytest.raises(ValueError, match="within must have one row"):
            PairwiseDistanceDisplay([0], [0, 1, 2], [[1.0]], [[0.5, 0.5]])


class TestActivations:
    @pytest.mark.parametrize("n_epochs", [1, 30, 300])
    def test_a_column_for_each_epoch(self, n_epochs):
        random = np.random.RandomState(0)
        arrays = [np.tanh(random.randn(20, 3)) for _ in range(n_epochs)]
        display = ActivationHistogramDisplay.from_activations(
            arrays, np.arange(n_epochs)
        ).plot(name="A title")
        assert display.mesh_.get_array().shape == (99, n_epochs)
        np.testing.assert_allclose(display.shares.sum(1), 1)
        assert display.colorbar_.ax.get_ylabel() == "share of activations"
        labels = [text.get_text() for text in display.ax_.get_xticklabels()]
        assert labels[-1] == str(n_epochs - 1)
        assert len(labels) <= 6
        with pytest.raises(ValueError, match="shares must have one row"):
            ActivationHistogramDisplay([0], [0, 1], [[0.5, 0.5]])


class TestRepresentation:
    @pytest.mark.parametrize("n_units", [2, 3])
    @pytest.mark.parametrize("n_classes", [1, 5, 14, 60])
    def test_every_class_looks_different_and_is_named(self, n_units, n_classes):
        points = np.random.RandomState(0).randn(120, n_units)
        labels = np.arange(120) % n_classes
        display = RepresentationDisplay(points.tolist(), labels.tolist()).plot()
        assert texts_of(display) == [str(n) for n in range(n_classes)]
        handles = display.ax_.get_legend().legend_handles
        looks = {(h.get_marker(), mpl.colors.to_hex(h.get_color())) for h in handles}
        assert len(looks) == n_classes
        assert display.ax_.get_xlabel() == "unit 1"
        assert display.ax_.get_ylabel() == "unit 2"
        if n_units == 3:
            assert display.ax_.get_zlabel() == "unit 3"
        else:
            assert_apart(display)

    def test_axes_of_another_dimension(self, plt):
        points, labels = np.zeros((5, 3)), np.zeros(5)
        with pytest.raises(ValueError, match="ax must be 3-D for a layer of 3 units"):
            RepresentationDisplay(points, labels).plot(axes_of(plt, 6.4))
        ax = plt.figure().add_subplot(projection="3d")
        with pytest.raises(ValueError, match="ax must be 2-D for a layer of 2 units"):
            RepresentationDisplay(points[:, :2], labels).plot(ax)

    def test_legend_can_be_left_out(self):
        display = RepresentationDisplay(np.zeros((5, 2)), np.zeros(5))
        assert display.plot(legend=False, name="x").ax_.get_legend() is None
        assert display.ax_.get_title() == "x"
