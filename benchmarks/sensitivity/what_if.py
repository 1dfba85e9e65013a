"""Exact what-if against solving anew: times, errors, and the digits network's maps.

    python -m benchmarks.sensitivity.what_if [--quick]

On one array of 65x100 (10 kOhm to 1 MOhm, 1 Ohm wires): sets of 1, 8, 64 and 400 random cells, each
stuck-on or stuck-off, by the low-rank update and by a new transfer matrix. On a 64-50-20-8-10
network trained on the digits: the gradient of the base images' loss in forward solves, and every
single stuck cell on the test images. Writes results/what_if.csv and .md; --quick is float64 with
fewer sets and calls, prints, and writes nothing.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import xbar as xb
from benchmarks.sensitivity.timing import Times, in_turn
from benchmarks.sensitivity.update_cost import solved_anew
from benchmarks.speed.machine import description, measured_at
from xbar import sensitivity as sens
from xbar.io import load_digits, split
from xbar.learn.mlp import MLP, fit

RESULTS = Path(__file__).parents[1] / "results"
SPICE = Path(__file__).parents[1] / "spice_speed.csv"
ROWS, COLS = 65, 100
SIZES = (64, 50, 20, 8, 10)
KINDS = ("on", "off")
DTYPES = {"float64": jnp.float64, "float32": jnp.float32}


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    precisions: tuple[str, ...] = ("float64", "float32")
    cells: tuple[int, ...] = (1, 8, 64, 400)
    sets: int = 100
    repeats: int = 5
    checked: int = 5  # cells of each layer and kind whose output voltages are checked


QUICK = Plan(("float64",), (1, 64), 10, 3, 1)


@dataclass(frozen=True)
class Row:
    """One result; `beside` is what does the same work without it."""

    what: str
    precision: str
    per: str
    wall_s: float
    processor_s: float
    error: float = np.nan
    beside: str = ""
    beside_wall_s: float = np.nan
    beside_processor_s: float = np.nan

    @property
    def ratio(self) -> float:
        """How many times as long the other takes, by the wall."""
        return self.beside_wall_s / self.wall_s


UNKNOWN = Times(np.nan, np.nan)


def row(
    what: str,
    precision: str,
    per: str,
    ours: Times,
    beside: str = "",
    others: Times = UNKNOWN,
    *,
    error: float = np.nan,
    share: float = 1,
    times: float = 1,
) -> Row:
    """A row; calls that did several at once have a share of their time, others happen `times`."""
    return Row(
        what,
        precision,
        per,
        ours.wall * share,
        ours.processor * share,
        error,
        beside,
        others.wall * share * times,
        others.processor * share * times,
    )


def relative(ours: jax.Array, exact: jax.Array) -> float:
    """Largest error, relative to the largest number; NaN stays."""
    return float(jnp.max(jnp.abs(ours - exact)) / jnp.max(jnp.abs(exact)))


# --- sets of cells on one array ------------------------------------------------------------------


def sets(precision: str, plan: Plan) -> Iterator[Row]:
    """Sets of cells, per set; the error is that of transfer matrices solved anew in float64."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (ROWS, COLS)))
    exact = xb.Crossbar(g, xb.Wires(1.0, 1.0))
    array = jax.tree.map(lambda x: x.astype(DTYPES[precision]), exact)
    response, known = sens.response(array), sens.coupling(array)
    for k in plan.cells:
        flat = np.stack([rng.permutation(g.size)[:k] for _ in range(plan.sets)])
        cells = np.stack(np.unravel_index(flat, g.shape), axis=-1)
        g_new = np.where(rng.random(flat.shape) < 0.5, 1e-4, 1e-6)
        changed = np.repeat(g.reshape(1, -1), plan.sets, 0)
        np.put_along_axis(changed, flat, g_new, axis=1)
        changed = jnp.asarray(changed.reshape(-1, ROWS, COLS))
        update = partial(sens.changed_transfers, response, known, cells, g_new)
        anew = partial(solved_anew, array, changed.astype(array.g.dtype))
        times = in_turn({"update": update, "anew": anew}, plan.repeats)
        yield row(
            f"{k} changed cells of {ROWS}x{COLS}: update",
            precision,
            "set",
            times["update"],
            "solved anew",
            times["anew"],
            error=relative(update(), solved_anew(exact, changed)),
            share=1 / plan.sets,
        )
    once = {
        f"all answers of {ROWS}x{COLS} (`response`)": partial(sens.response, array),
        f"coupling of all cells of {ROWS}x{COLS}": partial(sens.coupling, array),
    }
    for name, times in in_turn(once, plan.repeats).items():
        yield row(name, precision, "array", times)


