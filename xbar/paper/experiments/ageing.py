"""Can a corrector follow a circuit that ages, and for how many labels?"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

from xbar.devices.ageing import NU, NU_SPREAD, RATE, T0
from xbar.learn.corrector import Corrector
from xbar.learn.mlp import accuracy
from xbar.nn import Network
from xbar.paper import charts
from xbar.paper.circuits import Circuits, broken_circuits, output_voltages
from xbar.paper.correctors import LANES, Recipe
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.following import BUFFER, UPDATES, Aged, aged, follow, frozen
from xbar.paper.tables import (
    Tables,
    cells,
    chosen,
    long,
    per_seed,
    percent,
    points,
    summary,
)
from xbar.paper.workspace import Workspace
from xbar.programs import program

BROKEN, HEALTHY = "defective output layer", "healthy circuit"
UNCORRECTED, FROZEN, RENORMALISED = "uncorrected", "frozen", "frozen, normalised anew"
SCRATCH = "retrained on all labels"
NEW, REPLAY, BOTH = "new labels only", "with a buffer", "with a buffer, normalised anew"


class Way(NamedTuple):
    """What becomes of the corrector: name, labels at each time, with a buffer, normalised anew."""

    name: str
    live: int = 0
    replay: bool = False
    renormalise: bool = False


def ways(live: tuple[int, ...], every: int) -> Iterator[Way]:
    """Every way, given the numbers of labels that some use, and how many labels there are."""
    yield Way(UNCORRECTED)
    yield Way(FROZEN)
    yield Way(RENORMALISED, renormalise=True)
    yield Way(SCRATCH, every, renormalise=True)
    for k in live:
        yield Way(NEW, k)
        yield Way(REPLAY, k, replay=True)
        yield Way(BOTH, k, replay=True, renormalise=True)


def compute(work: Workspace) -> Tables:
    """One row for each law, start, way, time and seed.

    Every law for circuits that start defective; the first also for those that start healthy.
    """
    asked, circuits, frames = work.settings, broken_circuits(work)[0], []
    ages = T0 * np.logspace(0, asked.decades, asked.ages)
    every = tuple(ways(asked.live, circuits.parts["corrector"].shape[-1]))
    for law, start in [*((law, BROKEN) for law in asked.laws), (asked.laws[0], HEALTHY)]:

        def volts(law: Any = law, stuck: bool = start == BROKEN) -> dict[str, np.ndarray]:
            return {"volts": _voltages(work, circuits, ages, law[1:], stuck)}

        name = f"{law[0]}-{start}"
        at_times = work.kept(f"aged-{name}", volts)["volts"]
        found = work.kept(f"ageing-{name}", lambda v=at_times: _followed(work, circuits, v, every))
        for number, way in enumerate(every):
            values = {"accuracy": found[f"way {number}"]}
            frame = long(values, seed=circuits.seeds, time=ages)
            frames.append(frame.assign(law=law[0], start=start, way=way.name, live=way.live))
    return {"accuracy": pd.concat(frames, ignore_index=True)}


def _voltages(
    work: Workspace, circuits: Circuits, ages: np.ndarray, law: tuple[Any, ...], stuck: bool
) -> np.ndarray:
    """Of the labelled images at each time, exact, (seeds, times, images, outputs) [V].

    All arrays of a circuit age, each with its own random numbers.
    """
    starts, hits = work.keys("ageing", circuits.seeds), jnp.asarray(circuits.hit & stuck)
    times, layer = jnp.asarray(ages), circuits.layer

    @program(eqx.filter_jit)
    @eqx.filter_vmap
    def over_time(network: Network, hit: Array, key: Array) -> Network:
        return jax.vmap(lambda t: aged(network, layer, hit, t, key, law))(times)

    every = over_time(circuits.healthy, hits, starts)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), every)
    volts = output_voltages(work, flat, np.repeat(circuits.images(), len(ages), 0))
    return volts.reshape(len(circuits.seeds), len(ages), *volts.shape[1:])


def _followed(
    work: Workspace, circuits: Circuits, volts: np.ndarray, every: tuple[Way, ...]
) -> dict[str, np.ndarray]:
    """Test accuracy of each way at each time, (seeds, times) each."""
    y, n = circuits.run.labels[circuits.labelled], circuits.parts["corrector"].shape[-1]
    seeds, count = volts.shape[:2]
    arrays = volts[:, :, :n], y[:, :n], volts[:, :, n:], y[:, n:]
    samples, recipe = Aged(*map(jnp.asarray, arrays)), Recipe(steps=work.settings.steps)
    first = work.keys("t0", circuits.seeds), samples.train_v[:, 0], samples.train_y
    trained = work.map(_corrector(recipe), first, LANES)
    rows = samples, jax.tree.map(jnp.asarray, trained), work.keys("live", circuits.seeds)
    keys = work.keys("scratch", range(seeds * count)).reshape(seeds, count)
    found = {}
    for number, way in enumerate(every):
        if way.name == SCRATCH:
            found[f"way {number}"] = work.map(_from_scratch(recipe), (samples, keys))
        else:
            found[f"way {number}"] = work.map(_way(way), rows, LANES)
    return found


# The same function each time, so that it is compiled once.


@lru_cache(maxsize=8)
def _corrector(recipe: Recipe) -> Callable[[Any], Corrector]:
    """The trained corrector of one circuit."""
    return lambda row: recipe.trained(*row)


@lru_cache(maxsize=64)
def _way(way: Way) -> Callable[[Any], Array]:
    """Accuracy of one circuit at each time."""

    def one(row: tuple[Aged, Corrector, Array]) -> Array:
        samples, trained, live = row
        if way.name == UNCORRECTED:
            return jax.vmap(lambda v: accuracy(v, samples.test_y))(samples.test_v)
        if not way.live:
            return frozen(trained, samples, renormalise=way.renormalise)
        count, n = samples.train_v.shape[:2]
        draws = jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(live, count))
        picks, buffer = draws[:, : way.live], draws[0, :BUFFER]
        how = {"replay": way.replay, "renormalise": way.renormalise}
        return follow(trained, samples, picks, buffer, **how)

    return one


@lru_cache(maxsize=8)
def _from_scratch(recipe: Recipe) -> Callable[[Any], Array]:
    """Accuracy of a new corrector at each time, trained on all labels there."""

    def one(row: tuple[Aged, Array]) -> Array:
        samples, keys = row

        def at(train_v: Array, test_v: Array, key: Array) -> Array:
            corrector = recipe.trained(key, train_v, samples.train_y)
            return accuracy(corrector(test_v), samples.test_y)

        return jax.vmap(at)(samples.train_v, samples.test_v, keys)

    return one


def find(tables: Tables) -> Findings:
    """What ageing costs under each law, and what each way gets back."""
    table = tables["accuracy"]
    table = table.assign(
        case=table["law"].where(table["start"] == BROKEN, "starts healthy"),
        words=[
            f"{way}, k = {live}" if live and way != SCRATCH else way
            for way, live in zip(table["way"], table["live"], strict=True)
        ],
    )
    ages = np.unique(table["time"])
    late = table[table["time"] >= ages[-max(1, len(ages) // 3)]]
    first = chosen(late, case=table["law"].iloc[0])
    by = {name: per_seed(part, "accuracy") for name, part in first.groupby("way")}
    k = int(chosen(first, way=BOTH)["live"].max())
    gain = per_seed(chosen(first, way=BOTH, live=k), "accuracy") - by[RENORMALISED]
    names = {"frozen": FROZEN, "uncorrected": UNCORRECTED, "renormalised": RENORMALISED}
    facts = {name: percent(by[way]) for name, way in names.items()} | {
        "scratch": percent(by[SCRATCH]),
        "k": str(k),
        "buffer": str(BUFFER),
        "updates": str(UPDATES),
        "gain": points(gain),
        "t0": f"{T0:g}",
        "nu": f"{NU:g}",
        "spread": f"{NU_SPREAD:g}",
        "rate": f"{100 * RATE:g}",
    }
    laws = chosen(late, start=BROKEN)
    if laws["law"].nunique() > 1:
        last = laws[laws["law"] == laws["law"].iloc[-1]]
        facts |= {
            "law": str(last["law"].iloc[0]),
            "law_frozen": percent(per_seed(chosen(last, way=FROZEN), "accuracy")),
            "law_renormalised": percent(per_seed(chosen(last, way=RENORMALISED), "accuracy")),
        }
    shown = cells(summary(per_seed(late, "accuracy", "words", "case")), "case", ".1f")
    few = chosen(table, way=[NEW, BOTH], live=k)
    rows = pd.concat([chosen(table, way=[UNCORRECTED, FROZEN, RENORMALISED, SCRATCH]), few])
    found = summary(per_seed(rows, "accuracy", "time", "words", "case"))
    look = {"labels": ("time since programming [s]", "test accuracy [%]"), "columns": 2}
    figure = charts.curves(found, "time", "words", "case", log=True, **look)
    return Findings(facts, {}, {"late": shown}, {"time": figure})


EXPERIMENT = Experiment("ageing", compute, find)
