"""A small network with everything that could go wrong in it, and the plain way to break it."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from xbar import sensitivity as sens

# Two arrays of one size: what is compiled for one serves the other.
SIZES = (3, 3, 3)
ROWS, COLS = 4, 6
# Severe enough that a fault is felt along its lines: the wires drop a good part of the voltage.
WIRES = xb.Wires(
    word_line=np.full((ROWS, COLS), 30.0),
    bit_line=np.full((ROWS, COLS), 20.0),
    source=np.full(ROWS, 50.0),
    sense=np.full(COLS, 10.0),
)
NO_WIRES = jax.tree.map(jnp.zeros_like, WIRES)
N = 7


def network(activation="tanh", gain=np.inf, rail=None, wires=WIRES, seed=0) -> xb.Network:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(a, b)) for a, b in pairwise(SIZES)]
    biases = [0.3 * rng.normal(size=b) for b in SIZES[1:]]
    return xb.Network.from_weights(
        weights,
        biases,
        activation=activation,
        wires=wires,
        window=xb.Window.preset("3.3k-1M"),
        calibration=inputs(),
        open_loop_gain=gain,
        v_min=None if rail is None else -rail,
        v_max=rail,
    )


def inputs() -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(5).uniform(0, 1, (N, SIZES[0])))


def labels() -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(6).integers(0, SIZES[-1], N))


# By the plain reference, which shares nothing with the sweeps under test, and compiles quickly.
solved = jax.jit(lambda net: net(inputs(), solver=xb.Dense()))


def broken(net: xb.Network, layer: int, cells, g_new) -> np.ndarray:
    """Output voltages of the network with cells changed, solved anew."""
    return np.asarray(solved(sens.with_cells(net, layer, np.asarray(cells), g_new)))


def stuck(net: xb.Network, layer: int, how) -> float:
    window = net.layers[layer].window
    return float({"on": window.g_max, "off": window.g_min}.get(how, how))


def losses(voltages, net) -> tuple[float, float]:
    """Cross-entropy and accuracy, written out with NumPy."""
    logits = np.asarray(voltages) / float(net.output_scale)
    right = np.asarray(labels())
    top = logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    chosen = logits[np.arange(len(right)), right]
    return float(np.mean(log_sum - chosen)), float(np.mean(logits.argmax(1) == right))
