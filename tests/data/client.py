"""A small program of a user's: run with the installed package, type-checked from outside."""

import numpy as np

import xbar as xb
from xbar import sensitivity as sens


def column_currents(r: np.ndarray, v_in: np.ndarray) -> np.ndarray:
    """Output currents [A] of an array of resistances [ohm]."""
    array = xb.Crossbar.from_resistances(r, xb.Wires(word_line=1.0, bit_line=1.0))
    sol: xb.Solution = xb.solve(array, v_in)
    assert sol.result == xb.RESULTS.successful
    return np.asarray(sol.i_out)


def worst(net: xb.Network, x: np.ndarray, labels: np.ndarray) -> list[sens.RankedFault]:
    """The three worst single stuck cells."""
    return sens.ranked(sens.baseline(net, x, labels), n=3)


def broken(net: xb.Network, x: np.ndarray) -> np.ndarray:
    """Output voltages [V] with a circle of pairs stuck-on in the first layer."""
    hit = xb.Circle((0.5, 0.5), 0.3)
    return np.asarray(net.with_fault(0, hit, xb.StuckPair("on"))(x))


if __name__ == "__main__":
    r = np.random.default_rng(0).uniform(1e4, 1e6, (4, 3)).astype(np.float32)
    i_out = column_currents(r, np.full(4, 0.2, np.float32))
    np.testing.assert_allclose(i_out, (1 / r).T @ np.full(4, 0.2), rtol=1e-2)
    print("xbar", xb.__version__, i_out)  # noqa: T201
