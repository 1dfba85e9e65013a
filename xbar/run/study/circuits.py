"""Circuits of a study, from where they stand on its axes to their voltages. No physics of its own.

A healthy circuit is solved once, every array of it; a circuit with one broken layer needs that one
array solved anew, and the healthy transfer matrices do the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax import Array

from xbar.batch import Batching, batch_map
from xbar.cells.families import OHMIC, family
from xbar.circuit import LineFaults, Wires
from xbar.devices import ChipMap, Device, inject, random_mask
from xbar.devices.mapping import Pairs, Window
from xbar.io.maps import MAP
from xbar.learn.mlp import MLP
from xbar.nn import ADC, DAC, Hardware, Network
from xbar.nn.broken_lines import LINE_FAULTS, bridge_ohm, stacked_line_faults
from xbar.nn.corrected import ReadMode
from xbar.nn.stuck import stuck_by
from xbar.programs import program
from xbar.run.folders.runner import Arrays
from xbar.run.settings.cells import laws_of, parameters_in
from xbar.run.settings.chips import Kind, ages_of, as_chip, kinds_of, limits_of, made
from xbar.run.settings.faults import make_fault, stuck_value
from xbar.run.study.nonlinear import solve_healthy_cells
from xbar.run.study.plan import Plan, Table, row_keys
from xbar.run.study.software import StudyInputs

Maps = Mapping[str, ChipMap]  # measured chips by file, of the layer that is broken
OPTIONS = ("gain", "rail", "tile", "dac_bits", "adc_bits")  # of a circuit, the same for all


def solve_healthy(
    plan: Plan,
    rows: Table,
    models: MLP,
    parts: Mapping[str, Any],
    given: StudyInputs,
    how: Batching,
) -> Arrays:
    """Map software networks to arrays and solve every one of them.

    Args:
        plan: of the study.
        rows: of the table of healthy circuits, all of one law, mapping and kind of device.
        models: each row's software network, stacked.
        parts: "base" and "labelled" of each row: which images scale and which are read.
        given: the data.
        how: where.

    Returns:
        By name, leading with the rows: `network`, `transfer_0`, ... [S], `volts` (rows, labelled,
        classes) [V]. Of cells that are not resistors, `entering_1`, ... and `errors` instead of
        transfer matrices, as `solve_healthy_cells` gives them.
    """
    law = str(laws_of(rows)[0])
    circuits = {
        "model": models,
        "g": limits_of(rows, "window"),
        "r": rows["wire_ohm"],
        "key": plan.keys("chip", rows["seed"]),
        **ages_of(rows),
        "base": parts["base"],
        "labelled": parts["labelled"],
        "cells": parameters_in(rows, law),
    }
    asked, cells = plan.study.circuit, plan.study.cells
    options = {name: getattr(asked, name) for name in OPTIONS}
    read = "exact" if cells is None else cells.read
    static = (str(rows["mapping"][0]), kinds_of(rows)[0], tuple(options.items()), law, read)
    return _solve_healthy(circuits, given.images, *static, how)


@program(static_argnames=("mapping", "kind", "options", "law", "read", "how"))
def _solve_healthy(
    circuits: Arrays,
    images: Array,
    mapping: str,
    kind: Kind,
    options: tuple[tuple[str, Any], ...],
    law: str,
    read: ReadMode,
    how: Batching,
) -> Arrays:
    def one(row: Arrays, images: Array) -> Arrays:
        made_of = {
            "device": None if kind == Kind() else made(kind, row["sizes"]),
            "cells": family(law, row["cells"]),
        }
        place = (row["model"], row["g"], row["r"], images[row["base"]], mapping)
        network = map_network(*place, **made_of, **dict(options))
        network = as_chip(network, row["key"], row["seconds"])
        if law != OHMIC:
            return solve_healthy_cells(network, images[row["labelled"]], read)
        transfers = network.transfers()
        volts = network.apply(transfers, images[row["labelled"]])
        matrices = {f"transfer_{k}": t for k, t in enumerate(transfers)}
        return {"network": network, "volts": volts, **matrices}

    return batch_map(one, circuits, images, chunk=how.lanes, devices=how.mesh)


def map_network(
    model: MLP,
    window: Any,
    wire_ohm: Any,
    base: Array,
    mapping: str,
    *,
    gain: float | int | None,
    rail: float | int | None,
    tile: tuple[int, int] | None = None,
    dac_bits: int | None = None,
    adc_bits: int | None = None,
    device: Device | None = None,
    cells: Callable[[Any], Any] | None = None,
) -> Network:
    """A software network on arrays, as every study maps it.

    Args:
        model: the software network.
        window: smallest and largest conductance, (2,) [S].
        wire_ohm: of every segment, () [ohm].
        base: images that set the scales, (n, features).
        mapping: "unipolar" or "balanced".
        gain: open-loop gain of the amplifiers; None is ideal.
        rail: they clip at -rail and +rail [V]; None is never.
        tile: (rows, columns) of cells of one array; None for arrays as large as the layers.
        dac_bits: of converters at the rows, calibrated; None for none.
        adc_bits: of converters at the columns, calibrated; None for none.
        device: what cells are made of; None for cells that have and keep what is asked.
        cells: from conductances to a law; None for resistors.

    Returns:
        The network, healthy, at its targets.
    """
    return Network.from_weights(
        model.weights,
        model.biases,
        activation=model.activation,
        calibration=base,
        hardware=Hardware(
            window=Window(window[0], window[1]),
            wires=Wires(word_line=wire_ohm, bit_line=wire_ohm),
            mapping=mapping,
            tile=tile,
            device=device,
            cells=cells,
            dac=None if dac_bits is None else DAC(dac_bits),
            adc=None if adc_bits is None else ADC(adc_bits),
            open_loop_gain=np.inf if gain is None else gain,
            v_min=None if rail is None else -rail,
            v_max=rail,
        ),
    )


def hits(plan: Plan, rows: Table, shape: tuple[int, int], maps: Maps) -> np.ndarray:
    """Which pairs of the broken layer are hit, (rows, inputs + 1, outputs)."""
    keys = row_keys(plan, "defect", rows)
    found = np.zeros((len(keys), *shape), bool)
    kinds = list(zip(rows["shape"].tolist(), rows["bias_row"].tolist(), strict=True))
    for number in np.flatnonzero(rows["shape"] == MAP):
        known = np.asarray(_chip(maps, rows, number).known)
        found[number] = known.reshape(*shape, 2).any(-1)
    for name, bias in sorted({kind for kind in kinds if kind[0] != MAP}):
        chosen = np.array([kind == (name, bias) for kind in kinds])
        inside = np.asarray(_hits(name, shape, bias == "with", keys, rows["coverage"]))
        found[chosen] = inside[chosen]
    return found


def stuck_cells(rows: Table, hit: np.ndarray, maps: Maps) -> np.ndarray:
    """Which cells of the broken layer are stuck, (rows, inputs + 1, 2 * outputs).

    Of a measured chip only those that it knows, though the pair counts as hit.
    """
    found = [stuck_by(fault, one) for fault, one in zip(rows["fault"].tolist(), hit, strict=True)]
    for number in np.flatnonzero(rows["fault"] == MAP):
        found[number] = np.asarray(_chip(maps, rows, number).known)
    return np.stack(found)


def _chip(maps: Maps, rows: Table, number: Any) -> ChipMap:
    """The measured chip of a row: that of its place, where the file has several."""
    found = maps[str(rows["stuck"][number])]
    return found if len(found.shape) == 2 else found[int(rows["placement"][number])]


@program(static_argnames=("name", "shape", "bias_row"))
def _hits(name: str, shape: tuple[int, int], bias_row: bool, keys: Array, coverage: Array) -> Array:
    def one(key: Array, coverage: Array) -> Array:
        return random_mask(name, key, coverage).mask(shape, include_bias_row=bias_row)

    return jax.vmap(one)(keys, coverage)


def break_pairs(
    plan: Plan, rows: Table, g_plus: Any, g_minus: Any, hit: np.ndarray, maps: Maps
) -> tuple[np.ndarray, np.ndarray]:
    """Conductances with the defect of each row in them, plus and minus cells [S].

    Args:
        plan: of the study.
        rows: of its table, all with the same layer broken.
        g_plus: healthy plus cells of that layer, (rows, inputs + 1, outputs) [S].
        g_minus: healthy minus cells [S].
        hit: which pairs are hit.
        maps: measured chips.

    Returns:
        Plus and minus cells [S].
    """
    keys = row_keys(plan, "fault", rows)
    windows = limits_of(rows, "stuck_window")
    plus, minus = np.array(g_plus), np.array(g_minus)
    # Where lines are broken, no cell is stuck: the healthy conductances stay. Maps come last.
    others = (*LINE_FAULTS, MAP)
    faults = [
        ("pair", "on") if fault in others else (fault, stuck)
        for fault, stuck in zip(rows["fault"].tolist(), rows["stuck"].tolist(), strict=True)
    ]
    whole = np.array([fault not in others for fault in rows["fault"].tolist()])
    hit = hit & whole[:, None, None]
    stuck = [stuck_value(*pair) for pair in faults]
    modes = [
        (f, s if isinstance(s, str) else "value") for (f, _), s in zip(faults, stuck, strict=True)
    ]
    g = np.array([0.0 if isinstance(s, str) else s for s in stuck])
    for fault, mode in sorted(set(modes)):
        chosen = np.array([pair == (fault, mode) for pair in modes])
        found = _break_pairs(fault, mode, g_plus, g_minus, hit, keys, windows, g)
        plus[chosen], minus[chosen] = (np.asarray(x)[chosen] for x in found)
    for number in np.flatnonzero(rows["fault"] == MAP):
        pairs, window = Pairs(plus[number], minus[number]), Window(*windows[number])
        found = _chip(maps, rows, number).apply(pairs, None, window)
        plus[number], minus[number] = np.asarray(found.g_plus), np.asarray(found.g_minus)
    return plus, minus


def break_lines(rows: Table, hit: np.ndarray) -> LineFaults | None:
    """Line faults of the broken layer, stacked; None where all lines are whole.

    Args:
        rows: of the study's table, all with the same layer broken.
        hit: which pairs are hit, (rows, inputs + 1, outputs).
    """
    faults, stuck = rows["fault"].tolist(), rows["stuck"].tolist()
    return stacked_line_faults(faults, hit, [*map(bridge_ohm, faults, stuck)])


@program(static_argnames=("fault", "mode"))
def _break_pairs(fault: str, mode: str, *circuits: Array) -> tuple[Array, Array]:
    def one(plus: Array, minus: Array, hit: Array, key: Array, limits: Array, g: Array) -> Any:
        kind = make_fault(fault, g if mode == "value" else mode)
        pairs = inject(Pairs(plus, minus), hit, kind, Window(*limits), key)
        return pairs.g_plus, pairs.g_minus

    return jax.vmap(one)(*circuits)


def solve_broken(
    layer: int,
    healthy: Arrays,
    pairs: tuple[np.ndarray, np.ndarray],
    labelled: Any,
    images: Array,
    how: Batching,
    line_faults: LineFaults | None = None,
) -> Array:
    """Output voltages with other conductances in one layer, (rows, labelled, classes) [V].

    Args:
        layer: the layer whose array is solved.
        healthy: `network` and `transfer_0`, ... of each row, as `solve_healthy` gives them.
        pairs: plus and minus cells of the layer, (rows, inputs + 1, outputs) [S].
        labelled: images that each row reads, (rows, labelled).
        images: all inputs.
        how: where.
        line_faults: of the layer's array, stacked; None for whole lines.

    Returns:
        Voltages; NaN where an array could not be solved within the solver's tolerance.
    """
    rows = {**healthy, "plus": pairs[0], "minus": pairs[1], "labelled": labelled}
    if line_faults is not None:
        rows["line_faults"] = line_faults
    return _solve_broken(rows, images, layer, how)


@program(static_argnames=("layer", "how"))
def _solve_broken(rows: Arrays, images: Array, layer: int, how: Batching) -> Array:
    def one(row: Arrays, images: Array) -> Array:
        network, pairs = row["network"], Pairs(row["plus"], row["minus"])
        transfers = [row[f"transfer_{k}"] for k in range(len(network.layers))]
        broken = replace(network.layers[layer], pairs=pairs, line_faults=row.get("line_faults"))
        transfers[layer] = broken.transfer()
        return network.apply(transfers, images[row["labelled"]])

    return batch_map(one, rows, images, chunk=how.lanes, devices=how.mesh)
