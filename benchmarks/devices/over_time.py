"""Accuracy of the digits network against the time since its chips were programmed.

Four published devices: the three whose change in time was published (wan2022 to two days, cmo_hfox,
pcm), and milo, of which programming alone was, as what a chip that keeps still would do. Each with
its own window, cells ohmic, all images seen by one read.
"""

import argparse
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from benchmarks.devices.digits import Case, cases, linear_correctors
from benchmarks.devices.table import Table, percent
from xbar.learn.corrector import Corrector
from xbar.plots.style import PALETTE, new_figure, plain, save

PRESETS = ("wan2022", "cmo_hfox", "pcm", "milo")
DAY = 86_400.0
TIMES = (1.0, 60.0, 3600.0, DAY, 2 * DAY, 30 * DAY, 365 * DAY)
NAMES = ("1 s", "1 min", "1 h", "1 day", "2 days", "1 month", "1 year")
COLUMNS = {
    "accuracy": "no corrector",
    "frozen": "corrector of the first second",
    "normalised": "the same, voltages normalised anew",
    "renewed": "corrector trained again",
}


def device_of(name: str) -> xb.devices.Device:
    """The preset with ohmic cells: each image would be a Newton solve of its own else."""
    found = xb.devices.preset(name)
    return xb.devices.Device(found.effects, found.window, None, found.about)


def chip(key: jax.Array, net: xb.Network, times: jax.Array, x: jax.Array) -> jax.Array:
    """Output voltages of one chip at each time, (times, n, 10) [V]."""
    programmed = xb.nn.program(net, key)

    def at(seconds: jax.Array) -> jax.Array:
        return xb.nn.read(xb.nn.age(programmed, key, seconds), key, seconds)(x)

    return jax.lax.map(at, times)


def measured(case: Case, preset: str, chips: int) -> list[dict[str, Any]]:
    """One preset in one seed, a row for each time."""
    device = device_of(preset)
    net = case.network(device=device)
    last = device.about.last or np.inf
    times = [t for t in TIMES if t <= last]
    volts = xb.batch_map(chip, case.keys(1, chips), net, jnp.asarray(times), case.seen)
    own = linear_correctors(volts[..., : case.trained, :], case.labels[: case.trained])
    first = jax.tree.map(lambda leaf: leaf[:, :1], own)
    ideal = float(case.tested(net(case.seen)))
    heads = jax.tree.map(lambda leaf: jnp.repeat(leaf, len(times), axis=1), first.head)
    anew = Corrector(own.mean, own.std, heads)  # takes voltages of that time, no labels
    logits = (volts, first(volts), anew(volts), own(volts))
    raw, frozen, normalised, renewed = map(case.tested, logits)
    return [
        {
            "preset": preset,
            "seed": case.seed,
            "time [s]": t,
            "chips": chips,
            "software": case.software,
            "unvaried": ideal,
            "accuracy": float(raw[:, k].mean()),
            "worst chip": float(raw[:, k].min()),
            "frozen": float(frozen[:, k].mean()),
            "normalised": float(normalised[:, k].mean()),
            "renewed": float(renewed[:, k].mean()),
        }
        for k, t in enumerate(times)
    ]


def run(asked: argparse.Namespace) -> None:
    table = Table("time", ("preset", "seed"), quick=asked.quick)
    wanted = [{"preset": name} for name in PRESETS]
    table.complete(cases(asked.seeds), wanted, partial(measured, chips=asked.chips))
    draw(table)
    show(table)


def draw(table: Table) -> None:
    figure = new_figure(6.6)
    axes = figure.subplots(4, 1, sharex=True, sharey=True)
    for ax, column in zip(axes, COLUMNS, strict=True):
        for number, name in enumerate(PRESETS):
            times = _times(table, name)
            found = [table.interval(column, preset=name, **{"time [s]": t}) for t in times]
            mean, half = (100 * np.array([f[k] for f in found]) for k in (0, 1))
            at = [t * (1 + 0.08 * (number - 1.5)) for t in times]  # bars beside each other
            ax.errorbar(at, mean, half, color=PALETTE[number], label=name, marker="o", ms=3)
        ax.set_title(COLUMNS[column], fontsize=9)
        ax.set_ylabel("accuracy [%]")
        plain(ax)
    axes[-1].set_xscale("log")
    names = [name if name != "2 days" else "" for name in NAMES]  # no room beside one day
    axes[-1].set_xticks(TIMES, names, rotation=40, ha="right")
    axes[-1].minorticks_off()
    axes[-1].set_ylim(top=101)
    axes[-1].set_xlabel("time since programming")
    axes[1].legend(frameon=False, fontsize=8)
    save(figure, table.figure())


def show(table: Table) -> None:
    print("| device | time | unvaried | " + " | ".join(COLUMNS.values()) + " | worst chip |")
    for name in PRESETS:
        for t in _times(table, name):
            where = {"preset": name, "time [s]": t}
            columns = ("unvaried", *COLUMNS, "worst chip")
            cells = [percent(table.interval(column, **where)) for column in columns]
            print(f"| {name} | {NAMES[TIMES.index(t)]} | " + " | ".join(cells) + " |")


def _times(table: Table, name: str) -> list[float]:
    return sorted({row["time [s]"] for row in table.rows if row["preset"] == name})
