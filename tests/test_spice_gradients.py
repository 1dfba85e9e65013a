"""Rung 5 of the ladder: xbar's gradients against ngspice with one resistor nudged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spice_cases import needs_ngspice, small_network

import xbar as xb
from xbar import spice
from xbar.nn import Layer

pytestmark = needs_ngspice

ROWS, COLS = 6, 10
STEP = 1e-3  # relative; the central difference is then good to about 1e-6
NAMES = {"word_line": "rword", "bit_line": "rbit", "source": "rsrc", "sense": "rsense"}
REGIMES = {"mild": ((1e-6, 1e-4), (0.1, 10.0)), "severe": ((1e-4, 1e-2), (1.0, 100.0))}


def elements(rng) -> list[tuple[str, tuple[int, ...]]]:
    """Random parts of the array: 16 cells, 16 segments, all drivers and amplifiers."""
    parts = []
    for kind, count in (("g", 16), ("word_line", 8), ("bit_line", 8)):
        chosen = rng.choice(ROWS * COLS, count, replace=False)
        parts += [(kind, (int(k) // COLS, int(k) % COLS)) for k in chosen]
    parts += [("source", (i,)) for i in range(ROWS)]
    return parts + [("sense", (j,)) for j in range(COLS)]


def circuit(rng, regime: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """An array without zeros, its inputs, and the weights of the output currents in the loss."""
    (g_low, g_high), (r_low, r_high) = REGIMES[regime]

    def draw(low, high, *shape):
        return np.exp(rng.uniform(np.log(low), np.log(high), shape))

    values = {
        "g": draw(g_low, g_high, ROWS, COLS),
        "word_line": draw(r_low, r_high, ROWS, COLS),
        "bit_line": draw(r_low, r_high, ROWS, COLS),
        "source": draw(r_low, r_high, ROWS),
        "sense": draw(r_low, r_high, COLS),
    }
    return values, rng.uniform(0.1, 0.2, ROWS), rng.uniform(-1, 1, COLS)


def array_of(values) -> xb.Crossbar:
    return xb.Crossbar(values["g"], xb.Wires(**{name: values[name] for name in NAMES}))


def by_xbar(values, v_in, weights, parts) -> np.ndarray:
    """d(weighted sum of output currents) / d(log of each part)."""
    gradient = jax.grad(lambda v: weights @ xb.solve(array_of(v), v_in).i_out)(values)
    return np.array([values[kind][at] * gradient[kind][at] for kind, at in parts])


def by_ngspice(values, v_in, weights, parts) -> np.ndarray:
    """The same by central difference, one resistor nudged at a time."""
    steps = []
    for kind, at in parts:
        name = f"{NAMES.get(kind, 'rcell')}_{'_'.join(map(str, at))}"
        nudged = [values[kind][at] * x for x in (1 + STEP, 1 - STEP, 1)]
        steps += [{name: 1 / x if kind == "g" else x} for x in nudged]
    points = spice.run_netlist(spice.array_netlist(array_of(values), v_in), steps).points
    sums = [weights @ [point[f"i:vout_{j}"] for j in range(COLS)] for point in points]
    return np.array([(sums[k] - sums[k + 1]) / (2 * STEP) for k in range(0, len(sums), 3)])


@pytest.mark.parametrize("regime", REGIMES)
def test_cells_segments_drivers_and_amplifiers(regime):
    """Each to 1e-5 of itself."""
    rng = np.random.default_rng(12)
    problem, parts = circuit(rng, regime), elements(rng)
    assert len(parts) >= 30
    ours, theirs = by_xbar(*problem, parts), by_ngspice(*problem, parts)
    wrong = np.abs(ours - theirs)
    # A part that hardly matters has a difference of a few digits only.
    assert np.all(wrong <= 1e-5 * np.abs(theirs) + 1e-9 * np.max(np.abs(theirs)))
    assert np.median(wrong / np.abs(theirs)) < 3e-6
    # The check is able to fail: another part's derivative is another.
    assert not np.all(np.abs(np.roll(ours, 1) - theirs) <= 1e-5 * np.abs(theirs))


def test_feedback_and_gain_of_the_amplifiers():
    network, _ = small_network(open_loop_gain=50.0)
    layer = network.layers[0]
    v = np.linspace(0.05, 0.2, ROWS)
    weights = np.linspace(-1, 1, COLS // 2)

    def with_readout(r_f, gain):
        readout = type(layer.readout)(r_f, gain)
        return Layer(
            layer.pairs, layer.window, layer.wires, readout, layer.s, layer.k, layer.v_bias, None
        )

    def loss(r_f, gain):
        nudged = with_readout(r_f, gain)
        return weights @ nudged.apply(nudged.transfer(), jnp.asarray(v)).v_tia

    def their_loss(r_f, gain):
        (point,) = spice.run_netlist(spice.layer_netlist(with_readout(r_f, gain), v)).points
        return weights @ [point[f"l0_tia_{o}"] for o in range(COLS // 2)]

    r_f, gain = float(layer.readout.r_f), float(layer.readout.open_loop_gain)
    ours = np.array(jax.grad(loss, argnums=(0, 1))(r_f, gain)) * (r_f, gain)
    up, down = 1 + STEP, 1 - STEP
    theirs = np.array(
        [
            their_loss(r_f * up, gain) - their_loss(r_f * down, gain),
            their_loss(r_f, gain * up) - their_loss(r_f, gain * down),
        ]
    ) / (2 * STEP)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
