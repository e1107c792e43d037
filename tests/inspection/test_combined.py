"""Several runs in one table and one picture."""

import matplotlib as mpl
import numpy as np
import pytest

from skib import Recording
from skib.inspection import (
    CombinedFlow,
    InformationFlow,
    clustering_flow,
    combine_flows,
)

EPOCHS, LAYERS = [0, 1, 10, 100], [1, 2, 3]


@pytest.fixture(autouse=True)
def _no_windows():
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "Agg"}):
        yield
    plt.close("all")


def run(seed, epochs=EPOCHS, **kwargs):
    values = np.random.RandomState(seed).uniform(1, 3, size=(len(epochs), 3))
    facts = {"input_entropy": 4.0, "provenance": {"random_state": seed}, **kwargs}
    return InformationFlow(
        epochs,
        LAYERS,
        mutual_info=values,
        mutual_info_std_error=np.full_like(values, 0.1),
        **facts,
    )


def clustering_of(seed):
    random = np.random.RandomState(seed)
    coefs = [[random.randn(3, 4), random.randn(4, 2)] for _ in EPOCHS]
    recording = Recording.from_weights(
        EPOCHS, coefs, None, activation="tanh", noise_std=0.0
    )
    X = np.random.RandomState(0).randn(20, 3)
    return clustering_flow(recording, X, np.arange(20) % 2, random_state=seed)


RUNS = [run(seed) for seed in range(5)]


def test_table_has_a_row_for_each_run_epoch_and_layer():
    frame = combine_flows(RUNS, list("abcde")).to_frame(unit="bits")
    assert len(frame) == 5 * 4 * 3
    row = frame[(frame.run == "c") & (frame.epoch == 10) & (frame.layer == 2)]
    assert row.mutual_info.item() == RUNS[2].mutual_info[2, 1] / np.log(2)


@pytest.mark.parametrize("band", ["std", "std_error", "range"])
def test_five_seeds_are_one_mean_with_one_legend_entry_per_layer(band):
    display = combine_flows(RUNS).plot(band=band)
    values = np.array([flow.mutual_info for flow in RUNS])
    for line, mean in zip(display.lines_, values.mean(0).T, strict=True):
        np.testing.assert_allclose(line.get_ydata(), mean)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:3] == ["1", "2", "3"]
    assert len(texts) == 4
    assert "5 runs" in texts[3]
    half = {"std": 1.0, "std_error": 2 / 5**0.5}.get(band)
    if half is not None:
        first = display.ax_.collections[0].get_paths()[0].vertices[:, 1]
        top = values.mean(0)[:, 0] + half * values.std(0, ddof=1)[:, 0]
        assert first.max() == pytest.approx(top.max())


def test_names_are_compared_at_equal_epochs():
    runs = [run(0), run(1), run(2, epochs=[0, 10, 20]), run(3, epochs=[0, 10, 20])]
    combined = combine_flows(runs, ["quiet", "quiet", "loud", "loud"])
    assert combined.epochs.tolist() == [0, 10]
    display = combined.plot(by="name")
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:3] == ["1", "2", "3"]
    assert {"quiet", "loud"} <= set(texts)
    styles = {line.get_linestyle() for line in display.ax_.get_lines()}
    assert {"-", "--"} <= styles


def test_other_data_have_no_common_ceiling():
    runs = [run(0), run(1, input_entropy=3.0)]
    ceilings = [flow.input_entropy for flow in runs]
    assert len(set(ceilings)) == 2
    display = combine_flows(runs, ["train", "test"]).plot(by="name")
    assert not any(text.get_text() == "H(X)" for text in display.ax_.texts)


def test_clustering_combines_too():
    runs = [clustering_of(seed) for seed in (0, 1)]
    display = combine_flows(runs).plot(column="separation")
    assert display.ax_.get_ylabel() == "separation"
    mean = (runs[0].separation + runs[1].separation)[:, 1] / 2
    np.testing.assert_allclose(display.lines_[1].get_ydata(), mean)


def test_save_and_load(tmp_path):
    combined = combine_flows(RUNS, [0.1, 0.2, 0.3, 0.4, 0.5])
    combined.save(tmp_path / "runs.npz")
    loaded = CombinedFlow.load(tmp_path / "runs.npz")
    assert loaded == combined
    assert loaded.flows[3].provenance == {"random_state": 3}
    RUNS[0].save(tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"CombinedFlow\.save wrote"):
        CombinedFlow.load(tmp_path / "one.npz")


@pytest.mark.parametrize(
    ("flows", "names", "match"),
    [
        ([], None, "at least one"),
        ([RUNS[0], "no flow"], None, "of one kind"),
        (RUNS, ["one"], "one name for each of the 5"),
        ([run(0), run(1, epochs=[7])], None, "epochs in common"),
    ],
)
def test_refusals(flows, names, match):
    with pytest.raises(ValueError, match=match):
        combine_flows(flows, names)


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="with labels"):
        combine_flows(RUNS).plot(target="label")
    with pytest.raises(ValueError, match="4 line styles"):
        combine_flows(RUNS).plot(by="name")
    with pytest.raises(ValueError, match="band must be one of"):
        combine_flows(RUNS).plot(band="iqr")
