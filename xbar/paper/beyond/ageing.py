"""Can a corrector follow a circuit that ages, and at what price?"""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.devices.ageing import NU, NU_SPREAD, RATE, T0
from xbar.io.store import Field
from xbar.learn.corrector import Corrector
from xbar.learn.mlp import accuracy
from xbar.paper.beyond.aged import aged_voltages, times
from xbar.paper.beyond.ageing_findings import (
    BROKEN,
    FOLLOWED,
    FROZEN,
    HEALTHY,
    RENORMALISED,
    SCRATCH,
    UNCORRECTED,
    draw,
    find,
)
from xbar.paper.beyond.bench import Bench, benches, evenly, keys
from xbar.paper.beyond.following import BUFFER, UPDATES, Aged, follow, frozen, multiply_adds
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.run.config import CorrectorSettings
from xbar.run.readers import Labelled, Read, correct

HIDDEN_UNITS = 14
MINIBATCH = 64


class Way(NamedTuple):
    """What becomes of the corrector: name, labels at each time, with a buffer, normalised anew."""

    name: str
    live: int = 0
    replay: bool = False
    renormalise: bool = False

    @property
    def slug(self) -> str:
        """Of its arrays."""
        return f"{self.name} {self.live}"


def ways(live: tuple[int, ...], every: int) -> Iterator[Way]:
    """Every way, given the numbers of labels that some use, and how many labels there are."""
    yield Way(UNCORRECTED)
    yield Way(FROZEN)
    yield Way(RENORMALISED, renormalise=True)
    yield Way(SCRATCH, every, renormalise=True)
    for k in live:
        for (replay, renormalise), name in FOLLOWED.items():
            yield Way(name, k, replay, renormalise)


def compute(lab: Lab) -> Tables:
    """One row for each start, way, time and seed; and what each way costs at each time."""
    bench, ages, rows = benches(lab)[0], times(lab), []
    every = tuple(ways(lab.settings.beyond.live, bench.parts["corrector"].shape[-1]))
    for start, stuck in ((BROKEN, True), (HEALTHY, False)):
        volts = lab.kept(f"aged-{stuck}", lambda s=stuck: {"volts": aged_voltages(lab, bench, s)})
        found = lab.kept(
            f"ageing-{stuck}", lambda v=volts["volts"]: _followed(lab, bench, v, every)
        )
        rows += [
            (start, way.name, way.live, ages[age], seed, value)
            for way in every
            for (seed, age), value in np.ndenumerate(found[way.slug])
        ]
    start, name, live, t, seed, value = zip(*rows, strict=True)
    return {
        "accuracy": {
            "start": column(start, "1", "the circuit at t0"),
            "way": column(name, "1", "what becomes of the corrector"),
            "live": column(live, "1", "labelled images at each time"),
            "time": column(t, "s", "since programming"),
            "seed": column(seed, "1", "repetition"),
            "accuracy": column(value, "1", "test accuracy"),
        },
        "cost": _costs(lab, bench, every),
    }


def _followed(
    lab: Lab, bench: Bench, volts: np.ndarray, every: tuple[Way, ...]
) -> dict[str, np.ndarray]:
    """Test accuracy of each way at each time, (seeds, times) each."""
    n = bench.parts["corrector"].shape[-1]
    labels = bench.run.labels[bench.labelled]
    arrays = volts[:, :, :n], labels[:, :n], volts[:, :, n:], labels[:, n:]
    aged = Aged(*map(jnp.asarray, arrays))
    seed, seeds, count = lab.settings.seed, len(labels), volts.shape[1]
    first = Labelled(aged.train_v[:, 0], aged.train_y, aged.test_v[:, 0], aged.test_y)
    trained = _trained(lab, first, keys(seed, "t0", bench.seeds)).corrector
    draws = jax.vmap(lambda key: _draws(key, count, n))(keys(seed, "live", bench.seeds))
    found = {}
    for way in every:
        if way.name == UNCORRECTED:
            test_y = jnp.broadcast_to(aged.test_y[:, None], aged.test_v.shape[:-1])
            values = accuracy(aged.test_v, test_y)
        elif way.name == SCRATCH:
            values = _from_scratch(lab, aged, keys(seed, "scratch", range(seeds * count)))
        elif way.live == 0:
            values = _frozen(trained, aged, way.renormalise)
        else:
            values = _follow(trained, aged, draws, way)
        found[way.slug] = np.asarray(values)
        lab.stages.check()
    return found