# --- the network of the digits -------------------------------------------------------------------


@cache
def digits() -> tuple[xb.Network, dict[str, tuple[jax.Array, jax.Array]]]:
    """The network, and images and labels by part."""
    data = load_digits()
    parts = split(data.labels, jax.random.key(0))
    x = jnp.asarray(data.images / 16)
    model = MLP.init(jax.random.key(1), SIZES)
    model = fit(model, x[parts.base], data.labels[parts.base], key=jax.random.key(2))
    net = xb.Network.from_weights(
        model.weights, model.biases, wires=xb.Wires(1.0, 1.0), calibration=x[parts.base]
    )
    return net, {n: (x[p], data.labels[p]) for n, p in parts._asdict().items()}


@jax.jit
def solved(net: xb.Network) -> tuple[jax.Array, ...]:
    return net.transfers()


@jax.jit
def applied(net: xb.Network, transfers: tuple[jax.Array, ...], x: jax.Array) -> jax.Array:
    return net.apply(transfers, x)


def forward(net: xb.Network, x: jax.Array) -> jax.Array:
    """``net(x)``, compiled; its arrays once for any number of images."""
    return applied(net, solved(net), x)


def in_precision(net: xb.Network, precision: str) -> xb.Network:
    return jax.tree.map(lambda x: x.astype(DTYPES[precision]), net)


def gradient(precision: str, plan: Plan) -> Iterator[Row]:
    """Of the base images' loss, in forward solves of the same images."""
    exact, parts = digits()
    x, labels = parts["base"]
    net = in_precision(exact, precision)
    calls: dict[str, Callable] = {"net(x)": partial(forward, net, x)}
    for what, segments in (("", False), (", every segment", True)):
        name = f"gradient over every cell, driver, amplifier{what}, {len(x)} images"
        calls[name] = partial(sens.gradients, net, x, labels, segments=segments)
    times = in_turn(calls, 5 * plan.repeats)
    expected = sens.gradients(exact, x, labels)
    solve = times.pop("net(x)")
    for name, ours in times.items():
        found = calls[name]()
        pairs = zip(found.layers, expected.layers, strict=True)
        # float64 is what float32 is measured against; its own errors are in the tests.
        own = net.k_in.dtype == exact.k_in.dtype
        error = np.nan if own else max(relative(a.g, b.g) for a, b in pairs)
        yield row(name, precision, "data set", ours, "net(x), once", solve, error=error)


def maps(precision: str, plan: Plan) -> Iterator[Row]:
    """Every single stuck cell of every layer on the test images."""
    exact, parts = digits()
    x, labels = parts["test"]
    net = in_precision(exact, precision)
    base, exact_base = (sens.baseline(n, x, labels) for n in (net, exact))

    def all_cells(base: sens.Baseline, how: str) -> list[sens.FaultMap]:
        return [sens.cell_faults(base, layer, how) for layer in range(len(base.stages))]

    calls: dict[str, Callable] = {how: partial(all_cells, base, how) for how in KINDS}
    calls |= {"base": partial(sens.baseline, net, x, labels), "net(x)": partial(forward, net, x)}
    times = in_turn(calls, plan.repeats)
    yield row(f"`baseline`, four layers, {len(x)} images", precision, "network", times["base"])
    for how in KINDS:
        found, expected = calls[how](), all_cells(exact_base, how)
        count = sum(layer.loss.size for layer in found)
        pairs = zip(found, expected, strict=True)
        own = net.k_in.dtype == exact.k_in.dtype
        yield row(
            f"each of {count} cells stuck-{how}, {len(x)} images",
            precision,
            "all",
            times[how],
            "net(x), each",
            times["net(x)"],
            error=np.nan if own else max(relative(a.loss, b.loss) for a, b in pairs),
            times=count,
        )


