"""What a chunk of a study computes: a function of its plan and of the chunks before it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.batch import Batching, local_mesh
from xbar.cells.families import OHMIC
from xbar.run.folders.runner import Arrays
from xbar.run.settings.cells import parameters_in
from xbar.run.settings.study import NEAREST, RETRAINED, Study
from xbar.run.study.circuits import (
    break_lines,
    break_pairs,
    hits,
    solve_broken,
    solve_healthy,
    stuck_cells,
)
from xbar.run.study.nonlinear import solve_broken_cells
from xbar.run.study.plan import Chunk, Plan, Table, row_keys
from xbar.run.study.readers import Labelled, correct, neighbours
from xbar.run.study.software import StudyInputs, compute_software
from xbar.run.study.task import Task

KEPT_SHARDS = 4  # of the stages before, in memory

STATUS = (
    "solved",
    "the healthy circuit could not be solved",
    "the broken array could not be solved",
    "a corrector is not finite",
)
"""What can become of a circuit, by its number in the column `status`."""


class Batch(NamedTuple):
    """Circuits of one chunk with what is known of them, for measurements of one's own.

    Args:
        plan: of the study.
        given: data and network.
        rows: of the plan's table.
        labels: classes of the labelled images, (circuits, labelled): those that train correctors,
            then those that test; or targets (circuits, labelled, outputs), as `Task.wanted`.
        trained: how many of them train.
        healthy_v: output voltages of the healthy circuits, (circuits, labelled, classes) [V].
        defective_v: those of the defective circuits [V].
        scale: volts for one unit of output, (circuits,) [V].
        keys: one JAX key for each circuit.
    """

    plan: Plan
    given: StudyInputs
    rows: Table
    labels: Array
    trained: int
    healthy_v: Array
    defective_v: Array
    scale: Array
    keys: Array

    @property
    def task(self) -> Task:
        """What the circuits are scored by."""
        return self.given.task

    def split(self, volts: Array) -> Labelled:
        """Voltages and labels that train, and those that test."""
        n = self.trained
        return Labelled(volts[:, :n], self.labels[:, :n], volts[:, n:], self.labels[:, n:])


Measure = Callable[[Batch], Mapping[str, Any]]
"""A measurement of one's own: arrays by name, each leading with the batch's circuits.

It has to depend on the batch alone: a study that goes on after a stop computes some batches again
and takes others from disk.
"""


def stored_images(study: Study, trained: int, of_labelled: Any, volts: bool = False) -> Any:
    """Of something for each labelled image, (rows, labelled, ...), what the study stores."""
    first = trained if study.store.voltages == "test" else 0
    last = None if study.store.images is None else trained + study.store.images
    kept = of_labelled[:, first:last]
    return kept.astype("float32") if volts and study.store.precision == "float32" else kept


def scale_of(healthy: Arrays) -> Array:
    """Volts for one unit of output of healthy circuits, (rows,) [V]."""
    return jnp.asarray(healthy["network"].layers[-1].k)


def in_units(volts: Any, scale: Array) -> Array:
    """Output voltages (rows, n, outputs) [V] in the software networks' unit."""
    return jnp.asarray(volts) / scale[:, None, None]


def corrects(study: Study) -> bool:
    """Whether arrays are read by corrected transfer matrices, whose error is then stored."""
    return study.cells is not None and study.cells.read == "corrected"


def tells_stuck_cells(study: Study) -> bool:
    """Whether stored arrays say which cells are resistors: where the fault's name does not."""
    return study.cells is not None and any(block.map is not None for block in study.defects)


def _measured(name: str, measure: Measure, batch: Batch) -> Arrays:
    found, count = dict(measure(batch)), len(batch.keys)
    for part, values in found.items():
        if np.shape(values)[:1] != (count,):
            raise ValueError(
                f"measures: {name} gave {part} of shape {np.shape(values)}, needs ({count}, ...), "
                "the circuits of the batch first"
            )
    return found


