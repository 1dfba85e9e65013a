"""What must hold if the physics is right, on output voltages."""

from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from xbar.io.runs import Run
from xbar.io.store import Field
from xbar.learn.mlp import MLP
from xbar.paper.experiment import column
from xbar.paper.lab import Lab
from xbar.paper.tables import over_seeds, where
from xbar.run.config import CircuitSettings, DefectSettings, StoreSettings

PRECISION = 1e-9  # of a network's output voltages, relative to the largest; arrays hold 1e-10
RATIOS = (0.0, 1e-5, 1e-4, 5e-4)  # wire resistance per segment over R_on
R_ON = 10e3  # of the default window [ohm]


def checks_table(lab: Lab, circuits: dict[str, Field]) -> dict[str, Field]:
    """All checks, a row for each.

    Args:
        lab: where to compute.
        circuits: the experiment's circuits, with their RMS errors.

    Returns:
        Columns: check, condition, quantity, left, right, holds.
    """
    table = {name: np.asarray(field.values) for name, field in circuits.items()}
    rows = [*zero_wires(lab), *wires_separate(lab), *_worse(table)]
    names = ("check", "condition", "quantity", "left", "right", "holds")
    about = ("of the study", "where", "what is compared", "this", "needs to be below this", "it is")
    columns = zip(*rows, strict=True)
    return {n: column(v, "1", a) for n, a, v in zip(names, about, columns, strict=True)}


Row = tuple[str, str, str, float, float, bool]


def _below(check: str, condition: str, quantity: str, left: float, right: float) -> Row:
    return check, condition, quantity, float(left), float(right), bool(left < right)


def zero_wires(lab: Lab) -> list[Row]:
    """1: without wires stuck-on is stuck-off, and both are the software network with weights 0."""
    asked = lab.settings
    study = lab.base(
        circuit=CircuitSettings(wire_ohm=0.0),
        defects=(
            DefectSettings(
                asked.stuck_shapes, asked.stuck_coverage, asked.layers, "pair", ("on", "off")
            ),
        ),
        store=StoreSettings("test", arrays=True),
    )
    run = lab.study("zero_wires", study)
    table, rows = run.table, []
    for layer in asked.layers:
        apart, off_software = 0.0, 0.0
        for circuit in np.flatnonzero((table["layer"] == layer) & (table["stuck"] == "on")):
            same = (table["layer"] == layer) & (table["stuck"] == "off")
            for name in ("seed", "shape", "placement"):
                same &= table[name] == table[name][circuit]
            (on, off), _ = run.voltages([circuit, int(np.flatnonzero(same)[0])])
            largest = np.abs(on).max()
            apart = max(apart, np.abs(on - off).max() / largest)
            expected = without(run, int(circuit), layer)
            off_software = max(off_software, np.abs(on - expected).max() / largest)
        where_ = f"layer {layer}"
        rows += [
            _below("1", where_, "stuck-on against stuck-off, no wires", apart, PRECISION),
            _below("1", where_, "against software with weights 0", off_software, PRECISION),
        ]
    return rows


def without(run: Run, circuit: int, layer: int) -> np.ndarray:
    """Output voltages of the software network with the stuck pairs' weights and biases at 0 [V]."""
    software, hit = run.software(circuit), jnp.asarray(run.hit(circuit))
    weights, biases = list(software.weights), list(software.biases)
    weights[layer] = jnp.where(hit[:-1], 0, weights[layer])
    biases[layer] = jnp.where(hit[-1], 0, biases[layer])
    model = MLP(tuple(weights), tuple(biases), software.activation)
    images = run.images[run.parts["test"][circuit]]
    scale = run.network("healthy", circuit).output_scale
    return np.asarray(scale * model(jnp.asarray(images)))


def wires_separate(lab: Lab) -> list[Row]:
    """2: wires part stuck-on and stuck-off in the first layer, the more the worse they are."""
    asked = lab.settings
    study = lab.base(
        circuit=CircuitSettings(wire_ohm=tuple(R_ON * ratio for ratio in RATIOS)),
        defects=(
            DefectSettings(asked.stuck_shapes, asked.stuck_coverage, 0, "pair", ("on", "off")),
        ),
        store=StoreSettings("test"),
    )
    run = lab.study("wires_separate", study)
    table, apart = run.table, []
    for ratio in RATIOS:
        on, off = (
            run.voltages(run.rows(wire_ohm=R_ON * ratio, stuck=stuck))[0] for stuck in ("on", "off")
        )
        apart.append(float(np.sqrt(np.mean((on - off) ** 2) / np.mean(off**2))))
    assert len(table["seed"]) == len(RATIOS) * 2 * asked.seeds * len(asked.stuck_shapes)
    return [
        _below("2", f"layer 0, r / R_on {a:g} to {b:g}", "stuck-on against stuck-off, RMS", x, y)
        for (a, x), (b, y) in pairwise(zip(RATIOS, apart, strict=True))
    ]


def _worse(table: dict[str, Any]) -> list[Row]:
    """3 and 4: unequal is worse than equal, one-sided stuck-on worse than stuck-off; RMS errors."""
    rows = []
    for mapping in ("unipolar", "balanced"):
        for layer in np.unique(table["layer"]):
            place = where(table, mapping=mapping, layer=layer)

            def mean(fault: tuple[str, ...], stuck: tuple[str, ...], place: Any = place) -> float:
                chosen = np.isin(table["fault"], fault) & np.isin(table["stuck"], stuck)
                return over_seeds(table, table["rms"], place & chosen).mean

            words = f"layer {layer}, {mapping}"
            both = ("on", "off")
            equal, unequal = mean(("pair",), both), mean(("unequal",), ("random",))
            rows.append(_below("3", words, "RMS error, equal against unequal", equal, unequal))
            off, on = (mean(("plus", "minus"), (stuck,)) for stuck in ("off", "on"))
            rows.append(_below("4", words, "RMS error, one-sided off against on", off, on))
    return rows