def checked(plan: Plan) -> float:
    """Largest error of output voltages with random single cells stuck, against solving anew."""
    net, parts = digits()
    x, labels = parts["test"]
    base, rng, worst = sens.baseline(net, x, labels), np.random.default_rng(0), 0.0
    for layer, stage in enumerate(base.stages):
        shape = stage.response.g.shape
        flat = rng.permutation(stage.response.g.size)[: plan.checked]
        cells = np.stack(np.unravel_index(flat, shape), -1)
        for how in KINDS:
            ours = sens.fault_voltages(base, layer, cells, how)
            values = sens.stuck_values(base, layer, how)[cells[:, 0], cells[:, 1]]
            for k, cell in enumerate(cells):
                anew = forward(sens.with_cells(net, layer, cell[None], values[k]), x)
                worst = max(worst, relative(ours[k], anew))
    return worst


# --- what is written -----------------------------------------------------------------------------


def by_ngspice() -> str:
    """What the maps would take in ngspice, from what it was measured to take for two images."""
    with SPICE.open() as file:
        found = {r["quantity"]: float(r["value"]) for r in csv.DictReader(file)
                 if r["circuit"] == "network"}  # fmt: skip
    each = found["ngspice_measured_s"] / found["ngspice_measured_images"]
    net, parts = digits()
    faults = len(KINDS) * sum(layer.array().g.size for layer in net.layers)
    images = len(parts["test"][0])
    years = each * faults * images / (365 * 24 * 3600)
    return (
        f"ngspice took {each:.3g} s for the four arrays of such a network and one image (measured "
        f"on two, `benchmarks/spice_speed.csv`). One solve for each of {faults:,} faults and "
        f"{images} images, *extrapolated*, not run: {years:.2g} years."
    )


def in_forward_solves(rows: list[Row]) -> str:
    """What the gradients take, in forward solves of the network on the same images."""
    found = [
        f"{r.wall_s / r.beside_wall_s:.2f} forward solves by the wall, "
        f"{r.processor_s / r.beside_processor_s:.2f} by processor time ({r.what}, {r.precision})"
        for r in rows
        if r.what.startswith("gradient")
    ]
    return f"Gradients take {'; '.join(found)}."


def table(rows: list[Row], worst: float, plan: Plan) -> str:
    lines = [
        "# Exact what-if",
        "",
        f"Written by `python -m benchmarks.sensitivity.what_if` {measured_at()}. "
        f"Warm calls in turn, {plan.repeats} of each "
        f"(gradients {5 * plan.repeats}): wall, the median; processor, the least. Ratio: by the "
        "wall. Error: largest, relative to the largest value, against solving anew in float64 "
        "(gradients and maps in float32: against theirs in float64).",
        "",
        f"Output voltages with {len(SIZES[1:]) * len(KINDS) * plan.checked} random single cells "
        f"stuck, against `net(x)` of the faulty network: {worst:.0e} of the largest.",
        "",
        in_forward_solves(rows),
        "",
        by_ngspice(),
        "",
        "| | precision | per | wall | processor | error | beside | wall | processor | ratio |",
        "|---|---|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for r in rows:
        values = (
            *(r.what, r.precision, r.per),
            *(duration(s) for s in (r.wall_s, r.processor_s)),
            "" if np.isnan(r.error) else f"{r.error:.0e}",
            r.beside,
            *(duration(s) for s in (r.beside_wall_s, r.beside_processor_s)),
            "" if np.isnan(r.ratio) else f"{r.ratio:.3g}",
        )
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    if np.isnan(seconds):
        return ""
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def main() -> None:
    parser = argparse.ArgumentParser(description="Exact what-if against solving anew.")
    parser.add_argument("--quick", action="store_true", help="small, and writes nothing")
    quick = parser.parse_args().quick
    plan = QUICK if quick else Plan()
    jax.config.update("jax_enable_x64", True)
    rows = []
    for precision in plan.precisions:
        for part in (sets, gradient, maps):
            print(f"{precision}: {part.__name__}", file=sys.stderr, flush=True)
            rows += part(precision, plan)
    text = table(rows, checked(plan), plan)
    print(text)
    if not quick:
        where = description()
        members = [asdict(r) | {"ratio": r.ratio} | where for r in rows]
        pd.DataFrame(members).to_csv(RESULTS / "what_if.csv", index=False)
        (RESULTS / "what_if.md").write_text(text)


if __name__ == "__main__":
    main()
