"""Measured chips: maps from files, and what they do to pairs, networks and gradients."""

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.devices import ChipMap, Device, Drift, Everywhere
from xbar.devices.mapping import Pairs, Window
from xbar.io import StoreError, load_map
from xbar.io.store import read_results, write_results
from xbar.io.tree import decode

SHAPE = (3, 4)  # cells: three word lines, two pairs
RNG = np.random.default_rng(0)
PAIRS = Pairs(RNG.uniform(1e-6, 1e-4, (3, 2)), RNG.uniform(1e-6, 1e-4, (3, 2)))
CELLS = np.array(PAIRS.interleave())
WINDOW = Window(1e-6, 1e-4)
NAN = np.nan


def changed(**cells):
    """The programmed cells with others at "r1c2": conductance."""
    g = CELLS.copy()
    for place, value in cells.items():
        g[int(place[1]), int(place[3])] = value
    return g


EXPECTED = changed(r0c1=1 / 1200, r2c3=1e-4, r1c0=1e-6, r2c0=1 / 2e6)
LIST = "row,col,ohm\n0,1,1200\n2,3,on\n1,0,off\n2,0,2e6\n1,1,\n0,0,healthy\n"


def csv(text):
    return lambda path: path.write_text(text)


def table(name, unit=None, **arrays):
    def make(path):
        if path.suffix == ".npz":
            np.savez(path, **arrays)
            return
        with h5py.File(path, "w") as file:
            for key, values in arrays.items():
                file[key] = values
            if unit:
                file[name].attrs["unit"] = unit

    return make


def matrix(ohm=True):
    g = np.full(SHAPE, NAN)
    for row, col, value in ((0, 1, 1 / 1200), (2, 3, 1e-4), (1, 0, 1e-6), (2, 0, 1 / 2e6)):
        g[row, col] = 1 / value if ohm else value
    return g


