"""Many cells at once: updates against solving anew, and the choice between them."""

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensitivity_cases import SIZES, broken, inputs, labels, losses, network

import xbar as xb
from xbar import sensitivity as sens
from xbar.sensitivity import cost

TABLE = Path(__file__).parents[1] / "benchmarks" / "results" / "update_cost.csv"
LAYER, SHAPE = 0, (SIZES[0] + 1, 2 * SIZES[1])
CELLS = SHAPE[0] * SHAPE[1]


@pytest.fixture(scope="module")
def base():
    return sens.baseline(network(), inputs(), labels())


@pytest.fixture(scope="module")
def known(base):
    return sens.coupling(base.net.layers[LAYER].array())


def random_sets(seed, sets, k):
    rng = np.random.default_rng(seed)
    flat = np.stack([rng.permutation(CELLS)[:k] for _ in range(sets)])
    cells = np.stack(np.unravel_index(flat, SHAPE), -1)
    return cells, np.exp(rng.uniform(np.log(1e-7), np.log(1e-3), (sets, k)))


SETS, K = 5, 3


@pytest.mark.parametrize(
    ("k", "method"),
    [
        *((k, "update") for k in (1, K, CELLS)),
        (K, "resolve"),
        pytest.param(CELLS, "resolve", marks=pytest.mark.slow),
    ],
)
def test_sets_of_any_size(base, known, k, method):
    """Of one cell up to the whole array, by the update and by solving anew."""
    cells, g_new = random_sets(k, SETS, k)
    expected = [
        losses(broken(base.net, LAYER, c, g), base.net) for c, g in zip(cells, g_new, strict=True)
    ]
    found = sens.fault_sets(base, LAYER, cells, g_new, method=method, known=known)
    np.testing.assert_allclose(found.loss, [loss for loss, _ in expected], rtol=1e-9)
    np.testing.assert_allclose(found.accuracy, [share for _, share in expected], rtol=1e-14)


@pytest.mark.parametrize("method", ["update", "resolve"])
def test_sets_of_different_sizes(base, known, method):
    """From whole arrays; the smaller ones are filled up with cells that do not change."""
    g = np.asarray(base.responses[LAYER].g)
    arrays = np.stack(SETS * [g])
    arrays[1, 2, 3] = 3e-4
    arrays[2, [0, 1, 3], [0, 0, 5]] = [0, 1e-4, 2e-4]
    arrays[3, 3, 0] = arrays[4, 0, 3] = 0
    cells, g_new = sens.sets_of(g, arrays)
    assert cells.shape == (SETS, K, 2)
    found = sens.fault_sets(base, LAYER, cells, g_new, method=method, known=known)
    for k, array in enumerate(arrays):
        every = np.stack(np.unravel_index(np.arange(CELLS), SHAPE), -1)
        loss, share = losses(broken(base.net, LAYER, every, array.ravel()), base.net)
        assert float(found.loss[k]) == pytest.approx(loss, rel=1e-9)
        assert float(found.accuracy[k]) == pytest.approx(share)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.permutations(range(6)))
def test_the_order_of_a_sets_cells_does_not_matter(base, known, seed, order):
    cells, g_new = random_sets(seed, 1, 6)
    found, again = (
        sens.changed_transfers(base.responses[LAYER], known, cells[:, o], g_new[:, o])
        for o in (np.arange(6), np.array(order))
    )
    np.testing.assert_allclose(found, again, atol=1e-12 * np.max(found))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_transfers_are_those_of_the_changed_array(base, known, seed):
    cells, g_new = random_sets(seed, 1, 6)
    array = base.net.layers[LAYER].array()
    g = array.g.at[cells[0, :, 0], cells[0, :, 1]].set(g_new[0])
    expected = xb.transfer(xb.Crossbar(g, array.wires), xb.Dense())
    (found,) = sens.changed_transfers(base.responses[LAYER], known, cells, g_new)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.max(expected))


@pytest.mark.slow
@settings(max_examples=20)
@given(st.integers(0, SHAPE[1] - 1), st.sampled_from([0.0, 1e-6, 2e-4]))
def test_a_column_is_the_set_of_its_cells(base, known, column, g_new):
    rows = np.arange(SHAPE[0])
    cells = np.stack([rows, np.full_like(rows, column)], -1)[None]
    found = sens.fault_sets(base, LAYER, cells, g_new, method="update", known=known)
    line = sens.column_faults(base, LAYER, g_new)
    assert float(found.loss[0]) == pytest.approx(float(line.loss[column]), rel=1e-11)


