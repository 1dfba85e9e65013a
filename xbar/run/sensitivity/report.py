"""What a run leaves behind: results.h5, critical_cells.csv, figures, report.html, the summary."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import tomli_w
from rich.table import Table
from rich.text import Text

from xbar.io.store import commit, write_results
from xbar.io.tree import describe
from xbar.run.folders.runner import Runner
from xbar.run.reports.page import CellMap, as_json, save_figures, write_report
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.figures import draw
from xbar.run.sensitivity.findings import as_csv, findings, ranked, with_tiles
from xbar.run.sensitivity.placed import WAYS
from xbar.run.sensitivity.source import Source
from xbar.run.study.scores import share

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


SHOWN = 20  # rows of the report's table


def publish(
    config: SensitivityConfig, source: Source, found: dict[str, Any], run: Runner
) -> dict[str, Any]:
    """Write everything but the summary.

    Args:
        config: what was asked.
        source: the network and its images.
        found: arrays by stage.
        run: where.

    Returns:
        The summary.
    """
    with run.timed("write results, tables, figures and report"):
        with run.writing("results.h5") as path:
            write_results(path, groups(source, found), run.settings)
        rows = with_tiles(ranked(found["maps"]), source.network)
        run.write_text("critical_cells.csv", as_csv(rows))
        images = len(source.parts["test"])
        summary = {
            "network": "-".join(map(str, source.sizes)),
            "circuit": source.circuit,
            "data": source.data,
            "test_images": images,
            "inputs": "images" if source.data == "digits" else "inputs",
            "seed": config.seed,
            "defect": config.defect(),
            **findings(found, images),
        }
        figures = save_figures(run, draw(found, summary))
        summary["figures"] = [figure.file for figure in figures]
    summary |= run.times()
    more = {
        "headlines": headlines(summary),
        "rows": rows.head(SHOWN).to_dict("records"),
        "listed": len(rows),
        "ways": WAYS,
        "commit": commit(),
        "maps": as_json(cell_maps(found["maps"])),
        "file": tomli_w.dumps(_known(run.settings)),
    }
    write_report(run, "sensitivity.html.j2", figures, summary, **more)
    return summary


def cell_maps(maps: dict[str, Any]) -> list[CellMap]:
    """What each single fault changes, for the pointer."""
    healthy, shown = maps["healthy"], []
    for number in range(len(maps) - 1):
        layer = maps[f"layer_{number}"]
        quantities = {}
        for kind in KINDS:
            found = layer[f"cell_{kind}"]
            quantities[f"loss, stuck-{kind}"] = found["loss"] - healthy["loss"]
            change = 100 * (found["accuracy"] - healthy["accuracy"])
            quantities[f"accuracy, stuck-{kind} [points]"] = change
        shown.append(
            CellMap(f"layer {number}", quantities | {"conductance [µS]": 1e6 * layer["g"]})
        )
    return shown


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that are not set, which TOML cannot say."""
    tree = {k: _known(v) if isinstance(v, Mapping) else v for k, v in settings.items()}
    return {name: value for name, value in tree.items() if value is not None}


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print the headline figures, and where everything is."""
    table = Table("question", "answer")
    for question, answer in headlines(summary):
        table.add_row(Text(question), Text(answer))
    run.console.print(table)
    files = ("report.html", "summary.json", "results.h5", "critical_cells.csv")
    run.print(
        f"{summary['circuit']}: a {summary['network']} network, {summary['test_images']} test "
        f"{summary['inputs']}; {summary['wall_s']} s",
        *files,
        *summary["figures"],
    )


def headlines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Questions and answers, in words."""
    single, cells, readers = (summary[n] for n in ("single_faults", "cells", "correctors"))
    worst, healthy = single["worst"], summary["healthy"]["accuracy"]
    place = summary["places"][f"layer_{readers['layer']}"]
    rows = readers["trained_on"]
    where = f"layer {worst['layer']}, word line {worst['word_line']}, bit line {worst['bit_line']}"
    found = [
        ("accuracy as it is", share(healthy)),
        (
            "worst single fault",
            f"{where} {worst['fault']}: loss {worst['loss_change']:+.3f}, accuracy "
            f"{100 * worst['accuracy_change']:+.1f} points",
        ),
        (
            "single faults that cost nothing",
            f"{share(single['harmless_share'])} of {single['faults']:,}",
        ),
        (
            f"{len(cells['greedy_weights'])} worst cells together",
            f"{share(cells['greedy_all'][-1])}; outside bias rows "
            f"{share(cells['greedy_weights'][-1])}",
        ),
        (
            f"{summary['defect']}, layer {readers['layer']}",
            f"average place {share(place['average']['test_accuracy'])}, worst place "
            f"{share(place['test_accuracy'])}",
        ),
        (
            "corrector at the worst place",
            f"trained on average places {share(rows['average places']['worst'])}, on the worst "
            f"place {share(rows['the worst place']['worst'])}",
        ),
    ]
    holds = [row["rate"] for row in takewhile(lambda row: row["mean_holds"], summary["yield"])]
    if holds:
        found.append(
            ("yield from the map", f"mean holds up to {100 * holds[-1]:g} % of stuck cells")
        )
    return [*found, ("ngspice", ngspice(summary["ngspice"]))]


def ngspice(found: dict[str, Any]) -> str:
    """The referee in words."""
    status = set(found["status"])
    if status <= {"left out", "no ngspice"}:
        return f"not asked ({', '.join(sorted(status))})"
    count = len(found["status"])
    agree = found["status"].count("agrees")
    text = f"agrees on the worst fault of {agree} of {count} layers"
    if found["would_take_s"] is not None:
        text += (
            f"; one solve for each fault and image, {found['solves']:,} of them, would take it "
            f"{_duration(found['would_take_s'])}"
        )
    return text


def _duration(seconds: float) -> str:
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