def _trained(lab: Lab, volts: Labelled, starts: Array) -> Read:
    settings = CorrectorSettings((HIDDEN_UNITS,), steps=lab.settings.steps, batch_size=MINIBATCH)
    return correct(settings, volts, starts, evenly(lab.how, len(starts)))


def _from_scratch(lab: Lab, aged: Aged, starts: Array) -> np.ndarray:
    """Accuracy of a new corrector for each time, trained on all labels there, (seeds, times)."""
    seeds, count = aged.train_v.shape[:2]

    def flat(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    y = (jnp.repeat(labels, count, 0) for labels in (aged.train_y, aged.test_y))
    train_y, test_y = y
    volts = Labelled(flat(aged.train_v), train_y, flat(aged.test_v), test_y)
    return np.asarray(_trained(lab, volts, starts).accuracy).reshape(seeds, count)


def _draws(key: Array, count: int, n: int) -> Array:
    """A random order of the images for each time, (times, n)."""
    return jax.vmap(lambda k: jax.random.permutation(k, n))(jax.random.split(key, count))


@eqx.filter_jit
def _frozen(trained: Corrector, aged: Aged, renormalise: bool) -> Array:
    return eqx.filter_vmap(lambda c, a: frozen(c, a, renormalise=renormalise))(trained, aged)


@eqx.filter_jit
def _follow(trained: Corrector, aged: Aged, draws: Array, way: Way) -> Array:
    def one(corrector: Corrector, aged: Aged, draws: Array) -> Array:
        how = {"replay": way.replay, "renormalise": way.renormalise}
        return follow(corrector, aged, draws[:, : way.live], draws[0, :BUFFER], **how)

    return eqx.filter_vmap(one)(trained, aged, draws)


def _costs(lab: Lab, bench: Bench, every: tuple[Way, ...]) -> dict[str, Field]:
    """Labels, unlabelled voltages and multiply-adds of each way at each time."""
    n, outputs = bench.parts["corrector"].shape[-1], bench.defective.test_v.shape[-1]
    weights, rows = 2 * outputs * HIDDEN_UNITS, []
    for way in every:
        samples = way.live + (min(BUFFER, n) if way.replay else 0)
        work = multiply_adds(weights, samples, UPDATES)
        if way.name == SCRATCH:
            work = multiply_adds(weights, min(MINIBATCH, n), lab.settings.steps)
        rows.append((way.name, way.live, n if way.renormalise else 0, work))
    name, live, unlabelled, work = zip(*rows, strict=True)
    return {
        "way": column(name, "1", "what becomes of the corrector"),
        "labels": column(live, "1", "labelled images at each time"),
        "voltages": column(unlabelled, "1", "images read at each time for mean and spread"),
        "multiply_adds": column(work, "1", "of training at each time"),
    }


EXPERIMENT = Experiment(
    name="ageing",
    title="A circuit that ages",
    question="Can a corrector follow a circuit whose conductances drift and whose cells go on to "
    "stick, with a few labelled images at a time?",
    method=f"All arrays of a circuit age from {T0:g} s after programming: every cell that is not "
    f"stuck drifts as (t / t0)^-nu, its nu drawn from a normal distribution of mean {NU:g} and "
    f"spread {NU_SPREAD:g} cut at 0, in the range measured for phase-change memory (Joshi et al. "
    f"2020), and {100 * RATE:g} % of the cells stick-on and as many stick-off in each decade of "
    "time, an assumption. Every array is solved exactly at each time. A corrector of 304 "
    "parameters is trained on all labelled images at t0. At each later time it stays, or takes "
    f"{UPDATES} steps of Adam on k new labelled images, alone or with a buffer of {BUFFER} earlier "
    "ones; or its normalisation follows the voltages of unlabelled images; or a new one is "
    "trained on all labels of that time.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="The paper's circuits do not change after the corrector is trained.",
    section="beyond",
)
