"""The comparison of estimators: its truths hold, and its contenders run."""

import math

import numpy as np
import pytest

from benchmarks.yardstick import contenders as contenders_module
from benchmarks.yardstick import critic, truths
from benchmarks.yardstick.__main__ import measure
from benchmarks.yardstick.contenders import FROM_WEIGHTS, contenders
from benchmarks.yardstick.problems import neuron, quick_problems
from benchmarks.yardstick.report import coverage_table, fill_page, tables
from benchmarks.yardstick.results import Result, Results
from benchmarks.yardstick.truths import block_truth, chain_truth, linear_truth
from skib.mutual_info import awgn_mutual_info


def test_a_chain_of_one_is_a_channel():
    x = np.linspace(-1, 1, 7)
    value, _ = chain_truth(x, [1.5], [0.3], 0.2)
    assert value == pytest.approx(
        awgn_mutual_info(np.tanh(1.5 * x + 0.3)[:, None], 0.2)
    )


def test_a_block_of_one_unit_is_a_chain():
    coefs, biases = [np.array([[1.4]]), np.array([[-0.9]])], [[0.2], [-0.1]]
    value, error = block_truth([-1.0, 1.0], coefs, biases, "tanh", 0.4)
    chain, _ = chain_truth([-1.0, 1.0], [1.4, -0.9], [0.2, -0.1], 0.4)
    assert abs(value - chain) < 4 * error + 1e-5


@pytest.mark.parametrize("n_hidden", [1, 2])
def test_a_linear_block_is_a_linear_network(n_hidden, monkeypatch):
    monkeypatch.setattr(truths, "SOBOL_LOG2", 11)
    rng = np.random.default_rng(0)
    coefs = [rng.normal(size=s) for s in [(1, n_hidden), (n_hidden, 3)]]
    biases = [np.zeros(n_hidden), np.zeros(3)]
    value, error = block_truth([-1.0, 1.0], coefs, biases, "identity", 0.8)
    linear, _ = linear_truth(np.array([[-1.0], [1.0]]), coefs, [0.8, 0.8])
    assert abs(value - linear) < 4 * error + 1e-5


def test_truths_are_possible_and_reproduced_by_the_network():
    every = {FROM_WEIGHTS: contenders()[FROM_WEIGHTS]}
    for result in measure(quick_problems(), every):
        truth = result.problem.truth
        assert 0 < truth <= math.log(len(result.problem.X))
        assert result.off < 0.01 + 3 * result.std_error, result.problem.name


def test_contenders_run(monkeypatch):
    monkeypatch.setattr(critic, "STEPS", 20)
    monkeypatch.setattr(contenders_module, "N_SAMPLES", 512)
    every = contenders()
    results = Results(measure([neuron(16, 2, 0.3)], every))
    assert results.contenders == list(every)
    assert all(np.isfinite(result.value) for result in results.all)
    assert tables(results)["summary"].count("\n") == len(every) + 1


def test_who_is_best():
    problem = neuron(4, 1, 0.5)
    errors = {"near": (0.02, None), "unsure": (-0.2, 0.1), "sure": (0.2, 0.05)}
    results = Results(
        Result(problem, name, problem.truth + error, std_error, 0.1)
        for name, (error, std_error) in errors.items()
    )
    assert [results.share_near_best(name) for name in errors] == [1, 1, 0]
    assert [results.coverage(name) for name in errors] == [None, 1, 0]
    assert results.best(problem).contender == "near"
    assert [best.contender for _, best in results.losses("sure")] == ["near"]


def test_tables_go_between_their_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "by hand\n<!-- coverage -->\nold\n<!-- end of coverage -->\nbelow\n"
    )
    problem = neuron(4, 1, 0.5)
    results = Results([Result(problem, "one", problem.truth + 0.25, 0.1, 0.1)])
    fill_page(page, {"coverage": coverage_table(results)})
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("by hand", "below")
    assert lines[4] == "| one | 1 | 0 | 100 | 0.250 |"
    assert "old" not in lines
