"""From a study's shards to results.h5: what each array is, and where it goes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xbar.io.merge import OF_LAYER, Part, merge
from xbar.io.store import Field
from xbar.io.tree import encode
from xbar.run.folders.runner import Runner
from xbar.run.settings.study import NEAREST, RETRAINED
from xbar.run.study.chunks import STATUS, corrects, stored_images
from xbar.run.study.plan import AXES, Chunk, Plan
from xbar.run.study.software import StudyInputs

# Unit, axes behind the first, and meaning of arrays in shards that are in no module.
_KNOWN: dict[str, tuple[str, tuple[str, ...], str]] = {
    "g_plus": ("S", ("row", "pair"), "plus cells of the broken layer; the bias row is the last"),
    "g_minus": ("S", ("row", "pair"), "minus cells of the broken layer"),
    "hit": (
        "1",
        ("row", "pair"),
        "pairs of the broken layer that the shape hits",
    ),
    "stuck": (
        "1",
        ("row", "column"),
        "cells of the broken layer that are stuck: resistors; columns (+, -, +, -)",
    ),
    "pairs_hit": ("1", (), "pairs that the shape hits"),
    "status": ("1", (), "; ".join(f"{n}: {word}" for n, word in enumerate(STATUS))),
    "current_error": (
        "1",
        (),
        "largest measured error of an array's currents by its corrected transfer matrix, relative "
        "to its largest current; 0 where all is exact",
    ),
    "classes": ("1", ("sample",), "of the test part, by the corrector"),
    "targets": ("1", ("sample", "output"), "of the test part, by the corrector"),
    "base": ("1", ("sample",), "images that train the software network"),
    "corrector": ("1", ("sample",), "images that train the correctors"),
    "test": ("1", ("sample",), "images that score everything"),
}


def write_study_results(
    path: Path,
    plan: Plan,
    given: StudyInputs,
    read: Callable[[Chunk], dict[str, Any]],
    config: Mapping[str, Any],
) -> None:
    """Publish results.h5 from the shards.

    Args:
        path: of the file.
        plan: of the study.
        given: its data and network.
        read: takes a chunk's arrays and modules from its shard.
        config: JSON-able settings.

    Raises:
        OSError: it cannot be written.
    """
    merge(path, _groups(plan, given), _parts(plan, given.task.score, read), config)


def _groups(plan: Plan, given: StudyInputs) -> dict[str, Any]:
    """What follows from the study and its data."""
    tables = {
        group: {name: Field(column, *_axis(name, axis)) for name, column in table.items()}
        for group, axis, table in (
            ("circuits", "circuit", plan.table),
            ("healthy_circuits", "healthy", plan.healthy),
        )
    }
    dataset, classes = given.dataset, given.task.classes
    about = (("image",), "class of each image") if classes else (("image", "output"), "targets")
    data = {
        "name": dataset.name,
        "source": dataset.source,
        "images": Field(given.images, "1", ("image", "feature"), "inputs"),
        "labels": Field(dataset.labels, "1", *about),
    }
    if not classes:
        for name, text in (("mean", "of each target"), ("unit", "spread of each target")):
            data[f"target_{name}"] = Field(getattr(given.task, name), "1", ("output",), text)
    return {"data": data, **tables}


def _axis(name: str, axis: str) -> tuple[str, tuple[str, ...], str]:
    unit, about = AXES.get(name, ("1", "row of the table of healthy circuits"))
    return unit, (axis,), about


def _parts(plan: Plan, score: str, read: Callable[[Chunk], dict[str, Any]]) -> Iterator[Part]:
    makers = {"software": _software, "healthy": _healthy, "circuits": _circuits}
    totals = {
        "software": plan.study.seeds,
        "healthy": len(plan.healthy["seed"]),
        "circuits": plan.circuits,
    }
    for chunk in plan.chunks:
        same = int((plan.table["layer"] == chunk.layer).sum())
        found = makers[chunk.kind](plan, chunk, read(chunk), score)
        yield Part(found, totals[chunk.kind], same)


def _score(score: str, tree: dict[str, Any], axis: str) -> dict[str, Any]:
    """A group of scores, by the name of the score."""
    return {score: {n: Field(v, "1", (axis,), f"test {score}, {n}") for n, v in tree.items()}}


def _software(plan: Plan, chunk: Chunk, tree: dict[str, Any], score: str) -> dict[str, Any]:
    del chunk
    axis = ("seed",)
    found: dict[str, Any] = {
        "data": {name: _known(name, tree[name], axis) for name in ("base", "corrector", "test")},
        **_score(score, {"software": tree["score"]}, "seed"),
    }
    if plan.study.store.voltages != "none":
        images = np.concatenate([tree["corrector"], tree["test"]], axis=-1)
        kept = stored_images(plan.study, tree["corrector"].shape[-1], images)
        text = "images whose output voltages are stored"
        found["voltages"] = {"images": Field(kept, "1", (*axis, "sample"), text)}
    networks = {name: tree[name] for name in ("software", "retrained") if name in tree}
    return found | {name: encode(network, axis) for name, network in networks.items()}


def _healthy(plan: Plan, chunk: Chunk, tree: dict[str, Any], score: str) -> dict[str, Any]:
    del chunk
    axis, own = "healthy", tree["software"]
    found = {
        "healthy": encode(own["network"], (axis,)),
        **_score(score, {"healthy": own["score"]}, axis),
    }
    if corrects(plan.study):
        errors = own.get("errors", np.zeros((len(own["score"]), 1))).max(axis=1)
        found["healthy_circuits"] = {"current_error": _known("current_error", errors, (axis,))}
    if "kept" in own:
        text = "outputs of the healthy circuits"
        volts = Field(own["kept"], "V", (axis, "sample", "class"), text)
        found["voltages"] = {"healthy": volts}
    return found


def _circuits(plan: Plan, chunk: Chunk, tree: dict[str, Any], score: str) -> dict[str, Any]:
    axis = ("circuit",)
    labels = [settings.label for settings in plan.study.correctors]
    names = [n for n in ("defective", *labels, NEAREST, RETRAINED) if n in tree["score"]]
    columns = ("pairs_hit", "status", *(n for n in ("current_error",) if n in tree))
    found: dict[str, Any] = {
        "circuits": {name: _known(name, tree[name], axis) for name in columns},
        **_score(score, {name: tree["score"][name] for name in names}, "circuit"),
    }
    if "converged" in tree:
        text = "whether each one's training has converged"
        found["converged"] = {n: Field(v, "1", axis, text) for n, v in tree["converged"].items()}
    if "volts" in tree:
        text = "outputs of the defective circuits"
        volts = Field(tree["volts"], "V", (*axis, "sample", "class"), text)
        found["voltages"] = {"defective": volts}
    if "arrays" in tree:
        own = {name: _known(name, array, (OF_LAYER,)) for name, array in tree["arrays"].items()}
        found["arrays"] = {f"layer_{chunk.layer}": own}
    if "correctors" in tree:
        found["correctors"] = {
            label: {
                name: encode(part, axis) if name == "corrector" else _known(name, part, axis)
                for name, part in tree["correctors"][label].items()
            }
            for label in labels
        }
    if "measures" in tree:
        found["measures"] = {
            measure: {name: _measured(name, array) for name, array in arrays.items()}
            for measure, arrays in tree["measures"].items()
        }
    return found


def _known(name: str, array: np.ndarray, axis: tuple[str, ...]) -> Field:
    unit, behind, about = _KNOWN[name]
    return Field(array, unit, (*axis, *behind), about)


def _measured(name: str, array: np.ndarray) -> Field:
    return Field(array, "1", ("circuit", *(f"axis_{k}" for k in range(1, array.ndim))), name)


@dataclass(frozen=True)
class ComputedStudy:
    """A study all of whose numbers are in results.h5.

    Args:
        plan: what was computed.
        inputs: from which data and network.
        run: where it is, and how long it took.
    """

    plan: Plan
    inputs: StudyInputs
    run: Runner


Finish = Callable[[ComputedStudy], dict[str, Any]]
"""Writes figures and the report of a study and returns its summary."""
