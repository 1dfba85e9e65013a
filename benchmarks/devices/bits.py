"""Accuracy of the digits network against the bits of its converters, exact cells and varying ones.

Converters are in every layer; their ranges are calibrated on the images that trained the network.
"""

import argparse
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

import xbar as xb
from benchmarks.devices.digits import Case, cases, linear_correctors
from benchmarks.devices.table import Table, percent
from xbar.plots.style import COLOURS, PALETTE, new_figure, plain, save

BITS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
WHERE = {"dac": "DAC alone", "adc": "ADC alone", "both": "both"}
CELLS = {"exact": "exact cells", "wan2022": "wan2022, 1 s after programming"}


def transfers(key: jax.Array, net: xb.Network) -> tuple[jax.Array, ...]:
    """Transfer matrices of one chip."""
    return xb.nn.program(net, key).transfers()


@eqx.filter_jit
def volts_of(net: xb.Network, matrices: Any, x: jax.Array) -> jax.Array:
    """Output voltages of every chip, (chips, n, 10) [V]."""
    return jax.vmap(lambda t: net.apply(t, x))(matrices)


def measured(case: Case, cells: str, chips: int) -> list[dict[str, Any]]:
    """One kind of cells in one seed: every converter and every number of bits."""
    device = None if cells == "exact" else xb.devices.preset(cells)
    count = 1 if cells == "exact" else chips
    plain_net = case.network(device=device)
    # Converters change nothing in an array: each chip is solved once.
    matrices = xb.batch_map(transfers, case.keys(2, count), plain_net)
    rows = []
    for where, bits in [("none", 0), *((w, b) for w in WHERE for b in BITS)]:
        dac = xb.DAC(bits) if where in ("dac", "both") else None
        adc = xb.ADC(bits) if where in ("adc", "both") else None
        net = case.network(device=device, dac=dac, adc=adc)
        volts = volts_of(net, matrices, case.seen)
        own = linear_correctors(volts[:, : case.trained], case.labels[: case.trained])
        found = {"accuracy": case.tested(volts), "corrected": case.tested(own(volts))}
        rows.append(
            {"cells": cells, "seed": case.seed, "converter": where, "bits": bits, "chips": count}
            | {name: float(values.mean()) for name, values in found.items()}
        )
    return rows


def run(asked: argparse.Namespace) -> None:
    table = Table("bits", ("cells", "seed"), quick=asked.quick)
    wanted = [{"cells": cells} for cells in CELLS]
    table.complete(cases(asked.seeds), wanted, partial(measured, chips=asked.chips))
    draw(table)
    show(table)


def draw(table: Table) -> None:
    figure = new_figure(4.6)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    colours = dict(zip(WHERE, (PALETTE[0], COLOURS["healthy"], COLOURS["defective"]), strict=True))
    for ax, (cells, title) in zip(axes, CELLS.items(), strict=True):
        none = table.interval("accuracy", cells=cells, converter="none", bits=0)
        ax.axhline(100 * none.mean, color=COLOURS["software"], ls=":", label="no converters")
        for number, (where, label) in enumerate(WHERE.items()):
            for column, line in (("accuracy", "-"), ("corrected", "--")):
                if column == "corrected" and where != "both":
                    continue
                found = [table.interval(column, cells=cells, converter=where, bits=b) for b in BITS]
                mean, half = (100 * np.array([f[k] for f in found]) for k in (0, 1))
                at = np.array(BITS) + 0.08 * (number - 1)
                name = f"{label}, corrected" if column == "corrected" else label
                ax.errorbar(at, mean, half, color=colours[where], ls=line, label=name)
        ax.set_title(title, fontsize=9)
        ax.set_ylabel("accuracy [%]")
        plain(ax)
    axes[1].set_xticks(BITS)
    axes[1].set_xlabel("bits of the converters")
    axes[0].legend(frameon=False, fontsize=8)
    save(figure, table.figure())


def show(table: Table) -> None:
    for cells, title in CELLS.items():
        none = table.interval("accuracy", cells=cells, converter="none", bits=0)
        print(f"{title}; without converters {percent(none)}")
        print("| bits | " + " | ".join([*WHERE.values(), "both, corrected"]) + " |")
        for bits in BITS:
            of = {"cells": cells, "bits": bits}
            found = [percent(table.interval("accuracy", converter=w, **of)) for w in WHERE]
            found.append(percent(table.interval("corrected", converter="both", **of)))
            print(f"| {bits} | " + " | ".join(found) + " |")
