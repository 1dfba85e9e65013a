"""ngspice on the worst single fault of each layer: does it agree, and what would all have taken."""

import time
from typing import Any

import numpy as np

from xbar import sensitivity as sens
from xbar.run.folders.runner import Arrays
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.source import Source
from xbar.sensitivity.arrays import crossbars_of, tiling_of
from xbar.solve import solve
from xbar.spice import SpiceError, find_ngspice
from xbar.spice.run import run_array
from xbar.spice.verify import compare

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
