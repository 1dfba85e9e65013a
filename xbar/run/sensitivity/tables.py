"""The ranked list of single faults, for people and for critical_cells.csv."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from xbar.nn import Network
from xbar.run.sensitivity.config import KINDS
from xbar.run.study import tables

LISTED = 1000  # of the CSV


def ranked(maps: Mapping[str, Any], most: int = LISTED) -> pd.DataFrame:
    """The single faults that raise the loss most, worst first, with their cells' numbers.

    Args:
        maps: arrays of that stage.
        most: how many.

    Returns:
        A row for each fault; those without a solution are left out. Word and bit lines count from
        0, the last word line is the bias; a pair is a column of the weight matrix. Changes of loss
        and accuracy are exact, on the test part; the predicted one is the gradient's. Conductances
        are in siemens.
    """
    healthy, parts = maps["healthy"], []
    for number in range(len(maps) - 1):
        layer = maps[f"layer_{number}"]
        word_line, bit_line = (lines.ravel() for lines in np.indices(layer["g"].shape))
        for kind in KINDS:
            found, g, g_stuck = layer[f"cell_{kind}"], layer["g"], layer[f"g_{kind}"]
            columns = {
                "layer": number,
                "word_line": word_line,
                "bit_line": bit_line,
                "pair": bit_line // 2,
                "cell": np.where(bit_line % 2, "minus", "plus"),
                "fault": f"stuck-{kind}",
                "loss_change": (found["loss"] - healthy["loss"]).ravel(),
                "accuracy_change": (found["accuracy"] - healthy["accuracy"]).ravel(),
                "predicted_loss_change": (layer["slope"] * (g_stuck - g)).ravel(),
                "g": g.ravel(),
                "g_stuck": np.broadcast_to(g_stuck, g.shape).ravel(),
            }
            parts.append(pd.DataFrame(columns))
    table = pd.concat(parts).dropna(subset="loss_change")
    order = table.sort_values("loss_change", ascending=False, kind="stable")
    return order.head(most).reset_index(drop=True)


def with_tiles(table: pd.DataFrame, network: Network) -> pd.DataFrame:
    """The table with the tile of each cell and its lines there; as it is without tiles."""
    names = ("tile_row", "tile_column", "tile_word_line", "tile_bit_line")
    found = np.full((len(table), len(names)), -1)
    for number, layer in enumerate(network.layers):
        of = (table["layer"] == number).to_numpy()
        if layer.tiling is not None:
            cells = table.loc[of, ["word_line", "bit_line"]].to_numpy()
            found[of] = np.hstack(layer.tiling.places(cells, layer.pairs.shape))
    tiled = any(layer.tiling is not None for layer in network.layers)
    return table.assign(**dict(zip(names, found.T, strict=True))) if tiled else table


def as_csv(table: pd.DataFrame) -> str:
    """The ranked faults as text; units stand in the names of the columns."""
    named = table.rename(columns={"g": "g_S", "g_stuck": "g_stuck_S"})
    return tables.as_csv({"rank": range(1, len(named) + 1), **named})
