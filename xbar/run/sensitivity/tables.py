"""The ranked list of single faults, for people and for critical_cells.csv."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from xbar.run import tables
from xbar.run.sensitivity.config import KINDS

LISTED = 1000  # of the CSV


class Ranked(NamedTuple):
    """One single fault, with the test engineer's numbers of its cell.

    Args:
        layer: 0 the first.
        word_line: 0 the first; the last is the bias row.
        bit_line: 0 the first.
        pair: of the weight matrix's column, bit_line // 2.
        cell: "plus" or "minus".
        fault: "stuck-on" or "stuck-off".
        loss_change: exact, test part.
        accuracy_change: exact, test part.
        predicted_loss_change: from the gradient.
        g: programmed conductance [S].
        g_stuck: [S].
    """

    layer: int
    word_line: int
    bit_line: int
    pair: int
    cell: str
    fault: str
    loss_change: float
    accuracy_change: float
    predicted_loss_change: float
    g: float
    g_stuck: float

    def __str__(self) -> str:
        """For people."""
        return f"layer {self.layer}, word line {self.word_line}, bit line {self.bit_line}"


def ranked(maps: Mapping[str, Any], most: int = LISTED) -> list[Ranked]:
    """The single faults that raise the loss most, worst first.

    Args:
        maps: arrays of that stage.
        most: how many.

    Returns:
        The faults; those without a solution are left out.
    """
    healthy = maps["healthy"]
    columns: dict[str, list[np.ndarray]] = {}
    for number in range(len(maps) - 1):
        layer = maps[f"layer_{number}"]
        rows, bits = np.indices(layer["g"].shape)
        for place, kind in enumerate(KINDS):
            step = layer[f"g_{kind}"] - layer["g"]
            found = {
                "layer": np.full(rows.shape, number),
                "word_line": rows,
                "bit_line": bits,
                "kind": np.full(rows.shape, place),
                "loss": layer[f"cell_{kind}"]["loss"] - healthy["loss"],
                "accuracy": layer[f"cell_{kind}"]["accuracy"] - healthy["accuracy"],
                "predicted": layer["slope"] * step,
                "g": layer["g"],
                "g_stuck": np.broadcast_to(layer[f"g_{kind}"], rows.shape),
            }
            for name, values in found.items():
                columns.setdefault(name, []).append(values.ravel())
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    fine = np.flatnonzero(np.isfinite(table["loss"]))
    order = fine[np.argsort(-table["loss"][fine], kind="stable")[:most]]
    return [_row(table, k) for k in order.tolist()]


def _row(table: Mapping[str, np.ndarray], k: int) -> Ranked:
    bit_line = int(table["bit_line"][k])
    return Ranked(
        layer=int(table["layer"][k]),
        word_line=int(table["word_line"][k]),
        bit_line=bit_line,
        pair=bit_line // 2,
        cell="minus" if bit_line % 2 else "plus",
        fault=f"stuck-{KINDS[int(table['kind'][k])]}",
        loss_change=float(table["loss"][k]),
        accuracy_change=float(table["accuracy"][k]),
        predicted_loss_change=float(table["predicted"][k]),
        g=float(table["g"][k]),
        g_stuck=float(table["g_stuck"][k]),
    )


def as_csv(rows: list[Ranked]) -> str:
    """The ranked faults as text; units stand in the names of the columns."""
    units = {"g": "g_S", "g_stuck": "g_stuck_S"}
    names = [units.get(name, name) for name in Ranked._fields]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    table = dict(zip(names, columns, strict=True))
    return tables.as_csv({"rank": range(1, len(rows) + 1), **table})
