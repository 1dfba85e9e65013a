"""Defects and variability together: does the linear corrector of 110 parameters still repair?

A circle over 35 % of the last layer's pairs is stuck-on, at the same place of every chip or at
another of each; all cells of all layers are programmed with an error. Correctors are trained on one
chip, on as many as `--chips` together, or on each chip by itself; all are tested on chips that
trained neither of the first two, on images that trained none.
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
from xbar.devices import Device, ProgrammingError
from xbar.learn.corrector import Corrector
from xbar.plots.style import COLOURS, PALETTE, new_figure, plain, save

COVERAGE = 0.35  # of the last layer's pairs
WINDOW = xb.Window.from_resistances(1e4, 1e6)
SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.3)  # of a cell's target, one standard deviation
PUBLISHED = "wan2022"
PLACES = {"same": "the same defect on every chip", "own": "a defect of its own on each chip"}
COLUMNS = {
    "none": ("no corrector", COLOURS["defective"]),
    "one chip": ("trained on one other chip", PALETTE[0]),
    "many chips": ("trained on many other chips", PALETTE[1]),
    "many, renewed": ("the same, voltages normalised anew", PALETTE[3]),
    "own chip": ("trained on the chip itself", COLOURS["corrected"]),
}


def device_of(spread: Any) -> Device:
    """A device by the spread of its programming, or a preset."""
    if spread == PUBLISHED:
        return xb.devices.preset(PUBLISHED)
    return Device([ProgrammingError(fraction=spread)], WINDOW)


def chip(
    keys: tuple[jax.Array, jax.Array], net: xb.Network, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Output voltages of one chip, without its defect and with it, (n, 10) [V]."""
    key, place = keys
    programmed = xb.nn.program(net, key)
    hit = xb.random_mask("circle", place, COVERAGE)
    matrices = programmed.transfers()
    broken = programmed.with_fault(3, hit, xb.StuckPair("on"))
    changed = (*matrices[:3], broken.layers[3].transfer())
    return programmed.apply(matrices, x), broken.apply(changed, x)


def corrected(case: Case, volts: jax.Array, chips: int) -> dict[str, Any]:
    """Mean accuracy on the later chips by each way of training; volts (2 chips, n, 10)."""
    labels, test = case.labels[: case.trained], volts[chips:]
    training = volts[:, : case.trained]
    pool = training[:chips].reshape(1, -1, training.shape[-1])
    one = linear_correctors(training[:1], labels)
    many = linear_correctors(pool, jnp.tile(labels, chips))
    own = linear_correctors(training[chips:], labels)
    head = jax.tree.map(lambda leaf: jnp.repeat(leaf, chips, axis=0), many.head)
    renewed = Corrector(own.mean, own.std, head)  # takes voltages of the chip, no labels
    logits = dict(
        zip(COLUMNS, (test, one(test), many(test), renewed(test), own(test)), strict=True)
    )
    return {name: float(case.tested(found).mean()) for name, found in logits.items()}


def measured(case: Case, spread: Any, place: str, chips: int) -> list[dict[str, Any]]:
    """One row: a spread and a kind of place in one seed."""
    net = case.network(device=device_of(spread))
    places = case.keys(5, 2 * chips)
    places = places if place == "own" else jnp.repeat(places[:1], 2 * chips)
    found = xb.batch_map(chip, (case.keys(4, 2 * chips), places), net, case.seen)
    healthy, broken = found
    row = {"spread": spread, "place": place, "seed": case.seed, "chips": chips}
    whole = {"software": case.software, "healthy": float(case.tested(healthy[chips:]).mean())}
    return [row | whole | corrected(case, broken, chips)]


def run(asked: argparse.Namespace) -> None:
    table = Table("repair", ("spread", "place", "seed"), quick=asked.quick)
    wanted = [{"spread": s, "place": p} for s in (*SIGMAS, PUBLISHED) for p in PLACES]
    table.complete(cases(asked.seeds), wanted, partial(measured, chips=asked.chips))
    draw(table)
    show(table)


def draw(table: Table) -> None:
    figure = new_figure(5.2)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    lines = {"healthy": ("no defect, no corrector", COLOURS["healthy"]), **COLUMNS}
    for ax, (place, title) in zip(axes, PLACES.items(), strict=True):
        for number, (column, (label, colour)) in enumerate(lines.items()):
            found = [table.interval(column, spread=s, place=place) for s in SIGMAS]
            mean, half = (100 * np.array([f[k] for f in found]) for k in (0, 1))
            at = 100 * np.array(SIGMAS) + 0.25 * (number - 2.5)
            ax.errorbar(at, mean, half, color=colour, label=label)
        ax.set_title(title, fontsize=9)
        ax.set_ylabel("accuracy [%]")
        plain(ax)
    axes[1].set_xticks([100 * s for s in SIGMAS])
    axes[1].set_xlabel("error of programming, one standard deviation [% of target]")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=8)  # fmt: skip
    save(figure, table.figure())


def show(table: Table) -> None:
    for place, title in PLACES.items():
        print(title)
        print("| spread | no defect | " + " | ".join(label for label, _ in COLUMNS.values()) + " |")
        for spread in (*SIGMAS, PUBLISHED):
            of = {"spread": spread, "place": place}
            found = [percent(table.interval(name, **of)) for name in ("healthy", *COLUMNS)]
            print(f"| {spread} | " + " | ".join(found) + " |")
