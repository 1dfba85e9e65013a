"""What follows from the arrays: headlines of summary.json, and the ranked list of single faults.

Nothing is solved here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xbar.nn import Network
from xbar.run.folders.folder import without_nan
from xbar.run.folders.runner import Arrays
from xbar.run.sensitivity.config import KINDS
from xbar.run.sensitivity.placed import TRAINED_ON, WAYS, worst_of
from xbar.run.sensitivity.stages import FRACTIONS, STATUS
from xbar.run.study import tables
from xbar.sensitivity.expansion import agreement
from xbar.statistics import t_interval


def findings(found: Arrays, images: int) -> dict[str, Any]:
    """Everything that the summary says of the network.

    Args:
        found: arrays by stage.
        images: of the test part.

    Returns:
        JSON-able.
    """
    maps = found["maps"]
    layers = [maps[f"layer_{k}"] for k in range(len(maps) - 1)]
    healthy = {name: float(values) for name, values in maps["healthy"].items()}
    return without_nan(
        {
            "healthy": healthy,
            "single_faults": single(maps, layers, healthy),
            "trust": trust(layers, found["steps"], healthy),
            "places": {name: placed(tree) for name, tree in found["places"].items()},
            "correctors": readers(found["correctors"]),
            "cells": together(found["cells"]),
            "yield": yielded(found["yields"]),
            "ngspice": refereed(found["referee"], layers, images),
        }
    )


def single(maps: Arrays, layers: list[Any], healthy: Mapping[str, float]) -> dict[str, Any]:
    """The worst single fault, the worst outside bias rows, and how many cost nothing."""
    worst = ranked(maps, 1).to_dict("records")[0]
    costs = {
        kind: [healthy["accuracy"] - layer[f"cell_{kind}"]["accuracy"].ravel() for layer in layers]
        for kind in KINDS
    }
    every = np.concatenate([c for kind in KINDS for c in costs[kind]])
    return {
        "faults": int(every.size),
        "unsolved": int(np.isnan(every).sum()),
        "worst": worst,
        "harmless_share": float(np.mean(every <= 0)),
        "harmless_by_layer": {
            kind: [float(np.mean(c <= 0)) for c in costs[kind]] for kind in KINDS
        },
        "largest_accuracy_loss": float(np.nanmax(every)),
    }


def trust(layers: list[Any], steps: Arrays, healthy: Mapping[str, float]) -> dict[str, Any]:
    """Predictions from derivatives against exact changes of the loss, by layer and kind."""
    found: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        entry: dict[str, Any] = {}
        for kind in KINDS:
            exact = layer[f"cell_{kind}"]["loss"] - healthy["loss"]
            step = layer[f"g_{kind}"] - layer["g"]
            first, second = predictions(layer, step)
            one, two = agreement(first, exact), agreement(second, exact)
            entry[kind] = {
                "rank_correlation": one.rank,
                "error": one.error,
                "right_sign": one.sign,
                "second_order": {"rank_correlation": two.rank, "error": two.error},
            }
        entry["growing"] = growing(layer, steps[f"layer_{number}"]["change"])
        found[f"layer_{number}"] = entry
    return found


def predictions(layer: Arrays, step: Any) -> tuple[np.ndarray, np.ndarray]:
    """Change of the loss by first and by second order, s dg and s dg + c dg^2 / 2."""
    first = layer["slope"] * step
    return first, first + 0.5 * layer["curvature"] * step**2


def growing(layer: Arrays, change: np.ndarray) -> dict[str, list[float]]:
    """Relative error of both orders for changes of growing size, towards stuck-on."""
    full = layer["g_on"] - layer["g"]
    rows = [
        [agreement(p, exact).error for p in predictions(layer, fraction * full)]
        for fraction, exact in zip(FRACTIONS, change, strict=True)
    ]
    first, second = zip(*rows, strict=True)
    return {"fraction": list(FRACTIONS), "first": list(first), "second": list(second)}


def placed(tree: Arrays) -> dict[str, Any]:
    """The worst place of each way, beside the average one."""
    random = tree["random"]
    mean, half, _ = t_interval(random["test_accuracy"])
    way, position, loss = worst_of(tree)
    worst = {
        name: {
            "solves": int(tree[name]["solves"]),
            "loss": float(np.nanmax(tree[name]["loss"])),
            "test_accuracy": _tested(tree[name]),
            "seconds": float(tree[name]["seconds"]),
        }
        for name in WAYS
    }
    return {
        "average": {"test_accuracy": mean, "ci95": half, "loss": float(np.mean(random["loss"]))},
        "worst": worst,
        "found_by": [n for n in WAYS if worst[n]["loss"] >= loss * (1 - 1e-12)],
        "position": [float(p) for p in position],
        "test_accuracy": worst[way]["test_accuracy"],
    }


def _tested(tree: Arrays) -> float:
    """Test accuracy at the worst place; random places are all tested, others the worst alone."""
    at = int(np.nanargmax(tree["loss"])) if len(tree["test_accuracy"]) > 1 else 0
    return float(tree["test_accuracy"][at])


def readers(tree: Arrays) -> dict[str, Any]:
    """Test accuracy of correctors at average places and at the worst."""
    bare = tree["uncorrected"]
    rows = {"uncorrected": (bare["average"], bare["worst"])} | {
        name: (tree["average"][k], tree["worst"][k]) for k, name in enumerate(TRAINED_ON)
    }
    entries = {
        name: {"average": t_interval(average)._asdict(), "worst": float(worst)}
        for name, (average, worst) in rows.items()
    }
    ended = zip(TRAINED_ON, tree["converged"], strict=True)
    stopped = [name for name, converged in ended if not converged]
    return {"layer": int(tree["layer"]), "trained_on": entries, "unconverged": stopped}


def together(tree: Arrays) -> dict[str, Any]:
    """Test accuracy with several stuck cells."""
    random = tree["random"]
    return {
        **{name: chosen["accuracy"].tolist() for name, chosen in tree.items() if name != "random"},
        "random": {
            str(int(n)): {
                "mean": float(np.nanmean(shares)),
                "lowest": float(np.nanmin(shares)),
                "circuits": len(shares),
            }
            for n, shares in zip(random["count"], random["accuracy"], strict=True)
        },
    }


def yielded(tree: Arrays) -> list[dict[str, Any]]:
    """Predicted and solved accuracies at each rate, and whether they can be told apart.

    Few circuits make most of the loss at low rates, so Student's interval of the solved mean is too
    narrow there. The solved mean is therefore compared with the means of as many predicted
    circuits, and whole distributions by the two-sample test of Kolmogorov and Smirnov.
    """
    rows = []
    for rate, predicted, solved in zip(
        tree["rate"], tree["predicted"], tree["solved"], strict=True
    ):
        known = solved[np.isfinite(solved)]
        low, high = np.percentile(predicted.mean(axis=1), [2.5, 97.5])
        rows.append(
            {
                "rate": float(rate),
                "predicted_mean": float(predicted.mean()),
                "predicted_5_to_95": np.percentile(predicted, [5, 95]).tolist(),
                "solved_mean_if_predicted": [float(low), float(high)],
                "solved_mean": float(known.mean()),
                "solved_5_to_95": np.percentile(known, [5, 95]).tolist(),
                "mean_holds": bool(low - 1e-9 <= known.mean() <= high + 1e-9),
                "same_distribution_p": float(stats.ks_2samp(predicted.ravel(), known).pvalue),
                "unsolved": int(len(solved) - len(known)),
            }
        )
    return rows


def refereed(tree: Arrays, layers: list[Any], images: int) -> dict[str, Any]:
    """What ngspice said, and what it would take for every fault and image: one solve of each."""
    seconds, status = np.asarray(tree["seconds"]), [STATUS[k] for k in tree["status"]]
    solves = [len(KINDS) * layer["g"].size * images for layer in layers]
    needed = float(np.dot(solves, seconds)) if np.isfinite(seconds).all() else None
    return {
        "status": status,
        "error": np.asarray(tree["error"]).tolist(),
        "seconds_per_solve": seconds.tolist(),
        "solves": int(sum(solves)),
        "would_take_s": needed,
    }


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
