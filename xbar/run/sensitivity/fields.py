"""How results.h5 names what the stages found: unit, axes and meaning of every array."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from xbar.io.circuits import network_fields
from xbar.io.store import Field
from xbar.run.sensitivity.config import KINDS
from xbar.run.sensitivity.source import Source

CELLS = ("word_line", "bit_line")

# Unit, axes and meaning by name, for stages whose arrays bear the same name everywhere.
_OF_CELLS = {
    "g": ("S", CELLS, "programmed conductance"),
    "g_on": ("S", CELLS, "conductance when stuck-on"),
    "g_off": ("S", CELLS, "conductance when stuck-off"),
    "slope": ("1/S", CELLS, "derivative of the loss by the conductance"),
    "curvature": ("1/S^2", CELLS, "second derivative"),
    "slope_word_line": ("1/ohm", CELLS, "derivative of the loss by the word-line segment"),
    "slope_bit_line": ("1/ohm", CELLS, "derivative of the loss by the bit-line segment"),
    "change": ("1", ("fraction", *CELLS), "exact change of the loss on the way to stuck-on"),
}
_FAULTS = {
    "cell": (CELLS, "one cell stuck"),
    "pair": (("word_line", "pair"), "both cells of a pair stuck"),
    "row": (("word_line",), "every cell of a word line stuck"),
    "column": (("bit_line",), "every cell of a bit line stuck"),
}
_PLACES = {
    "positions": ("1", ("place", "coordinate"), "place in the unit cube"),
    "loss": ("1", ("place",), "by the images that are searched by"),
    "accuracy": ("1", ("place",), "by the images that are searched by"),
    "test_loss": ("1", ("tested",), "test part: all random places, else the worst"),
    "test_accuracy": ("1", ("tested",), "test part: all random places, else the worst"),
    "solves": ("1", (), "transfer matrices"),
    "seconds": ("s", (), "compiling included"),
}
_CELLS = {
    "cell": ("1", ("step",), "place among all cells, layer after layer, row after row"),
    "g": ("S", ("step",), "conductance that it is stuck at"),
    "seen_loss": ("1", ("step",), "by the images that chose it"),
    "loss": ("1", ("step",), "test part, with this and all before it stuck"),
    "accuracy": ("1", ("step",), "test part"),
}
_RANDOM = {
    "count": ("1", ("count",), "stuck cells"),
    "loss": ("1", ("count", "circuit"), "test part"),
    "accuracy": ("1", ("count", "circuit"), "test part"),
}
_YIELDS = {
    "rate": ("1", ("rate",), "share of stuck cells, half on, half off"),
    "predicted": (
        "1",
        ("rate", "group", "circuit"),
        "test accuracy, effects of single faults added up",
    ),
    "solved": ("1", ("rate", "circuit"), "test accuracy of circuits solved exactly"),
}
_CORRECTORS = {
    "layer": ("1", (), "that the places are in"),
    "position": ("1", ("coordinate",), "the worst place"),
    "average": ("1", ("trained_on", "place"), "test accuracy at average places"),
    "worst": ("1", ("trained_on",), "test accuracy at the worst place"),
}
_UNCORRECTED = {
    "average": ("1", ("place",), "test accuracy at average places, uncorrected"),
    "worst": ("1", (), "test accuracy at the worst place, uncorrected"),
}
_REFEREE = {
    "status": ("1", ("layer",), "place in the list of referee.STATUS"),
    "error": ("1", ("layer",), "largest difference to ngspice, relative"),
    "seconds": ("s", ("layer",), "of ngspice for one input"),
}


def groups(source: Source, found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that results.h5 holds.

    Args:
        source: the network and its images.
        found: arrays by stage.

    Returns:
        A tree for `write_results`.
    """
    cells, places = found["cells"], found["places"]
    return {
        "data": _data(source),
        "network": network_fields(jax.tree.map(lambda x: x[None], source.network)),
        "maps": {name: _maps(tree) for name, tree in found["maps"].items()},
        "steps": {name: _named(tree, _OF_CELLS) for name, tree in found["steps"].items()},
        "places": {
            layer: {way: _named(tree, _PLACES) for way, tree in ways.items()}
            for layer, ways in places.items()
        },
        "correctors": _named(found["correctors"], _CORRECTORS)
        | {"uncorrected": _named(found["correctors"]["uncorrected"], _UNCORRECTED)},
        "cells": {
            name: _named(tree, _RANDOM if name == "random" else _CELLS)
            for name, tree in cells.items()
        },
        "yield": _named(found["yields"], _YIELDS),
        "ngspice": _named(found["referee"], _REFEREE),
    }


def _named(
    tree: Mapping[str, Any], known: Mapping[str, tuple[str, tuple[str, ...], str]]
) -> dict[str, Field]:
    """Arrays with what is known of them; groups inside are left to the caller."""
    return {
        name: Field(values, *known[name])
        for name, values in tree.items()
        if not isinstance(values, Mapping)
    }


def _maps(tree: Mapping[str, Any]) -> dict[str, Any]:
    if set(tree) == {"loss", "accuracy"}:  # the network without a further fault
        return {
            name: Field(values, "1", (), "without a further fault") for name, values in tree.items()
        }
    found: dict[str, Any] = _named(tree, _OF_CELLS)
    for fault, (axes, about) in _FAULTS.items():
        for kind in KINDS:
            name = f"{fault}_{kind}"
            found[name] = {
                score: Field(values, "1", axes, f"{score}, test part, {about}-{kind}")
                for score, values in tree[name].items()
            }
    return found


def _data(source: Source) -> dict[str, Any]:
    parts = {
        name: Field(indices, "1", ("sample",), f"images of the {name} part")
        for name, indices in source.parts.items()
    }
    return {
        "name": source.data,
        "circuit": source.circuit,
        "images": Field(source.images, "1", ("image", "feature"), "inputs"),
        "labels": Field(np.asarray(source.labels), "1", ("image",), "class of each image"),
        **parts,
    }