ROWS, COLS = np.array([0, 2, 1, 2]), np.array([1, 3, 0, 0])
OHMS = np.array([1200, 1e4, 1e6, 2e6])
FILES = {
    "list.csv": (csv(LIST), {}),
    "comments.csv": (csv("# of a prober\n\n" + LIST.replace("row,", "word_line, ")), {}),
    "kohm.csv": (csv("bit_line,row,r_kohm\n1,0,1.2\n3,2,10\n0,1,1e3\n0,2,2e3\n"), {}),
    "siemens.csv": (csv("row,col,g [uS]\n0,1,833.3333333333334\n2,3,on\n1,0,1\n2,0,.5\n"), {}),
    "floats.csv": (
        csv("row,col,value\n0.0,1.0,1200\n2.0,3,1e4\n1,0,1e6\n2,0,2e6\n"),
        {"unit": "ohm"},
    ),
    "bom.csv": (lambda path: path.write_text(LIST, encoding="utf-8-sig"), {}),
    "matrix.csv": (csv("nan,1200,,\n1e6,nan,nan,healthy\n2e6,nan,nan,on\n"), {"unit": "ohm"}),
    "headless.csv": (csv("0,1,1200\n2,3,1e4\n1,0,1e6\n2,0,2e6\n"), {"unit": "ohm"}),
    "matrix.npy": (lambda path: np.save(path, matrix()), {"unit": "ohm"}),
    "list.npy": (lambda path: np.save(path, np.c_[ROWS, COLS, OHMS]), {"unit": "ohm"}),
    "matrix.npz": (table("S", S=matrix(ohm=False)), {}),
    "list.npz": (table("ohm", row=ROWS, col=COLS, ohm=OHMS), {}),
    "words.npz": (
        table("ohm", row=ROWS.astype(float), col=COLS, ohm=np.array(["1200", "ON", " off", "2e6"])),
        {},
    ),
    "matrix.h5": (table("chip_7", "ohm", chip_7=matrix()), {}),
    "list.h5": (table("value", "kohm", row=ROWS, col=COLS, value=OHMS / 1e3), {}),
    "pairs.h5": (table("", g_plus=matrix(False)[:, 0::2], g_minus=matrix(False)[:, 1::2]), {}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_form_of_a_map_is_the_same_chip(tmp_path, name):
    make, options = FILES[name]
    make(tmp_path / name)
    chip = load_map(tmp_path / name, shape=SHAPE, **options)
    found = chip.apply(PAIRS, window=WINDOW)
    np.testing.assert_allclose(found.interleave(), EXPECTED, rtol=1e-14)
    assert np.asarray(chip.known).sum() == 4


def test_a_whole_measured_chip_replaces_every_cell(tmp_path):
    g = RNG.uniform(0, 1e-3, SHAPE)
    np.save(tmp_path / "chip.npy", g)
    chip = load_map(tmp_path / "chip.npy", unit="S")
    np.testing.assert_array_equal(chip.apply(PAIRS).interleave(), g)


def test_an_open_cell_may_be_of_infinite_resistance(tmp_path):
    (tmp_path / "a.csv").write_text("row,col,ohm\n1,2,inf\n")
    chip = load_map(tmp_path / "a.csv", shape=SHAPE)
    np.testing.assert_array_equal(chip.apply(PAIRS).interleave(), changed(r1c2=0.0))


def test_pairs_of_a_file_are_both_their_cells(tmp_path):
    (tmp_path / "a.csv").write_text("row,col,S\n1,1,2e-5\n2,0,on\n")
    chip = load_map(tmp_path / "a.csv", shape=SHAPE, pairs=True)
    expected = changed(r1c2=2e-5, r1c3=2e-5, r2c0=1e-4, r2c1=1e-4)
    np.testing.assert_allclose(chip.apply(PAIRS, window=WINDOW).interleave(), expected, rtol=1e-15)


@pytest.mark.parametrize("form", ["list", "stack"])
def test_several_chips_lead_with_an_axis(tmp_path, form):
    if form == "list":
        path = tmp_path / "lot.csv"
        path.write_text("chip,row,col,ohm\n0,0,1,1200\n1,2,3,5000\n1,0,0,off\n")
    else:
        path = tmp_path / "lot.npz"
        both = np.full((2, *SHAPE), NAN)
        both[0, 0, 1], both[1, 2, 3], both[1, 0, 0] = 1200, 5000, 1e6
        np.savez(path, ohm=both)
    chips = load_map(path, shape=SHAPE)
    assert chips.shape == (2, *SHAPE)
    assert len(chips) == 2
    each = jax.vmap(lambda chip: chip.apply(PAIRS, window=WINDOW).interleave())(chips)
    expected = np.stack([changed(r0c1=1 / 1200), changed(r2c3=1 / 5000, r0c0=1e-6)])
    np.testing.assert_allclose(each, expected, rtol=1e-14)
    second = chips[1].apply(PAIRS, window=WINDOW).interleave()
    np.testing.assert_array_equal(second, each[1])


def test_a_map_is_a_fault_of_a_network_and_voltages_are_those_of_its_cells():
    weights = [RNG.normal(size=(2, 2))]
    net = xb.Network.from_weights(weights, wires=xb.Wires(1.0, 1.0))
    chip = ChipMap(np.where(np.arange(12).reshape(SHAPE) == 6, 3e-4, NAN))
    broken = net.with_fault(0, Everywhere(), chip)
    g = np.array(net.layers[0].array().g)
    g[1, 2] = 3e-4
    np.testing.assert_array_equal(broken.layers[0].array().g, g)
    x = np.array([0.3, 0.9])
    rows = np.append(np.asarray(net.k_in) * x, np.asarray(net.layers[0].v_bias))
    i_out = np.asarray(xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), rows, xb.Dense()).i_out)
    volts = np.asarray(net.layers[0].readout.gain) * (i_out[0::2] - i_out[1::2])
    found = np.asarray(broken(x, solver=xb.Dense()))
    assert np.max(np.abs(found - volts)) <= 1e-12 * np.max(np.abs(volts))
    assert np.max(np.abs(found - net(x, solver=xb.Dense()))) > 1e-3 * np.max(np.abs(volts))


def test_a_map_on_one_array_is_the_same_map_on_its_pairs():
    chip = ChipMap(matrix(ohm=False), np.array([[0, 0, 0, -1], [0] * 4, [1, 0, 0, 0]]))
    of_pairs = chip.apply(PAIRS, window=WINDOW).interleave()
    assert np.array_equal(chip.replaced(CELLS, WINDOW), of_pairs)
    assert np.array_equal(ChipMap(matrix(ohm=False)).replaced(CELLS), EXPECTED)


def test_a_mask_leaves_the_rest_of_the_map_out():
    hit = np.zeros((3, 2), bool)
    hit[1, 1] = True
    chip = ChipMap(np.full(SHAPE, 2e-4))
    found = chip.apply(PAIRS, jnp.asarray(hit)).interleave()
    np.testing.assert_array_equal(found, changed(r1c2=2e-4, r1c3=2e-4))


def test_gradients_pass_where_the_map_is_silent_and_only_there():
    g = np.full(SHAPE, NAN)
    g[0, 1] = 1e-5

    def total(cells, measured):
        return ChipMap(measured).apply(Pairs.from_interleaved(cells)).interleave().sum()

    ours, theirs = jax.jit(jax.grad(total, argnums=(0, 1)))(CELLS, g)
    np.testing.assert_array_equal(ours, np.isnan(g))
    np.testing.assert_array_equal(theirs, ~np.isnan(g))


