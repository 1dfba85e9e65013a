"""Faults of single cells, alone and together: each stage returns arrays by name, which are kept.

The last one is the referee: ngspice on the worst single fault of each layer.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xbar import sensitivity as sens
from xbar.nn import chip_map
from xbar.nn.floorplan import tile_shape
from xbar.run.folders.runner import Arrays
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.source import Source
from xbar.sensitivity.all_cells import (
    BLOCK,
    conductances,
    places_of,
    solve_all,
    stuck_conductances,
)
from xbar.sensitivity.arrays import crossbars_of, tiling_of
from xbar.sensitivity.expansion import expansion
from xbar.sensitivity.gradient_maps import wire_slopes
from xbar.sensitivity.worst_cells import (
    Chosen,
    greedy_cells,
    individually_worst,
    random_circuits,
    single_losses,
)
from xbar.sensitivity.yields import Effects, Rates, drawn_circuits, predicted_sample
from xbar.solve import solve
from xbar.spice import SpiceError, find_ngspice
from xbar.spice.run import run_array
from xbar.spice.verify import compare

Done = Callable[[int], None]
# Shares of the way from the programmed to the stuck conductance at which derivatives are tested.
# Groups of as many circuits as are solved: what their mean may be, if effects add up.
GROUPS = 200
FRACTIONS = (0.01, 0.03, 0.1, 0.3, 1.0)


def key_of(config: SensitivityConfig, purpose: int) -> jax.Array:
    """A key of its own for each purpose."""
    return jax.random.fold_in(jax.random.key(config.seed), purpose)


def maps(source: Source, done: Done) -> Arrays:
    """Gradients, exact single-fault maps and expansions of every layer, on the test part.

    Returns:
        `healthy` (loss, accuracy), and for each `layer_k` the maps.
    """
    x, labels = source.part("test")
    base = sens.baseline(source.network, x, labels)
    wires, score = wire_slopes(base), base.scores()
    found: Arrays = {"healthy": {"loss": score.loss, "accuracy": score.accuracy}}
    for number, slopes in enumerate(wires):
        layer: Arrays = {
            "g": source.network.layers[number].pairs.interleave(),
            "slope_word_line": slopes.word_line,
            "slope_bit_line": slopes.bit_line,
        }
        second = expansion(base, number)
        layer |= {"slope": second.slope, "curvature": second.curvature}
        for kind in KINDS:
            faults = {
                "cell": sens.cell_faults,
                "pair": sens.pair_faults,
                "row": sens.row_faults,
                "column": sens.column_faults,
            }
            for name, fault in faults.items():
                one = fault(base, number, kind)
                layer[f"{name}_{kind}"] = {"loss": one.loss, "accuracy": one.accuracy}
            layer[f"g_{kind}"] = sens.stuck_values(base, number, kind)
            done(1)
        for line, one in sens.segment_faults(base, number)._asdict().items():
            layer[f"segment_{line}"] = {"loss": one.loss, "accuracy": one.accuracy}
        found[f"layer_{number}"] = layer
    return jax.tree.map(np.asarray, found)


def chip(source: Source, kept: Arrays) -> Arrays:
    """What each single fault changes, by its place on a chip of tiles of one shape.

    Args:
        source: the network and its images.
        kept: what `maps` found.

    Returns:
        Change of the loss by kind, (rows, columns) of the chip; nothing for other networks.
    """
    network = source.network
    if tile_shape(network) is None:
        return {}
    harm = {
        kind: [
            kept[f"layer_{k}"][f"cell_{kind}"]["loss"] for k in range(len(source.network.layers))
        ]
        for kind in KINDS
    }
    healthy = kept["healthy"]["loss"]
    return {kind: chip_map(network, losses) - healthy for kind, losses in harm.items()}


def steps(source: Source, done: Done) -> Arrays:
    """Exact change of the loss for faults of growing size, of every cell, towards stuck-on.

    Returns:
        For each `layer_k`, `change` (fractions, rows, cols): of the loss.
    """
    x, labels = source.part("test")
    base = sens.baseline(source.network, x, labels)
    healthy, found = base.scores().loss, {}
    for number, part in enumerate(source.network.layers):
        programmed, on = part.pairs.interleave(), sens.stuck_values(base, number, "on")
        change = []
        for fraction in FRACTIONS:
            g = programmed + fraction * (on - programmed)
            change.append(np.asarray(sens.cell_faults(base, number, g).loss - healthy))
            done(1)
        found[f"layer_{number}"] = {"change": np.stack(change)}
    return found


def cells(source: Source, config: SensitivityConfig, done: Done) -> Arrays:
    """The worst cells together: greedy, individually worst and random ones.

    They are chosen by other images than the test part, which scores them; once among all cells, and
    once among the cells of weights, as bias rows are always driven.

    Returns:
        Groups `greedy_all`, `alone_all`, `greedy_weights` and `alone_weights` (cell, g, seen_loss,
        loss, accuracy, each (k,)), and `random` (count, loss, accuracy, (counts,) and
        (counts, samples)).
    """
    network, seen, found = source.network, source.seen(), {}
    single, most = single_losses(network, *seen), most_cells(source, config)
    for name, among in (("all", None), ("weights", ~bias_cells(source))):
        options: dict[str, Any] = {"among": among}
        greedy = greedy_cells(network, *seen, most, done=done, **options)
        alone = individually_worst(network, single, *seen, most, **options)
        found |= {
            f"greedy_{name}": _scored(source, greedy),
            f"alone_{name}": _scored(source, alone),
        }
    counts, scored = random_counts(most), []
    for count in counts:
        drawn = random_circuits(network, key_of(config, 1), count, config.samples)
        scored.append(_solved(source, drawn))
        done(1)
    found["random"] = {"count": np.array(counts)} | {
        name: np.stack([one[name] for one in scored]) for name in ("loss", "accuracy")
    }
    return found


def bias_cells(source: Source) -> np.ndarray:
    """Whether each cell, all in a row, is in a bias row, (cells,)."""
    at = places_of(source.network)
    last = np.array([layer.pairs.shape[0] - 1 for layer in source.network.layers])
    return at.row == last[at.layer]


def _scored(source: Source, chosen: Chosen) -> Arrays:
    """What the first 1, 2, ... of the chosen cells do on the test part."""
    g = np.tile(np.asarray(conductances(source.network)), (len(chosen.cell), 1))
    for k, (cell, value) in enumerate(zip(chosen.cell, chosen.g, strict=True)):
        g[k:, cell] = value
    seen = {"cell": chosen.cell, "g": chosen.g, "seen_loss": chosen.loss}
    return {**seen, **_solved(source, g)}


def most_cells(source: Source, config: SensitivityConfig) -> int:
    """How many cells are stuck together at most: weights of a small network have fewer."""
    return min(config.cells, int(np.sum(~bias_cells(source))))


def random_counts(most: int) -> list[int]:
    """Numbers of random cells that are compared with the worst ones."""
    return [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= most]


def _solved(source: Source, g: Any, done: Done = lambda _: None) -> Arrays:
    """Loss and accuracy on the test part of circuits solved anew."""
    x, labels = source.part("test")
    found = []
    for first in range(0, len(g), BLOCK):
        block = jnp.asarray(g[first : first + BLOCK])
        found.append(jax.tree.map(np.asarray, solve_all(source.network, block, x, labels)))
        done(len(block))
    return {
        "loss": np.concatenate([one.loss for one in found]),
        "accuracy": np.concatenate([one.accuracy for one in found]),
    }


def yields(source: Source, config: SensitivityConfig, kept: Arrays, done: Done) -> Arrays:
    """Accuracy over circuits with random faults: predicted from the map, and solved exactly.

    Returns:
        `rate` (rates,), `predicted` (rates, GROUPS, samples) and `solved` (rates, samples), test
        accuracies.
    """
    network, layers = source.network, range(len(source.network.layers))
    healthy = kept["healthy"]["accuracy"]
    on, off = (
        np.concatenate([kept[f"layer_{k}"][f"cell_{kind}"]["accuracy"].ravel() for k in layers])
        for kind in KINDS
    )
    effects = Effects(*map(jnp.asarray, (healthy, on - healthy, off - healthy)))
    g = conductances(network)
    g_on, g_off = (stuck_conductances(network, kind) for kind in KINDS)
    keys = jax.random.split(key_of(config, 4), config.samples)
    predicted, solved = [], []
    for rate in config.rates:
        rates = Rates(rate / 2, rate / 2)
        sample = predicted_sample(effects, rates, key_of(config, 5), GROUPS * config.samples)
        predicted.append(np.asarray(sample).reshape(GROUPS, config.samples))
        drawn = drawn_circuits(g, g_on, g_off, rates, keys)
        solved.append(_solved(source, drawn, done)["accuracy"])
    found = {"predicted": np.stack(predicted), "solved": np.stack(solved)}
    return {"rate": np.array(config.rates), **found}


# What became of a layer, by its number in `status`.
STATUS = ("agrees", "disagrees", "no result", "left out", "no ngspice")


def referee(source: Source, config: SensitivityConfig, kept: Arrays) -> Arrays:
    """Solve each layer with its worst single fault in ngspice, for one image of the test part.

    Of a layer in tiles, the tile that has the fault.

    Returns:
        For each layer: `status` (a place in `STATUS`), largest relative `error` and `seconds` of
        writing, running and reading ngspice; NaN where there is none.
    """
    count = len(source.network.layers)
    nothing = {"error": np.full(count, np.nan), "seconds": np.full(count, np.nan)}
    if config.ngspice_s == 0:
        return {"status": np.full(count, STATUS.index("left out")), **nothing}
    try:
        program = find_ngspice(None)
    except SpiceError:
        return {"status": np.full(count, STATUS.index("no ngspice")), **nothing}
    rows = [_one(source, config, kept, number, program) for number in range(count)]
    status, error, seconds = (np.array(column) for column in zip(*rows, strict=True))
    return {"status": status, "error": error, "seconds": seconds}


def _one(
    source: Source, config: SensitivityConfig, kept: Arrays, number: int, program: Any
) -> tuple[int, float, float]:
    maps = kept[f"layer_{number}"]
    losses = {kind: np.nan_to_num(maps[f"cell_{kind}"]["loss"], nan=-np.inf) for kind in KINDS}
    kind = max(KINDS, key=lambda name: losses[name].max())
    cell = np.array(np.unravel_index(np.argmax(losses[kind]), losses[kind].shape))
    network = source.network
    image = source.part("test")[0][:1]
    broken = sens.with_cells(network, number, cell[None], maps[f"g_{kind}"][tuple(cell)])
    part = broken.layers[number]
    tile = tiling_of(part).places(cell, part.pairs.shape)[0]
    array = crossbars_of(part)[int(np.ravel_multi_index(tile, part.circuit().grid))]
    volts = network.voltages(network.transfers(), image)[number].v_in
    v_in = np.asarray(part.circuit().split(volts))[0, tile[0]]
    start = time.perf_counter()
    try:
        theirs = run_array(array, v_in, ngspice=program, timeout_s=float(config.ngspice_s))
    except SpiceError:
        return STATUS.index("no result"), np.nan, np.nan
    seconds = time.perf_counter() - start
    rows = compare(solve(array, v_in), theirs)
    verdict = "agrees" if all(row.agrees for row in rows) else "disagrees"
    return STATUS.index(verdict), max(row.error for row in rows), seconds
