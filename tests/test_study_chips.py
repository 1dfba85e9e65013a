"""Studies of real chips: measured ones from a file, and drawn ones that age and convert."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import TINY, quiet_console, write_tiny

import xbar as xb
from xbar.devices import Everywhere
from xbar.io.runs import load_run
from xbar.io.store import StoreError
from xbar.run import StudyError, UsageError, labelled, read_study, run_study
from xbar.run.demo import demo_study
from xbar.run.settings.chips import SIZED, WORDS, made, parsed
from xbar.run.study.circuits import stuck_cells
from xbar.run.study.plan import Plan

HEAD, _, _ = TINY.partition("[[defects]]")
_, _, TAIL = TINY.partition("placements = 2\n")
# Two chips of the last layer's 5 x 6 cells, bias row last.
CHIPS = "chip,row,col,ohm\n0,0,1,on\n0,4,5,2000\n1,2,2,off\n1,3,0,15000\n1,3,1,1e6\n"


def study(folder, circuit="", defects="shape = 'row'\ncoverage = 0.3\n"):
    file = write_tiny(folder, f"{HEAD}[circuit]\n{circuit}\n[[defects]]\n{defects}\n{TAIL}")
    return file, read_study(file)


def ran(folder, *settings):
    file, found = study(folder, *settings)
    run_study(found, folder / "out", quiet_console(), beside=file.parent)
    return load_run(folder / "out")


def test_a_study_of_measured_chips_solves_what_with_fault_builds(tmp_path):
    (tmp_path / "lot.csv").write_text(CHIPS)
    run = ran(tmp_path, "", 'map = "lot.csv"\nplacements = 2\n')
    measured = xb.io.load_map(tmp_path / "lot.csv", shape=(5, 6))
    assert run.circuits == 4
    assert set(run.table["shape"]) == set(run.table["fault"]) == {"map"}
    np.testing.assert_array_equal(run.table["pairs_hit"], [2, 2, 2, 2])
    for circuit in range(run.circuits):
        chip = measured[int(run.table["placement"][circuit])]
        healthy = run.network("healthy", circuit)
        mine = healthy.with_fault(-1, Everywhere(), chip)
        for expected, found in zip(
            jax.tree.leaves(mine), jax.tree.leaves(run.network("defective", circuit)), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        volts, _ = run.voltages([circuit])
        images = run.images[run.parts["test"][circuit]]
        again = np.asarray(mine(images))
        np.testing.assert_allclose(
            volts[0][-len(images) :], again, rtol=1e-5, atol=1e-6 * np.abs(again).max()
        )


@pytest.mark.parametrize(
    ("defects", "words"),
    [
        ('map = "lot.csv"\nplacements = 3\n', "placements: got 3, needs at most 2"),
        ('map = "lot.csv"\nlayer = 0\n', "needs 0..4"),
        ('map = "lot.csv"\ncoverage = 0.2\n', "coverage: got (0.2,), needs none beside map"),
        ('map = "lot.csv"\nmap_unit = "kS"\n', "map_unit: got 'kS', needs one of ohm"),
        ('map = "lot.csv"\nbias_row = false\n', "bias_row: got False, needs none beside map"),
        (
            'map = "lot.csv"\nmap_unit = "ohm"\n[[defects]]\nmap = "lot.csv"\nmap_unit = "S"\n',
            "defects[1].map_unit: got S, needs the unit named before for lot.csv, ohm",
        ),
        ('map_unit = "ohm"\n', "map_unit: got ohm, needs defects[0].map beside it"),
    ],
)
def test_a_map_that_does_not_fit_is_named(tmp_path, defects, words):
    # The first layer has 5 x 8 cells: for it, a row too many.
    (tmp_path / "lot.csv").write_text("row,col,ohm\n5,0,on\n" if "layer" in defects else CHIPS)
    with pytest.raises((StudyError, StoreError)) as caught:
        ran(tmp_path, "", defects)
    assert words in str(caught.value)


def test_of_a_measured_pair_only_known_cells_are_stuck():
    chip = xb.devices.ChipMap(np.array([[np.nan, 1e-4, np.nan, np.nan], [1e-5, 1e-6, np.nan, 0.0]]))
    rows = {"fault": np.array(["map", "plus"]), "stuck": np.array(["chip.csv", "on"])}
    hit = np.array([[[True, False], [True, True]]] * 2)
    measured, plus = stuck_cells(rows, hit, {"chip.csv": chip})
    np.testing.assert_array_equal(measured, chip.known)
    np.testing.assert_array_equal(plus, [[1, 0, 0, 0], [1, 0, 1, 0]])


def test_a_folder_of_another_map_is_refused(tmp_path):
    (tmp_path / "lot.csv").write_text(CHIPS)
    ran(tmp_path, "", 'map = "lot.csv"\n')
    (tmp_path / "lot.csv").write_text(CHIPS.replace("2000", "2001"))
    with pytest.raises(UsageError):
        ran(tmp_path, "", 'map = "lot.csv"\n')


@pytest.mark.slow
def test_a_drawn_chip_of_a_study_is_one_chip_at_every_time(tmp_path):
    circuit = 'device = ["exact", "wan2022"]\nwindow = "device"\nseconds = [1, 86400]\n'
    run = ran(tmp_path, circuit)
    assert run.circuits == 2 * 2 * 2  # seeds, devices, times
    accuracy = labelled(run, "defective")
    assert accuracy.dims[:2] == ("device", "seconds")
    by = {}
    for row in range(run.circuits):
        key = run.table["device"][row], float(run.table["seconds"][row]), run.table["seed"][row]
        by[key] = run.network("healthy", row)
    for seed in (0, 1):
        still = [by["exact", t, seed] for t in (1.0, 86_400.0)]
        assert eqx.tree_equal(*still)
        young, old = (by["wan2022", t, seed].layers[0].pairs for t in (1.0, 86_400.0))
        moved = np.asarray(old.g_plus - young.g_plus)
        assert 1e-7 < moved.std() < 1e-5  # siemens: relaxation, not another chip
        g = np.stack([np.asarray(young.g_plus), np.asarray(old.g_plus)])
        assert np.corrcoef(g.reshape(2, -1))[0, 1] > 0.7
    assert by["exact", 1.0, 0].layers[0].device is None


@pytest.mark.slow
def test_the_chip_of_a_study_is_what_program_age_and_read_give(tmp_path):
    file, found = study(tmp_path, 'device = "pcm"\nwindow = "device"\nseconds = 3600\n')
    run_study(found, tmp_path / "out", quiet_console(), beside=file.parent)
    run = load_run(tmp_path / "out")
    model, base = run.software(0), run.images[run.parts["base"][0]]
    hardware = xb.Hardware(device=xb.devices.preset("pcm"), wires=xb.Wires(1.0, 1.0))
    net = xb.Network.from_weights(model.weights, model.biases, calibration=base, hardware=hardware)
    key = Plan(found, (4, 4, 3)).keys("chip", np.array([0]))[0]
    seen = xb.nn.read(xb.nn.age(xb.nn.program(net, key), key, 3600.0), key, 3600.0)
    for mine, stored in zip(seen.layers, run.network("healthy", 0).layers, strict=True):
        expected = np.asarray(mine.pairs.interleave())
        g = np.asarray(stored.pairs.interleave())
        np.testing.assert_allclose(g, expected, rtol=1e-4, atol=1e-10)


@pytest.mark.slow
def test_converters_of_a_study_quantise(tmp_path):
    run = ran(tmp_path, "adc_bits = 3\ndac_bits = 4\n")
    adc = run.network("healthy", 0).layers[-1].readout.steps[-1]
    assert isinstance(adc, xb.ADC)
    assert adc.bits == 3
    volts, _ = run.voltages([0])
    assert len(np.unique(volts)) <= 8


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        ('device = "pcm"\n', 'window = "device" takes its own'),
        ('device = "wan2022"\nwindow = "device"\nseconds = 1e6\n', "needs at most 172800 s"),
        ('device = "milo2"\n', "circuit.device[0]: got 'milo2', needs one of exact"),
        ('device = "programming=x"\n', "got 'programming=x', needs a number"),
        ('device = "programming=-1"\n', "circuit.device[0]"),
        ('device = "levels=1"\n', "needs a whole number, 2 or more"),
        ('device = "levels=1000000000000"\n', "needs a whole number, 2 or more, at most 1,048,576"),
        ("seconds = -1\n", "circuit.seconds[0]: got -1, needs a finite time"),
        ("adc_bits = 0\n", "circuit.adc_bits: got 0, needs 1 to 32"),
    ],
)
def test_a_chip_that_cannot_be_is_named(tmp_path, no_shape_checks, circuit, words):
    with pytest.raises(StudyError) as caught:
        study(tmp_path, circuit)
    assert words in str(caught.value)


def test_every_word_for_an_effect_makes_a_device():
    assert {*WORDS} == {*SIZED, "levels"}
    kind, sizes = parsed("levels=16, programming=0.05, drift=0.1")
    device = made(kind, sizes)
    assert [type(effect).__name__ for effect in device.effects] == [
        "Levels",
        "ProgrammingError",
        "Drift",
    ]
    key, g = jax.random.key(0), jnp.full((4, 4), 5.2e-5)
    again = made(kind, jnp.array([0.0, 0.1])).within(xb.Window(0.0, 1e-4))
    np.testing.assert_allclose(again.program(g, key), 8e-4 / 15, rtol=1e-5)


def test_sizes_of_effects_share_a_program(tmp_path):
    _, found = study(tmp_path, 'device = ["programming=0.05", "programming=0.1"]\n')
    healthy = Plan(found, (4, 4, 3)).of_kind("healthy")
    assert len(healthy) == 1


def test_the_demo_takes_a_map_and_a_device():
    changes = ["defects.shape=", "defects.coverage=", "defects.map=chip.csv"]
    found = demo_study([*changes, "circuit.device=wan2022", "circuit.window=device"])
    assert found.defects[0].map == "chip.csv"
    assert found.circuits == found.seeds
