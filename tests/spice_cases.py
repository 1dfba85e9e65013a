"""What the tests of `xbar.spice` share: whether ngspice is there, networks, committed results."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.devices.mapping import Pairs, Window
from xbar.nn import Layer, Network, Readout
from xbar.spice import SpiceError, array_netlist, find_ngspice, network_netlist

COMMITTED = Path(__file__).parent / "data" / "ngspice"


def _reason() -> str:
    try:
        find_ngspice()
    except SpiceError as error:
        return str(error)
    return ""


needs_ngspice = pytest.mark.skipif(bool(_reason()), reason=_reason() or "ngspice is there")


def small_network(activation: str = "relu", **amplifiers: Any) -> tuple[Network, np.ndarray]:
    """A 6-5-4-3 network with wires, and three inputs; its shapes are the same for all options."""
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=shape) for shape in ((6, 5), (5, 4), (4, 3))]
    biases = [rng.normal(size=n) for n in (5, 4, 3)]
    wires = xb.Wires(word_line=5.0, bit_line=3.0, source=10.0, sense=2.0)
    network = Network.from_weights(
        weights, biases, activation=activation, wires=wires, **amplifiers
    )
    return network, rng.uniform(0, 1, (3, 6))


def array_of(case: dict[str, Any]) -> tuple[xb.Crossbar, np.ndarray]:
    """The array of a committed result, and its inputs (rows, n)."""
    wires = xb.Wires(**{name: np.array(r) for name, r in case["wires"].items()})
    return xb.Crossbar(np.array(case["g"]), wires), np.array(case["v_in"])


def network_of(case: dict[str, Any]) -> tuple[Network, np.ndarray]:
    """The network of a committed result, from explicit numbers, and its inputs (n, inputs)."""
    layers = tuple(
        Layer(
            pairs=Pairs(np.array(part["g_plus"]), np.array(part["g_minus"])),
            window=Window.preset(),
            wires=xb.Wires(**part["wires"]),
            readout=Readout(*(float(x) for x in part["readout"])),
            s=jnp.asarray(1.0),
            k=jnp.asarray(part["k"]),
            v_bias=jnp.asarray(0.2),
            activation=part["activation"],
        )
        for part in case["layers"]
    )
    return Network(layers, jnp.asarray(case["k_in"])), np.array(case["x"])


def netlist_of(case: dict[str, Any]) -> str:
    """What the exporter writes for a committed result's first input."""
    if "layers" in case:
        network, x = network_of(case)
        return network_netlist(network, x[0])
    array, v_in = array_of(case)
    return array_netlist(array, v_in[:, 0])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def committed() -> dict[str, dict[str, Any]]:
    """All committed results by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(COMMITTED.glob("*.json"))}
