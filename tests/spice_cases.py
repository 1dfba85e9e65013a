"""What the tests of `xbar.spice` share: whether ngspice is there, networks, committed results."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import cells
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
    circuit = amplifiers if "hardware" in amplifiers else {"wires": wires, **amplifiers}
    network = Network.from_weights(weights, biases, activation=activation, **circuit)
    return network, rng.uniform(0, 1, (3, 6))


def array_of(case: dict[str, Any]) -> tuple[xb.Crossbar, np.ndarray]:
    """The array of a committed result, and its inputs (rows, n)."""
    wires = xb.Wires(**{name: np.array(r) for name, r in case["wires"].items()})
    law = law_of(case["law"]) if "law" in case else np.array(case["g"])
    return xb.Crossbar(law, wires), np.array(case["v_in"])


def law_of(case: dict[str, Any]) -> cells.AbstractCell:
    """A law by its class and its arguments, which may be laws."""
    arguments = {
        name: law_of(value) if isinstance(value, dict) else np.array(value)
        for name, value in case.items()
        if name != "kind"
    }
    return getattr(cells, case["kind"])(**arguments)


def random_law(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, Any]:
    """A law with random parameters for `law_of`; open, stuck and differing cells among them."""

    def log(low: float, high: float) -> Any:
        return np.exp(rng.uniform(np.log(low), np.log(high), shape)).tolist()

    g = np.where(rng.random(shape) < 0.1, 0, log(1e-6, 1e-4)).tolist()
    ohmic = {"kind": "Ohmic", "g": g}
    v_0 = rng.uniform(0.1, 0.5, shape).tolist()
    laws: dict[str, dict[str, Any]] = {
        "sinh": {"kind": "Sinh", "g": g, "v_0": 0.1},
        "sinh, v_0 of each cell": {"kind": "Sinh", "g": g, "v_0": v_0},
        "stanford": {"kind": "Stanford", "gap": rng.uniform(2e-10, 1.7e-9, shape).tolist()},
        "polynomial": {
            "kind": "Polynomial",
            "coefficients": [log(3e-5, 6e-5), log(1e-7, 1e-6), log(1e-6, 1e-5)],
        },
        "selector": {"kind": "Selector", "i_s": log(1e-10, 1e-8), "v_s": 0.06},
        "1S1R": {
            "kind": "Series",
            "a": ohmic,
            "b": {"kind": "Selector", "i_s": 1e-9, "v_s": 0.06},
        },
        "1T1R": {
            "kind": "Series",
            "a": {"kind": "Ohmic", "g": log(1e-5, 1e-3)},
            "b": {"kind": "Transistor", "beta": log(5e-5, 2e-4), "v_ov": 0.4},
        },
        "stuck among others": {
            "kind": "Where",
            "mask": (rng.random(shape) < 0.2).tolist(),
            "a": {"kind": "Ohmic", "g": 1e-3},
            "b": {"kind": "Sinh", "g": g, "v_0": 0.1},
        },
    }
    return laws[kind]


LAWS = (
    "sinh",
    "sinh, v_0 of each cell",
    "stanford",
    "polynomial",
    "selector",
    "1S1R",
    "1T1R",
    "stuck among others",
)


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