def test_a_map_goes_to_hdf5_and_back(tmp_path):
    chip = ChipMap(matrix(ohm=False), np.eye(3, 4, dtype=int))
    write_results(tmp_path / "results.h5", {"chip": chip}, {})
    found = decode(read_results(tmp_path / "results.h5")[0]["chip"])
    assert type(found) is ChipMap
    np.testing.assert_array_equal(found.g, chip.g)
    np.testing.assert_array_equal(found.state, chip.state)


WRONG = {
    "no unit": (csv("row,col,value\n0,0,5e3\n"), {}, "got values of no unit, needs one of ohm"),
    "another unit": (csv(LIST), {"unit": "S"}, "unit: got 'S', but the file says 'ohm' of 'ohm'"),
    "an unknown unit": (csv(LIST), {"unit": "V"}, "unit: got 'V', needs one of ohm, kohm, Mohm, S"),
    "ohm as siemens": (
        csv("row,col,S\n1,2,5e3\n"),
        {},
        r"got 5000 S at \[0\], needs 0 to 1 S.* is it ohm",
    ),
    "siemens as ohm": (
        csv("row,col,ohm\n1,2,1e-5\n"),
        {},
        "got 1e-05 ohm .* needs 1 ohm or more.* is it S",
    ),
    "negative": (csv("row,col,ohm\n1,2,-5\n"), {}, "got -5 ohm"),
    "zero ohm": (csv("row,col,ohm\n1,2,0\n"), {}, "got 0 ohm"),
    "infinite siemens": (csv("row,col,S\n1,2,inf\n"), {}, "got inf S"),
    "a row off the grid": (
        csv("row,col,ohm\n3,0,5e3\n0,0,5e3\n"),
        {},
        r"row: got 3, needs 0\.\.2$",
    ),
    "counted from 1": (
        csv("row,col,ohm\n1,1,5e3\n3,2,5e3\n"),
        {},
        r"row: got 3, needs 0\.\.2, counted from 0",
    ),
    "a negative column": (csv("row,col,ohm\n0,-1,5e3\n"), {}, "col: got -1, needs 0..3"),
    "half a column": (csv("row,col,ohm\n0,1.5,5e3\n"), {}, "col: got 1.5, needs whole numbers"),
    "no row": (csv("row,col,ohm\nnan,1,5e3\n"), {}, "row: got nan, needs whole numbers"),
    "a row of words": (csv("row,col,ohm\nA,1,5e3\n"), {}, "could not convert string to float"),
    "a cell twice": (
        csv("row,col,ohm\n0,1,5e3\n2,1,5e3\n0,1,6e3\n"),
        {},
        r"the cell \(0, 1\) twice",
    ),
    "unknown words": (
        csv("row,col,ohm\n0,1,broken\n"),
        {},
        "got 'broken', needs a number, on, off",
    ),
    "no column of rows": (
        csv("col,ohm\n1,5e3\n"),
        {},
        "got col, ohm, needs row, col and one of ohm",
    ),
    "two values": (
        csv("row,col,ohm,S\n1,1,5e3,2e-4\n"),
        {},
        "got row, col, ohm, S, needs row, col",
    ),
    "no values": (csv("row,col\n1,1\n"), {}, "got row, col, needs row, col and one of"),
    "nothing": (csv(""), {"unit": "ohm"}, "cannot be read"),
    "a head alone": (csv("row,col,ohm\n"), {}, r"row: got shape \(0,\)"),
    "a short line": (
        csv("row,col,ohm\n0,1,5e3\n0,2\n"),
        {},
        "line 3 of the table has 2 places, the first 3",
    ),
    "a long line": (csv("row,col,ohm\n0,1,5e3\n0,2,1,1\n"), {}, "cannot be read or is damaged"),
    "bytes": (
        lambda path: path.write_bytes(b"\xff\xfe\x00row"),
        {},
        "cannot be read or is damaged",
    ),
    "chip 5 of 1": (
        csv("chip,row,col,ohm\n5,0,0,5e3\n"),
        {},
        "chip: got 1 of them up to 5, needs all",
    ),
    "a matrix of another shape": (
        csv("1e4,1e5\n1e4,1e5\n"),
        {"unit": "ohm"},
        r"got \(2, 2\) cells, needs \(3, 4\)",
    ),
    "stuck at 2": (
        csv("row,col,stuck\n0,1,2\n"),
        {},
        "stuck: got other values than 1, -1, 0, on, off",
    ),
    "a folder": (lambda path: path.mkdir(), {}, "got a folder, needs a file"),
    "no file": (lambda path: None, {}, "got no file, needs a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_maps(tmp_path, case):
    make, options, message = WRONG[case]
    path = tmp_path / "chip.csv"
    make(path)
    with pytest.raises(StoreError, match=message) as error:
        load_map(path, shape=SHAPE, **options)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("a.npy", np.ones(12) * 1e4, "got shape"),
        ("a.npy", np.ones((2, 2, 3, 4)) * 1e4, "got shape"),
        ("a.npy", np.ones(SHAPE) * 1j, "got dtype complex128"),
        ("a.npy", np.ones((3, 5)) * 1e4, r"got \(3, 5\) cells, needs \(3, 4\)"),
        ("a.npz", {"row": ROWS, "col": COLS[1:], "ohm": OHMS}, "columns of different lengths"),
        ("a.npz", {"a": OHMS, "b": OHMS}, "got a, b, needs row, col and one of"),
        ("a.npz", {"row": ROWS[:, None], "col": COLS, "ohm": OHMS}, r"row: got shape \(4, 1\)"),
        ("a.txt", np.ones(3), "got .txt, needs"),
    ],
)
def test_wrong_arrays(tmp_path, name, arrays, message):
    path = tmp_path / name
    if name.endswith(".npz"):
        np.savez(path, **arrays)
    else:
        with path.open("wb") as file:
            np.save(file, arrays)
    with pytest.raises(StoreError, match=message):
        load_map(path, unit="ohm", shape=SHAPE)


