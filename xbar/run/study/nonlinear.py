"""Circuits of a study whose cells are not resistors: read input by input, or nearly so.

No transfer matrix stands for such an array. What enters the layer that is broken is kept from the
healthy circuit instead, so that a defective circuit costs its broken layer and those behind it.
"""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.batch import Batching, batch_map, map_blocks
from xbar.cells.families import family
from xbar.circuit import LineFaults
from xbar.devices.mapping import Pairs
from xbar.nn.corrected import Passed, ReadMode, passed, with_law
from xbar.programs import program
from xbar.run.folders.runner import Arrays

# Inputs that one array is solved for at a time: what few of them need stays near the cache.
AT_ONCE = 64


def read_layers(layers: Any, v: Array, read: ReadMode) -> Passed:
    """Voltages of consecutive layers as `xbar.nn.corrected.passed`, some inputs at a time.

    Args:
        layers: of any cells.
        v: input voltages of the first, (n, inputs) [V].
        read: "exact" or "corrected".
    """
    if read == "corrected" or len(v) <= AT_ONCE:
        return passed(layers, v, read)
    volts = map_blocks(lambda block: passed(layers, block).volts, v, size=AT_ONCE)
    return Passed(volts, jnp.zeros(len(layers), v.dtype))


def solve_healthy_cells(network: Any, x: Array, read: ReadMode) -> Arrays:
    """What `solve_healthy` finds of one network whose cells are not resistors.

    Args:
        network: with its law.
        x: inputs that are read, (labelled, inputs).
        read: "exact" or "corrected".

    Returns:
        `network` without its law; `volts`; `entering_1`, ...: what enters the later layers,
        (labelled, inputs) [V]; `errors` of each layer's currents, (layers,).
    """
    found = read_layers(network.layers, network.input_volts(x), read)
    *before, last = [around.v_out for around in found.volts]
    entering = {f"entering_{k}": v for k, v in enumerate(before, 1)}
    alone = with_law(network, None)
    return {"network": alone, "volts": last, "errors": found.errors, **entering}


def solve_broken_cells(
    layer: int,
    healthy: Arrays,
    pairs: tuple[np.ndarray, np.ndarray],
    stuck: np.ndarray,
    labelled: Any,
    images: Array,
    cells: tuple[str, Arrays, ReadMode],
    how: Batching,
    line_faults: LineFaults | None = None,
) -> Arrays:
    """Output voltages with other conductances in one layer, of cells that are not resistors.

    Args:
        layer: the layer whose array is broken.
        healthy: of each row, as `solve_healthy_cells` gives it.
        pairs: plus and minus cells of the layer, (rows, inputs + 1, outputs) [S].
        stuck: which cells are stuck, (rows, inputs + 1, 2 * outputs): they are resistors.
        labelled: images that each row reads, (rows, labelled).
        images: all inputs.
        cells: the law, its parameters of each row, and how arrays are read.
        how: where.
        line_faults: of the layer's array, stacked; None for whole lines.

    Returns:
        `volts`, (rows, labelled, classes) [V], NaN where an array could not be solved; `errors` of
        each layer's currents, (rows, layers).
    """
    law, parameters, read = cells
    circuits = {
        "network": healthy["network"],
        "errors": healthy["errors"],
        "plus": pairs[0],
        "minus": pairs[1],
        "stuck": stuck,
        "parameters": parameters,
        "labelled": labelled,
    }
    if layer:
        circuits["entering"] = healthy[f"entering_{layer}"]
    if line_faults is not None:
        circuits["line_faults"] = line_faults
    return _solve_broken_cells(circuits, images, layer, law, read, how)


@program(static_argnames=("layer", "law", "read", "how"))
def _solve_broken_cells(
    circuits: Arrays, images: Array, layer: int, law: str, read: ReadMode, how: Batching
) -> Arrays:
    def one(row: Arrays, images: Array) -> Arrays:
        cells, stuck = family(law, row["parameters"]), {layer: row["stuck"]}
        network = with_law(row["network"], cells, stuck)
        pairs, lines = Pairs(row["plus"], row["minus"]), row.get("line_faults")
        broken = replace(network.layers[layer], pairs=pairs, line_faults=lines)
        v = row["entering"] if layer else network.input_volts(images[row["labelled"]])
        found = read_layers((broken, *network.layers[layer + 1 :]), v, read)
        errors = jnp.concatenate([row["errors"][:layer], found.errors])
        return {"volts": found.volts[-1].v_out, "errors": errors}

    return batch_map(one, circuits, images, chunk=how.lanes, devices=how.mesh)