@pytest.mark.parametrize("past", [-1, 0], ids=["last update", "first resolve"])
def test_auto_takes_the_way_that_the_model_says(base, known, past, monkeypatch):
    """On either side of the crossover."""
    module = importlib.import_module("xbar.sensitivity.fault_sets")
    taken = []

    def scores(base, coupling, *_):
        taken.append("resolve" if coupling is None else "update")
        return base.scores()

    monkeypatch.setattr(module, "_scores", scores)
    # The small array of these tests is all overhead: here only operations count.
    monkeypatch.setattr(cost, "UPDATE", (0.0, 0.0, 1.0))
    monkeypatch.setattr(cost, "RESOLVE", (0.0, 1.0))
    k = next(k for k in range(1, CELLS) if not cost.update_is_cheaper(SHAPE, k, 4, True)) + past
    cells, g_new = random_sets(3, 4, k)
    sens.fault_sets(base, LAYER, cells, g_new, known=known)
    assert taken == ["update" if past < 0 else "resolve"]


def test_the_model_knows_what_the_coupling_costs():
    """One set never pays for the coupling of all cells; many do, if they are small."""
    shape = (65, 100)
    assert not cost.update_is_cheaper(shape, 8, 1, False)
    assert cost.update_is_cheaper(shape, 8, 10_000, False)
    assert not cost.update_is_cheaper(shape, 4000, 10_000, True)


def measured():
    """The table that benchmarks/sensitivity/update_cost.py wrote: seconds by shape and way."""
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    shapes = {(int(row["rows"]), int(row["cols"])): {} for row in rows}
    for row in rows:
        found = shapes[int(row["rows"]), int(row["cols"])]
        found[row["what"], int(row["cells"])] = float(row["seconds"])
    return shapes


@pytest.mark.parametrize(("shape", "seconds"), measured().items(), ids=map(str, measured()))
def test_the_model_is_that_of_the_measured_times(shape, seconds):
    """Within half as much again; so is what the way that it takes lost against the better one."""
    assert len(seconds) >= 5
    for (what, k), time in seconds.items():
        model = {
            "update": lambda k=k: cost.update_seconds(shape, k),
            "resolve": lambda: cost.resolve_seconds(shape),
            "coupling": lambda: cost.coupling_seconds(shape),
        }[what]()
        assert 1 / 1.5 <= model / time <= 1.5, (what, k)
        if what == "update":
            ways = {True: time, False: seconds["resolve", 0]}
            taken = ways[cost.update_is_cheaper(shape, k, 1, True)]
            assert taken <= 1.5 * min(ways.values()), k


def test_the_measured_table_has_a_crossover():
    """On the largest array: else nothing is said about where it lies."""
    seconds = measured()[65, 100]
    updates = [time for (what, _), time in seconds.items() if what == "update"]
    assert min(updates) < seconds["resolve", 0] < max(updates)


BAD = {
    "method": ({"method": "fast"}, "method: got 'fast', needs one of"),
    "axes": ({"cells": [[0, 0]]}, r"cells: got shape \(1, 2\), needs \(sets, k, 2\)"),
    "range": ({"cells": [[[0, 6]]]}, r"cells: got \(0, 6\), needs rows"),
    "negative": ({"g_new": -1e-6}, "g_new: got -1e-06, needs finite conductances"),
    "infinite": ({"g_new": np.inf}, "g_new: got inf, needs finite conductances"),
    "shape": ({"g_new": np.ones((1, 4))}, r"g_new: got shape \(1, 4\), needs one that fits"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(base, change, message):
    arguments = {"cells": [[[0, 0], [1, 1]]], "g_new": 1e-5, **change}
    with pytest.raises(ValueError, match=message):
        sens.fault_sets(base, LAYER, **arguments)


def test_arrays_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"g_new: got shape \(2, 3, 3\), needs"):
        sens.sets_of(np.ones((2, 3)), np.ones((2, 3, 3)))
