"""How results.h5 names what the stages found: unit, axes and meaning of every array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xbar.io.tree import describe
from xbar.run.sensitivity.config import KINDS
from xbar.run.sensitivity.source import Source

CELLS = ("word_line", "bit_line")
_FAULTS = {
    "cell": (CELLS, "one cell stuck"),
    "pair": (("word_line", "pair"), "both cells of a pair stuck"),
    "row": (("word_line",), "every cell of a word line stuck"),
    "column": (("bit_line",), "every cell of a bit line stuck"),
}
_SEARCHED = "by the images that are searched by"
_TESTED = "test part: all random places, else the worst"

# Unit, axes and meaning by name; `*` is any layer, way or order.
_KNOWN: dict[str, tuple[str, tuple[str, ...], str]] = {
    "data/images": ("1", ("image", "feature"), "inputs"),
    "data/labels": ("1", ("image",), "class of each image"),
    "data/*": ("1", ("sample",), "images of this part"),
    "maps/healthy/*": ("1", (), "without a further fault"),
    **{
        f"maps/*/{fault}_{kind}/*": ("1", axes, f"test part, {about}-{kind}")
        for fault, (axes, about) in _FAULTS.items()
        for kind in KINDS
    },
    "maps/*/segment_word/*": ("1", CELLS, "test part, the word-line segment left of a cell broken"),
    "maps/*/segment_bit/*": ("1", CELLS, "test part, the bit-line segment below a cell broken"),
    "maps/*/g": ("S", CELLS, "programmed conductance"),
    "maps/*/g_on": ("S", CELLS, "conductance when stuck-on"),
    "maps/*/g_off": ("S", CELLS, "conductance when stuck-off"),
    "maps/*/slope": ("1/S", CELLS, "derivative of the loss by the conductance"),
    "maps/*/curvature": ("1/S^2", CELLS, "second derivative"),
    "maps/*/slope_word_line": ("1/ohm", CELLS, "derivative of the loss by the word-line segment"),
    "maps/*/slope_bit_line": ("1/ohm", CELLS, "derivative of the loss by the bit-line segment"),
    "chip/*": ("1", ("chip_row", "chip_column"), "change of the loss, the cell there stuck"),
    "steps/*/change": (
        "1",
        ("fraction", *CELLS),
        "exact change of the loss towards stuck-on",
    ),
    "places/*/positions": ("1", ("place", "coordinate"), "place in the unit cube"),
    "places/*/test_*": ("1", ("tested",), _TESTED),
    "places/*/loss": ("1", ("place",), _SEARCHED),
    "places/*/accuracy": ("1", ("place",), _SEARCHED),
    "places/*/solves": ("1", (), "transfer matrices"),
    "places/*/seconds": ("s", (), "compiling included"),
    "correctors/layer": ("1", (), "that the places are in"),
    "correctors/position": ("1", ("coordinate",), "the worst place"),
    "correctors/average": ("1", ("trained_on", "place"), "test accuracy at average places"),
    "correctors/worst": ("1", ("trained_on",), "test accuracy at the worst place"),
    "correctors/converged": ("1", ("trained_on",), "whether its training has converged"),
    "correctors/*/average": ("1", ("place",), "test accuracy at average places, uncorrected"),
    "correctors/*/worst": ("1", (), "test accuracy at the worst place, uncorrected"),
    "cells/random/count": ("1", ("count",), "stuck cells"),
    "cells/random/*": ("1", ("count", "circuit"), "test part"),
    "cells/*/cell": ("1", ("step",), "place among all cells, layer after layer, row after row"),
    "cells/*/g": ("S", ("step",), "conductance that it is stuck at"),
    "cells/*/seen_loss": ("1", ("step",), "by the images that chose it"),
    "cells/*/loss": ("1", ("step",), "test part, with this and all before it stuck"),
    "cells/*/accuracy": ("1", ("step",), "test part"),
    "yield/rate": ("1", ("rate",), "share of stuck cells, half on, half off"),
    "yield/predicted": ("1", ("rate", "group", "circuit"), "effects of single faults added up"),
    "yield/solved": ("1", ("rate", "circuit"), "test accuracy of circuits solved exactly"),
    "ngspice/status": ("1", ("layer",), "place in the list of referee.STATUS"),
    "ngspice/error": ("1", ("layer",), "largest difference to ngspice, relative"),
    "ngspice/seconds": ("s", ("layer",), "of ngspice for one input"),
}


def groups(source: Source, found: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that results.h5 holds.

    Args:
        source: the network and its images.
        found: arrays by stage.

    Returns:
        A tree for `write_results`.
    """
    own = {"name": source.data, "circuit": source.circuit, **source.parts}
    own |= {"images": source.images, "labels": np.asarray(source.labels)}
    names = {"yields": "yield", "referee": "ngspice"}  # of stages that the file calls otherwise
    stages = {names.get(name, name): tree for name, tree in found.items()}
    return describe(
        {"data": own, "network": source.network, **stages}, {**_lines(source), **_KNOWN}
    )


def _lines(source: Source) -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Lines of layers in tiles: every tile has its own."""
    axes = {"row": ("word_line", "tile_column"), "column": ("tile_row", "bit_line")}
    return {
        f"maps/layer_{number}/{fault}_{kind}/*": (
            "1",
            own,
            f"test part, {_FAULTS[fault][1]}-{kind}",
        )
        for number, layer in enumerate(source.network.layers)
        if layer.tiling is not None
        for fault, own in axes.items()
        for kind in KINDS
    }
