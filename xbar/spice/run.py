"""Arrays and networks solved by ngspice, in xbar's own terms."""

import os
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from xbar.circuit import RESULTS, Crossbar, Solution
from xbar.nn import LayerVoltages, Network
from xbar.spice.layers import Chain, chain_netlist, input_volts, sources
from xbar.spice.netlist import Nodes, Values, nodes_of, plain_netlist, ports, values_of
from xbar.spice.ngspice import Ngspice, Readings, run_netlist

Program = Ngspice | str | os.PathLike[str] | None


class Measured(NamedTuple):
    """What ngspice found on one array, float64, for n inputs."""

    v_word: np.ndarray  # (rows, cols, n) [V]
    v_bit: np.ndarray  # (rows, cols, n) [V]
    i_cell: np.ndarray  # (rows, cols, n) [A]
    i_out: np.ndarray  # (cols, n) [A]


def run_array(
    array: Crossbar, v_in: Any, *, ngspice: Program = None, timeout_s: float = 600.0
) -> Solution:
    """One array solved by ngspice.

    Args:
        array: the circuit.
        v_in: driver voltages (rows,) or (rows, n) [V].
        ngspice: the program; None looks for it.
        timeout_s: time limit for all inputs [s].

    Returns:
        A `Solution` as `xbar.solve` returns it. Output currents are those of ngspice's ammeters;
        cell currents are those of the cells' law at its voltages, power their sum, and
        `kcl_residual` says how well they obey Kirchhoff's laws. In float32 while JAX's 64-bit mode
        is off.

    Raises:
        SpiceError: one of its kinds, by what went wrong.
        TypeError, ValueError: as `plain_netlist`.
    """
    measured, power = measure_array(array, v_in, ngspice=ngspice, timeout_s=timeout_s)[:2]
    single = np.ndim(v_in) == 1
    v_word, v_bit, i_cell, i_out, p_total = (
        jnp.asarray(x[..., 0] if single else x) for x in (*measured, power)
    )
    drive = _inputs(v_in)
    kcl = jnp.asarray(_kcl_residual(values_of(array), drive, measured.i_cell))
    steps = jnp.zeros(p_total.shape, int)
    return Solution(i_out, v_word, v_bit, i_cell, p_total, RESULTS.successful, kcl, steps)


def run_network(
    network: Network, x: Any, *, ngspice: Program = None, timeout_s: float = 600.0
) -> tuple[LayerVoltages, ...]:
    """A whole network solved by ngspice, all layers in one circuit.

    Args:
        network: arrays, amplifiers, activations.
        x: inputs of the software network, (n, inputs) or (inputs,).
        ngspice: the program; None looks for it.
        timeout_s: time limit for all inputs [s].

    Returns:
        Row, amplifier and output voltages of each layer, as `Network.voltages`, in NumPy's
        float64.

    Raises:
        SpiceError: one of its kinds, by what went wrong.
        TypeError, ValueError: as `network_netlist`.
    """
    volts = input_volts(network, x)
    chain = Chain(0, network.layers)
    readings = measure_chain(chain, np.atleast_2d(volts), ngspice=ngspice, timeout_s=timeout_s)
    return tuple(
        LayerVoltages(*(v[0] if volts.ndim == 1 else v for v in voltages_of(chain, k, readings)))
        for k in range(len(chain.layers))
    )


def measure_array(
    array: Crossbar, v_in: Any, *, ngspice: Program, timeout_s: float
) -> tuple[Measured, np.ndarray, str]:
    """What ngspice finds on an array: voltages and currents, power (n,) [W], its version."""
    v = _inputs(v_in)
    text = plain_netlist(array, v[:, 0])
    steps = [{}] + [{f"vin_{i}": float(x) for i, x in enumerate(column)} for column in v.T[1:]]
    readings = run_netlist(text, steps, ngspice=ngspice, timeout_s=timeout_s)
    values = values_of(array)
    nodes = nodes_of(values, *ports(array))
    measured = measured_of(values, nodes, readings)
    # Not from the sources' currents: behind a small resistance ngspice finds them as a difference
    # of nearly equal voltages, with up to 1e-9 of error in small arrays.
    power = np.sum(v * measured.i_cell.sum(axis=1), axis=0)
    return measured, power, readings.version


def measure_chain(chain: Chain, v: np.ndarray, *, ngspice: Program, timeout_s: float) -> Readings:
    """Readings on consecutive layers for input voltages (n, inputs) [V]."""
    names = [name.lower() for name, _ in sources(chain)]
    steps = [{}] + [dict(zip(names, map(float, row), strict=True)) for row in v[1:]]
    text = chain_netlist(chain, v[0])
    return run_netlist(text, steps, ngspice=ngspice, timeout_s=timeout_s)


def voltages_of(chain: Chain, index: int, readings: Readings) -> LayerVoltages:
    """A layer's row, amplifier and output voltages, (n, ...) [V]."""
    names = chain.names(index)
    volts = [_voltages(readings, nodes).T for nodes in (names.drive, names.v_tia, names.v_out)]
    # NumPy arrays: JAX would round them to float32 while its 64-bit mode is off.
    return LayerVoltages(*cast(Any, volts))


def measured_of(values: Values, nodes: Nodes, readings: Readings) -> Measured:
    """Voltages and currents of an array."""
    v_word, v_bit = (
        np.stack([_voltages(readings, row) for row in names]) for names in (nodes.word, nodes.bit)
    )
    i_cell = values.current(v_word - v_bit)
    return Measured(v_word, v_bit, i_cell, _currents(readings, nodes.ammeters))


def _inputs(v_in: Any) -> np.ndarray:
    v = np.asarray(v_in, float)
    if v.ndim not in (1, 2) or 0 in v.shape:
        raise ValueError(f"v_in: got shape {v.shape}, needs (rows,) or (rows, n)")
    return v.reshape(len(v), -1)


def _voltages(readings: Readings, names: list[str]) -> np.ndarray:
    return np.array([[point[name] for point in readings.points] for name in names])


def _currents(readings: Readings, sources: list[str]) -> np.ndarray:
    return _voltages(readings, [f"i:{name}" for name in sources])


def _kcl_residual(values: Values, v_in: np.ndarray, i_cell: np.ndarray) -> float:
    """As `Solution.kcl_residual`: voltages from the currents by running sums, then Ohm's law."""
    behind = np.cumsum(i_cell[:, ::-1], axis=1)[:, ::-1]
    above = np.cumsum(i_cell, axis=0)
    steps = values.word_line[..., None] * behind
    steps[:, 0] += values.source[:, None] * behind[:, 0]
    v_word = v_in[:, None] - np.cumsum(steps, axis=1)
    rises = values.bit_line[..., None] * above
    rises[-1] += values.sense[:, None] * above[-1]
    v_bit = np.cumsum(rises[::-1], axis=0)[::-1]
    left = np.max(np.abs(values.current(v_word - v_bit) - i_cell), axis=(0, 1))
    largest = np.max(np.abs(i_cell), axis=(0, 1))
    return float(np.max(np.where(left == 0, 0, left / np.where(largest == 0, 1, largest))))