def _rows(tree: Arrays, rows: np.ndarray) -> Arrays:
    return jax.tree.map(lambda x: x[rows], tree)


class ChunkComputer:
    """Computes chunks.

    Args:
        plan: of the study.
        given: data and network.
        read: takes a finished chunk's arrays from where they are stored.
        measures: measurements of one's own by name.
    """

    def __init__(
        self,
        plan: Plan,
        given: StudyInputs,
        read: Callable[[Chunk], Arrays],
        measures: Mapping[str, Measure],
    ):
        self.plan = plan
        self.given = given
        self.measures = measures
        self.how = Batching(local_mesh(), plan.study.run.lanes)
        self.train = Batching(self.how.mesh, plan.study.run.train_lanes)
        self._read = read
        self._kept: OrderedDict[str, Arrays] = OrderedDict()

    def compute(self, chunk: Chunk) -> Arrays:
        """The arrays of a chunk, each leading with its rows."""
        if chunk.kind == "software":
            return compute_software(self.plan, self.given, chunk)
        kinds = {"healthy": self._healthy, "circuits": self._circuits}
        found = kinds[chunk.kind](chunk)
        return jax.tree.map(lambda x: np.asarray(x)[: chunk.count], found)

    def _gather(self, kind: str, rows: np.ndarray) -> Arrays:
        """Rows of a stage before, from its shards."""
        parts, places = [], []
        for chunk in self.plan.of_kind(kind):
            inside = np.flatnonzero((rows >= chunk.first) & (rows < chunk.first + chunk.count))
            if len(inside):
                parts.append(_rows(self._whole(chunk), rows[inside] - chunk.first))
                places.append(inside)
        order = np.argsort(np.concatenate(places))
        return jax.tree.map(lambda *x: np.concatenate(x)[order], *parts)

    def _whole(self, chunk: Chunk) -> Arrays:
        if chunk.name not in self._kept:
            self._kept[chunk.name] = self._read(chunk)
        self._kept.move_to_end(chunk.name)
        while len(self._kept) > KEPT_SHARDS:
            self._kept.popitem(last=False)
        return self._kept[chunk.name]

    def _healthy(self, chunk: Chunk) -> Arrays:
        rows = {name: column[chunk.filled] for name, column in self.plan.healthy.items()}
        software = self._gather("software", rows["seed"])
        labelled = np.concatenate([software["corrector"], software["test"]], axis=-1)
        parts = {"base": software["base"], "labelled": labelled}
        labels = self.given.labels[software["test"]]
        found: Arrays = {}
        for name in ("software", "retrained"):
            if name in software:
                solved = solve_healthy(self.plan, rows, software[name], parts, self.given, self.how)
                trained, store = software["corrector"].shape[-1], self.plan.study.store
                outputs = in_units(solved["volts"][:, trained:], scale_of(solved))
                found[name] = {**solved, "score": self.given.task.scored(outputs, labels)}
                if store.voltages != "none":
                    volts = solved["volts"]
                    found[name]["kept"] = stored_images(self.plan.study, trained, volts, True)
        return found

    def _circuits(self, chunk: Chunk) -> Arrays:
        plan, given, layer = self.plan, self.given, chunk.layer
        rows = {name: column[chunk.filled] for name, column in plan.table.items()}
        software = self._gather("software", rows["seed"])
        healthy = self._gather("healthy", rows["healthy"])
        labelled = np.concatenate([software["corrector"], software["test"]], axis=-1)
        maps = {file: found for (file, of), found in given.maps.items() if of == layer}
        hit = hits(plan, rows, healthy["software"]["network"].layers[layer].pairs.shape, maps)
        lines = break_lines(rows, hit)
        # Where all cells are resistors, nobody asks which of them are stuck.
        stuck = None if plan.study.cells is None else stuck_cells(rows, hit, maps)
        solved: Arrays = {}
        broken: Arrays = {}
        for name, circuit in healthy.items():
            pairs = circuit["network"].layers[layer].pairs
            broken[name] = break_pairs(plan, rows, pairs.g_plus, pairs.g_minus, hit, maps)
            if chunk.law == OHMIC:
                kept = ("volts", "kept", "score")
                known = {k: v for k, v in circuit.items() if k not in kept}
                place = (layer, known, broken[name], labelled, given.images, self.how, lines)
                solved[name] = {"volts": solve_broken(*place)}
            else:
                assert plan.study.cells is not None
                assert stuck is not None
                cells = (chunk.law, parameters_in(rows, chunk.law), plan.study.cells.read)
                where = (labelled, given.images, cells, self.how, lines)
                solved[name] = solve_broken_cells(layer, circuit, broken[name], stuck, *where)
        errors = solved["software"].get("errors", np.zeros((len(hit), 1)))
        solved = {name: found["volts"] for name, found in solved.items()}
        batch = Batch(
            plan,
            given,
            rows,
            given.labels[labelled],
            software["corrector"].shape[-1],
            jnp.asarray(healthy["software"]["volts"]),
            solved["software"],
            scale_of(healthy["software"]),
            row_keys(plan, "corrector", rows),
        )
        again = None
        if "retrained" in solved:
            test_v = solved["retrained"][:, batch.trained :]
            again = in_units(test_v, scale_of(healthy["retrained"]))
        found = {"pairs_hit": hit.sum((1, 2)), **self._scores(batch, again)}
        if self.measures:
            found["measures"] = {n: _measured(n, m, batch) for n, m in self.measures.items()}
        if corrects(plan.study):
            found["current_error"] = errors.max(axis=1)
        return found | self._stored(batch, broken["software"], hit, stuck)

    def _scores(self, batch: Batch, retrained: Array | None) -> Arrays:
        study, volts, task = self.plan.study, batch.split(batch.defective_v), batch.task
        outputs = in_units(volts.test_v, batch.scale)
        scores: Arrays = {"defective": task.scored(outputs, volts.test_y)}
        found: Arrays = {"score": scores}
        ok = jnp.asarray(True)
        for settings in study.correctors:
            trained = settings.trained_on
            source = batch.split(batch.healthy_v if trained == "healthy" else batch.defective_v)
            tested = source._replace(test_v=volts.test_v)
            read = correct(settings, tested, batch.keys, task, self.train)
            scores[settings.label] = read.score
            ok = ok & jnp.isfinite(read.score)
            if read.corrector.converged is not None:
                found.setdefault("converged", {})[settings.label] = read.corrector.converged
            if study.store.correctors:
                kept = found.setdefault("correctors", {})
                kept[settings.label] = {"corrector": read.corrector, **read.read}
        if "nearest-neighbours" in study.references:
            scores[NEAREST] = neighbours(volts, self.train)
        if retrained is not None:
            scores[RETRAINED] = task.scored(retrained, volts.test_y)
        healthy, defective = (
            jnp.isfinite(v).all((1, 2)) for v in (batch.healthy_v, batch.defective_v)
        )
        status = jnp.where(~healthy, 1, jnp.where(~defective, 2, jnp.where(~ok, 3, 0)))
        return found | {"status": status.astype(jnp.int8)}

    def _stored(
        self, batch: Batch, broken: tuple[Any, Any], hit: np.ndarray, stuck: np.ndarray | None
    ) -> Arrays:
        store, found = self.plan.study.store, {}
        if store.voltages != "none":
            study, volts = self.plan.study, batch.defective_v
            found["volts"] = stored_images(study, batch.trained, volts, True)
        if store.arrays:
            found["arrays"] = {"g_plus": broken[0], "g_minus": broken[1], "hit": hit}
            if tells_stuck_cells(self.plan.study):
                found["arrays"]["stuck"] = stuck
        return found
