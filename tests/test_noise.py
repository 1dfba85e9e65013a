"""Noise of the outputs: Nyquist's theorem, ngspice's .noise, shot noise, derivatives."""

import subprocess
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import Circuit, exact
from spice_cases import needs_ngspice

import xbar as xb
from xbar.analysis.noise import BOLTZMANN, CHARGE
from xbar.spice import array_netlist, find_ngspice

ROWS, COLS = 4, 3
SOLVER = xb.CG()
AT_REST = np.zeros(ROWS)
V_IN = np.array([0.2, -0.1, 0.15, 0.05])


def circuit(seed=0):
    """Severe drop, one open cell, one segment of 0 ohm."""
    rng = np.random.default_rng(seed)
    shape = (ROWS, COLS)
    g, word, bit = rng.uniform(1e-5, 1e-3, shape), *rng.uniform(1, 300, (2, *shape))
    g[1, 1] = word[2, 1] = 0
    return Circuit(g, word, bit, rng.uniform(1, 300, ROWS), rng.uniform(1, 300, COLS), V_IN)


def densities(array, v_in):
    kinds = {"thermal": False, "shot": True, "tunnel": "tunnel"}
    return {
        name: xb.output_noise(array, v_in, 300.0, shot, solver=SOLVER)
        for name, shot in kinds.items()
    }


def admittance(case):
    """Y seen from the outputs, (cols, cols) [S], in exact fractions: one bit line driven each."""
    turned = case.turned()
    found = []
    for port in range(COLS):
        drive = np.eye(COLS)[port][::-1]
        i_cell, *_ = exact(turned._replace(v_in=drive))
        found.append(i_cell.sum(1)[::-1])
    return np.array(found)


def close(found, expected, rtol):
    assert np.abs(np.asarray(found) - expected).max() <= rtol * np.abs(expected).max()


@pytest.mark.parametrize("seed", [0, 1])
def test_at_rest_noise_is_nyquists(seed):
    """4 k T Y, off-diagonals negative, whatever is said about shot noise."""
    case = circuit(seed)
    y = admittance(case)
    assert (y[~np.eye(COLS, dtype=bool)] < 0).all()
    for found in densities(case.array(), AT_REST).values():
        close(found, 4 * BOLTZMANN * 300 * y, 1e-9)


def test_thermal_noise_does_not_depend_on_the_inputs_and_grows_with_t_and_bandwidth():
    array = circuit().array()
    at_rest, driven = (densities(array, v)["thermal"] for v in (AT_REST, V_IN))
    close(driven, np.asarray(at_rest), 1e-12)
    hot = xb.output_noise(array, V_IN, 600.0, False, bandwidth=1e8, solver=SOLVER)
    close(hot, 2e8 * np.asarray(at_rest), 1e-12)


def test_without_wires_a_column_has_the_noise_of_its_cells():
    """At 10 kohm, 0.2 V and 100 MHz: thermal 13 nA, shot 25 nA of 20 uA."""
    g = np.full((1, COLS), 1e-4)
    found = [
        np.asarray(xb.output_noise(xb.Crossbar(g), np.array([0.2]), 300.0, shot, 1e8, SOLVER))
        for shot in (False, True)
    ]
    thermal, shot = 4 * BOLTZMANN * 300 * 1e-4 * 1e8, 2 * CHARGE * 2e-5 * 1e8
    close(found[0], np.diag([thermal] * COLS), 1e-12)
    close(found[1], np.diag([thermal + shot] * COLS), 1e-12)
    assert round(1e9 * thermal**0.5) == 13
    assert round(1e9 * shot**0.5) == 25


def test_shot_noise_is_that_of_the_cells_currents_carried_to_the_outputs():
    """One cell's shot noise alone: its adjoint voltages, found by finite differences."""
    case = circuit()
    array = case.array()
    by_kind = densities(array, V_IN)
    shot = np.asarray(by_kind["shot"]) - np.asarray(by_kind["thermal"])
    i_cell = exact(case)[0]
    # A current of 1 A parallel to a cell moves the outputs by L; so does dg u: dT/dg v = L u.
    jacobian = jax.jit(
        jax.jacfwd(lambda g: xb.solve(xb.Crossbar(g, array.wires), V_IN, SOLVER).i_out)
    )
    u = np.where(case.g > 0, i_cell / np.where(case.g > 0, case.g, 1), 0)
    answers = np.asarray(jacobian(array.g)) / np.where(u == 0, 1, u)
    expected = np.einsum("ors,rs,prs->op", answers, 2 * CHARGE * np.abs(i_cell), answers)
    close(shot, expected, 1e-6)


def test_a_tunnel_junction_lies_between_its_limits():
    g = np.full((1, 1), 1e-5)
    for v, limit in ((1e-6, 4 * BOLTZMANN * 300 * 1e-5), (2.0, 2 * CHARGE * 2e-5)):
        found = xb.output_noise(xb.Crossbar(g), np.array([v]), shot="tunnel", solver=SOLVER)
        np.testing.assert_allclose(found, [[limit]], rtol=1e-6)
    for x in (0.0099, 0.0101, 1.0):  # the first by a series
        v = x * 2 * BOLTZMANN * 300 / CHARGE
        found = xb.output_noise(xb.Crossbar(g), np.array([v]), shot="tunnel", solver=SOLVER)
        np.testing.assert_allclose(found, [[2 * CHARGE * v * 1e-5 / np.tanh(x)]], rtol=1e-12)


