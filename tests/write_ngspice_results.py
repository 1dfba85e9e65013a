"""Write tests/data/ngspice/*.json: circuits as explicit numbers, and what ngspice finds.

    python tests/write_ngspice_results.py

To be run again when the exporter's text changes on purpose; the tests compare hash and numbers.
"""

import json
import re
from functools import partial

import jax
import numpy as np
from circuits import random_circuit
from spice_cases import (
    COMMITTED,
    LAWS,
    array_of,
    netlist_of,
    network_of,
    random_law,
    sha256,
    small_network,
)

from xbar.spice import find_ngspice, run_array, run_network

jax.config.update("jax_enable_x64", True)


def array_case(seed: int, rows: int, cols: int, regime: str, wires: str) -> dict:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, rows, cols, regime)
    scale = 0.0 if wires == "zero" else 1.0
    names = ("word_line", "bit_line", "source", "sense")
    return {
        "g": np.where(rng.random((rows, cols)) < 0.1, 0, circuit.g).tolist(),
        "wires": {name: (scale * getattr(circuit, name)).tolist() for name in names},
        "v_in": np.stack([circuit.v_in, rng.uniform(-1, 1, rows)], axis=1).tolist(),
    }


def law_case(kind: str, size: tuple[int, int], ohms: float, volts: float) -> dict:
    rng = np.random.default_rng([size[0], *kind.encode()])
    return {
        "kind": kind,
        "law": random_law(kind, rng, size),
        "wires": {"word_line": ohms, "bit_line": ohms, "source": 2 * ohms, "sense": ohms},
        "v_in": rng.uniform(-volts, volts, (size[0], 1)).tolist(),
    }


def backward_case() -> dict:
    """Bit lines rise above word lines that are held at 0 V: drain and source exchange."""
    case = law_case("1T1R", (8, 8), 30.0, 1.0)
    case["wires"]["sense"] = 300.0
    return case | {"v_in": [[float(1 - row % 2)] for row in range(8)]}


LAW_CASES = {"2x2": ((2, 2), 1.0, 0.3), "5x7": ((5, 7), 100.0, 1.0), "16x16": ((16, 16), 30.0, 1.0)}


def network_case(activation: str, **amplifiers: float) -> dict:
    network, x = small_network(activation, **amplifiers)
    layers = [
        {
            "g_plus": layer.pairs.g_plus.tolist(),
            "g_minus": layer.pairs.g_minus.tolist(),
            "wires": {name: float(leaf) for name, leaf in layer.wires.leaves.items()},
            # Text, since JSON has no infinity.
            "readout": [
                repr(float(value))
                for value in (
                    layer.readout.r_f,
                    layer.readout.open_loop_gain,
                    layer.readout.v_min,
                    layer.readout.v_max,
                )
            ],
            "k": float(layer.k),
            "activation": layer.activation,
        }
        for layer in network.layers
    ]
    return {"k_in": float(network.k_in), "x": x.tolist(), "layers": layers}


CASES = {
    "array_mild": lambda: array_case(1, 6, 5, "mild", "given"),
    "array_severe": lambda: array_case(2, 5, 7, "severe", "given"),
    "array_zero_wires": lambda: array_case(3, 6, 5, "mild", "zero"),
    **{
        f"law_{re.sub('[^a-z0-9]+', '_', kind.lower())}_{size}": partial(law_case, kind, *how)
        for kind in LAWS
        for size, how in LAW_CASES.items()
    },
    "law_1t1r_backward": backward_case,
    "network_relu_ideal": lambda: network_case("relu"),
    "network_tanh_gain_rails": lambda: network_case(
        "tanh", open_loop_gain=1e3, v_min=-0.15, v_max=0.1
    ),
}


def found(case: dict) -> dict:
    if "layers" in case:
        volts = run_network(*network_of(case))
        return {"v_out": [np.asarray(layer.v_out).tolist() for layer in volts]}
    solution = run_array(*array_of(case))
    names = ("v_word", "v_bit", "i_cell", "i_out")
    return {name: np.asarray(getattr(solution, name)).tolist() for name in names}


if __name__ == "__main__":
    COMMITTED.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        case = make()
        case |= {
            "ngspice": find_ngspice().version,
            "netlist_sha256": sha256(netlist_of(case)),
            "found": found(case),
        }
        (COMMITTED / f"{name}.json").write_text(json.dumps(case) + "\n")
        print(name, case["netlist_sha256"][:12])  # noqa: T201