def test_a_list_needs_the_shape_of_its_array(tmp_path):
    (tmp_path / "a.csv").write_text(LIST)
    with pytest.raises(StoreError, match="got a list of cells, needs shape="):
        load_map(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ChipMap(), "got neither g nor state"),
        (lambda: ChipMap(np.ones(3) * 1e-5), r"got shapes \[\(3,\)\]"),
        (lambda: ChipMap(np.ones((2, 2)) * 5e3), "got 5000.0, needs conductances of 0 to 1 S"),
        (lambda: ChipMap(-np.ones((2, 2))), "got -1.0, needs conductances"),
        (lambda: ChipMap.from_resistances(np.full((2, 2), 1e-5)), "got 1e-05, needs resistances"),
        (lambda: ChipMap(state=np.full((2, 2), 3)), "got other values than -1, 0 and 1"),
        (lambda: ChipMap(np.ones((2, 2)) / 9, np.zeros((2, 3), int)), "got shapes"),
        (
            lambda: ChipMap(np.ones((3, 2)) / 9).apply(PAIRS),
            r"both cells of a pair: ChipMap.of_pairs",
        ),
        (lambda: ChipMap(np.ones((2, 4)) / 9).apply(PAIRS), "the last row is the bias row"),
        (
            lambda: ChipMap(np.ones((2, 3, 4)) / 9).apply(PAIRS),
            "one of 2 chips: chips.k., or jax.vm",
        ),
        (lambda: ChipMap(np.ones((3, 5)) / 9).apply(PAIRS), r"got cells \(3, 5\), needs \(3, 4\)"),
        (lambda: ChipMap(np.ones((3, 5)) / 9).replaced(CELLS), r"got cells \(3, 5\), needs"),
        (lambda: ChipMap(state=np.ones(SHAPE)).replaced(CELLS), "window: got None"),
        (
            lambda: ChipMap(state=np.ones(SHAPE)).apply(PAIRS),
            "window: got None, needs the device's Window for",
        ),
    ],
)
def test_wrong_chips(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_map_is_an_effect_of_a_device_and_neither_drifts_nor_relaxes():
    chip = ChipMap(matrix(ohm=False))
    device = Device([chip, Drift(0.1)], Window(1e-7, 1e-3))
    g = device.program(PAIRS, jax.random.key(0))
    np.testing.assert_allclose(g.interleave(), np.where(chip.known, EXPECTED, CELLS), rtol=1e-14)
    aged = np.asarray(device.age(g, jax.random.key(0), 1e6).interleave())
    np.testing.assert_array_equal(aged[chip.known], np.asarray(g.interleave())[chip.known])
    assert "3 x 4 cells, 4 of them known" in chip.describe()


def test_resistances_and_pairs_make_the_same_chip():
    r = 1 / CELLS
    a, b = ChipMap.from_resistances(r), ChipMap.of_pairs(CELLS[:, 0::2], CELLS[:, 1::2])
    np.testing.assert_allclose(a.g, b.g, rtol=1e-15)
    np.testing.assert_array_equal(b.g, CELLS)