def test_many_inputs_batches_and_float32():
    array = circuit().array()
    inputs = np.stack([V_IN, AT_REST, -V_IN], axis=1)
    found = np.asarray(xb.output_noise(array, inputs, solver=SOLVER))
    assert found.shape == (COLS, COLS, 3)
    for n in range(3):
        close(found[..., n], np.asarray(densities(array, inputs[:, n])["shot"]), 1e-9)
    arrays = [circuit(seed).array() for seed in (0, 1)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *arrays)
    both = eqx.filter_vmap(lambda a: xb.output_noise(a, V_IN, solver=SOLVER))(batch)
    for one, array in zip(both, arrays, strict=True):
        close(one, np.asarray(densities(array, V_IN)["shot"]), 1e-9)
    single = xb.output_noise(circuit().array(np.float32), V_IN.astype(np.float32), solver=SOLVER)
    assert single.dtype == np.float32
    close(single, np.asarray(densities(circuit().array(), V_IN)["shot"]), 1e-4)


def test_derivatives_are_those_of_finite_differences():
    case = circuit()
    array = case.array()

    def noise(array):
        found = xb.output_noise(array, V_IN, solver=SOLVER)
        return 1e20 * (found[0, 0] + 0.5 * found[0, 2])

    compiled, slopes = jax.jit(noise), jax.jit(jax.grad(noise))(array)
    assert np.isfinite(np.asarray(slopes.wires.word_line)).all()
    for pick in (lambda a: a.g, lambda a: a.wires.word_line, lambda a: a.wires.sense):
        x = np.asarray(pick(array))
        at = np.unravel_index(np.argmax(x), x.shape)
        step = 1e-5 * x[at]
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            ends.append(float(compiled(eqx.tree_at(pick, array, jnp.asarray(moved)))))
        np.testing.assert_allclose(
            np.asarray(pick(slopes))[at], (ends[0] - ends[1]) / (2 * step), rtol=1e-5
        )


def ngspice_noise(case, outputs, folder):
    """Spectral density of the sum of some outputs' currents, by ngspice [A^2/Hz]."""
    netlist = array_netlist(case.array(), V_IN).removesuffix(".op\n.end\n")
    node, lines = "0", []
    for j in outputs:  # current-controlled voltage sources in series: V per A
        lines.append(f"Hsum_{j} sum_{j} {node} Vout_{j} 1")
        node = f"sum_{j}"
    netlist = netlist.replace("Vin_0 in_0 0 ", "Vin_0 in_0 0 ac 1 dc ")
    deck = netlist + "\n".join(
        [
            *lines,
            ".options temp=26.85",
            ".control",
            "set numdgt=16",
            f"noise v({node}) Vin_0 lin 1 1000 1000",
            "setplot noise1",
            "print onoise_spectrum",
            "quit 0",
            ".endc",
            ".end",
            "",
        ]
    )
    (folder / "deck.cir").write_text(deck)
    command = [find_ngspice().path, "-b", "-n", "deck.cir"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    line = next(x for x in run.stdout.splitlines() if x.startswith("onoise_spectrum"))
    return float(line.split("=")[1]) ** 2


@needs_ngspice
def test_thermal_noise_is_ngspices(tmp_path):
    case = circuit()
    ours = np.asarray(densities(case.array(), V_IN)["thermal"])
    for j in range(COLS):
        found = ngspice_noise(case, [j], tmp_path)
        np.testing.assert_allclose(found, ours[j, j], rtol=1e-6)
    both = ngspice_noise(case, [0, 2], tmp_path)
    found = (both - ours[0, 0] - ours[2, 2]) / 2
    np.testing.assert_allclose(found, ours[0, 2], rtol=2e-5)  # what is left of a difference
    close(found, ours[0, 2], 1e-6 * ours[0, 0] / abs(ours[0, 2]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature: got -1.0, needs a finite value >= 0"),
        ({"bandwidth": 0.0}, "bandwidth: got 0.0, needs a finite value > 0"),
        ({"shot": "poisson"}, "shot: got 'poisson', needs True, False or 'tunnel'"),
        ({"v_in": np.zeros(3)}, r"v_in: got shape \(3,\), needs \(rows,\)"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        xb.output_noise(circuit().array(), **{"v_in": V_IN, "solver": SOLVER, **options})


def test_what_failed_is_nan_where_it_cannot_raise():
    array = xb.Crossbar(jnp.asarray([[np.nan, 1e-5]]))
    found = jax.jit(lambda a: xb.output_noise(a, jnp.ones(1), solver=SOLVER))(array)
    assert np.isnan(found).all()
    with pytest.raises(ValueError, match=r"Crossbar.g: got nan"):
        xb.output_noise(array, np.ones(1), solver=SOLVER)


def test_the_oracle_is_symmetric():
    y = admittance(circuit())
    assert np.abs(y - y.T).max() <= float(Fraction(1, 10**15)) * np.abs(y).max()
