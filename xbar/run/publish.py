"""From a study's shards to results.h5: what each array is, and where it goes."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from xbar.io.circuits import network_fields, network_of
from xbar.io.merge import OF_LAYER, Part, merge
from xbar.io.store import Field
from xbar.io.trees import flatten
from xbar.run.chunks import NEAREST, RETRAINED, STATUS, stored_images
from xbar.run.circuits import with_words
from xbar.run.plan import AXES, Chunk, Plan
from xbar.run.software import Given

# Unit, axes behind the first, and meaning of what shards hold, by the last part of its name.
_KNOWN: dict[str, tuple[str, tuple[str, ...], str]] = {
    "g_plus": ("S", ("row", "pair"), "plus cells of the broken layer; the bias row is the last"),
    "g_minus": ("S", ("row", "pair"), "minus cells of the broken layer"),
    "hit": ("1", ("row", "pair"), "pairs of the broken layer that are stuck"),
    "pairs_hit": ("1", (), "pairs that are stuck"),
    "status": ("1", (), "; ".join(f"{n}: {word}" for n, word in enumerate(STATUS))),
    "mean": ("V", ("output",), "subtracted from the voltages"),
    "std": ("V", ("output",), "divides the voltages"),
    "bias": ("1", ("output",), "added to the scaled voltages"),
    "scale": ("1", ("output",), "multiplies the normalised voltages"),
    "log_scale": ("1", (), "logarithm of the common scale"),
    "classes": ("1", ("sample",), "of the test part, by the corrector"),
    "base": ("1", ("sample",), "images that train the software network"),
    "corrector": ("1", ("sample",), "images that train the correctors"),
    "test": ("1", ("sample",), "images that score everything"),
}


def write_study_results(
    path: Path,
    plan: Plan,
    given: Given,
    read: Callable[[Chunk], dict[str, Any]],
    config: Mapping[str, Any],
) -> None:
    """Publish results.h5 from the shards.

    Args:
        path: of the file.
        plan: of the study.
        given: its data and network.
        read: takes a chunk's arrays from its shard.
        config: JSON-able settings.

    Raises:
        OSError: it cannot be written.
    """
    merge(path, _groups(plan, given), _parts(plan, given, read), config)


def _groups(plan: Plan, given: Given) -> dict[str, Any]:
    """What follows from the study and its data."""
    dataset, activation = given.dataset, given.activation
    tables = {
        group: {name: Field(column, *_axis(name, axis)) for name, column in table.items()}
        for group, axis, table in (
            ("circuits", "circuit", plan.table),
            ("healthy_circuits", "healthy", plan.healthy),
        )
    }
    study = plan.study
    words = {
        c.label: {} if c.bias_only or c.diagonal else {"activation": c.activation}
        for c in study.correctors
    }
    correctors = {"correctors": words} if words and study.store.correctors else {}
    return {
        **correctors,
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "images": Field(dataset.images, "1", ("image", "feature"), "inputs"),
            "labels": Field(dataset.labels, "1", ("image",), "class of each image"),
        },
        **tables,
        "software": {"activation": activation},
        "healthy": {
            f"layer_{k}": {"activation": "none" if k == plan.layers - 1 else activation}
            for k in range(plan.layers)
        },
    }


def _axis(name: str, axis: str) -> tuple[str, tuple[str, ...], str]:
    unit, about = AXES.get(name, ("1", "row of the table of healthy circuits"))
    return unit, (axis,), about


def _parts(plan: Plan, given: Given, read: Callable[[Chunk], dict[str, Any]]) -> Iterator[Part]:
    makers = {"software": _software, "healthy": _healthy, "circuits": _circuits}
    totals = {
        "software": plan.study.seeds,
        "healthy": len(plan.healthy["seed"]),
        "circuits": plan.circuits,
    }
    for chunk in plan.chunks:
        same = plan.table["layer"] == chunk.layer
        first_of_layer = int(np.argmax(same)) if chunk.kind == "circuits" else 0
        yield Part(
            chunk.kind,
            makers[chunk.kind](plan, given, chunk, read(chunk)),
            chunk.first,
            chunk.count,
            totals[chunk.kind],
            chunk.first - first_of_layer,
            int(same.sum()),
        )


def _software(plan: Plan, given: Given, chunk: Chunk, tree: dict[str, Any]) -> dict[str, Field]:
    del given, chunk
    axis = ("seed",)
    found = {
        f"data/{name}": _known(name, tree[name], axis) for name in ("base", "corrector", "test")
    }
    found["accuracy/software"] = Field(tree["accuracy"], "1", axis, "test accuracy, software")
    if plan.study.store.voltages != "none":
        images = np.concatenate([tree["corrector"], tree["test"]], axis=-1)
        kept = stored_images(plan.study, tree["corrector"].shape[-1], images)
        text = "images whose output voltages are stored"
        found["voltages/images"] = Field(kept, "1", (*axis, "sample"), text)
    for group in ("software", "retrained"):
        for name, array in tree.get(group, {}).items():
            found[f"{group}/{name}"] = _parameter(name, array, axis, f"{group} network")
    return found


def _healthy(plan: Plan, given: Given, chunk: Chunk, tree: dict[str, Any]) -> dict[str, Field]:
    del plan, chunk
    axis, own = "healthy", tree["software"]
    about = _about(own["network"], given.activation)
    found = {
        f"healthy/{name}": about[name]._replace(values=array, axes=(axis, *about[name].axes[1:]))
        for name, array in flatten(own["network"])
    }
    found["accuracy/healthy"] = Field(own["accuracy"], "1", (axis,), "test accuracy, healthy")
    if "kept" in own:
        text = "outputs of the healthy circuits"
        found["voltages/healthy"] = Field(own["kept"], "V", (axis, "sample", "class"), text)
    return found


def _about(stack: dict[str, Any], activation: str) -> dict[str, Field]:
    """Units, axes and meaning of everything in stacked networks, found without computing."""
    about: dict[str, Field] = {}

    def note(stack: dict[str, Any]) -> None:
        networks = jax.vmap(lambda one: network_of(with_words(one, activation)))(stack)
        about.update(_fields(network_fields(networks)))

    jax.eval_shape(note, stack)
    return about


def _circuits(plan: Plan, given: Given, chunk: Chunk, tree: dict[str, Any]) -> dict[str, Field]:
    del given
    axis = ("circuit",)
    labels = [settings.label for settings in plan.study.correctors]  # JAX sorts names
    found = {f"circuits/{name}": _known(name, tree[name], axis) for name in ("pairs_hit", "status")}
    for name in ("defective", *labels, NEAREST, RETRAINED):
        if name in tree["accuracy"]:
            text = f"test accuracy, {name}"
            found[f"accuracy/{name}"] = Field(tree["accuracy"][name], "1", axis, text)
    if "volts" in tree:
        text = "outputs of the defective circuits"
        found["voltages/defective"] = Field(tree["volts"], "V", (*axis, "sample", "class"), text)
    for name, array in tree.get("arrays", {}).items():
        below = f"arrays/layer_{chunk.layer}/{name}"
        found[below] = _known(name, array, (OF_LAYER,))
    for label in labels if "correctors" in tree else ():
        for name, array in tree["correctors"][label].items():
            known = name in _KNOWN
            what = label
            field = _known(name, array, axis) if known else _parameter(name, array, axis, what)
            found[f"correctors/{label}/{name}"] = field
    for measure, arrays in tree.get("measures", {}).items():
        for name, array in arrays.items():
            behind = tuple(f"axis_{k}" for k in range(1, array.ndim))
            found[f"measures/{measure}/{name}"] = Field(array, "1", (*axis, *behind), name)
    return found


def _known(name: str, array: np.ndarray, axis: tuple[str, ...]) -> Field:
    unit, behind, about = _KNOWN[name]
    return Field(array, unit, (*axis, *behind), about)


def _parameter(name: str, array: np.ndarray, axis: tuple[str, ...], what: str) -> Field:
    kind, _, layer = name.partition("_")
    behind = ("input", "output") if kind == "weights" else ("output",)
    return Field(array, "1", (*axis, *behind), f"{kind} of layer {layer}, {what}")


def _fields(tree: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, Field]]:
    for name, item in tree.items():
        if isinstance(item, Field):
            yield f"{below}{name}", item
        elif not isinstance(item, str):
            yield from _fields(item, f"{below}{name}/")
