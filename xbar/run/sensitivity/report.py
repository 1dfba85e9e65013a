"""What a run leaves behind: results.h5, critical_cells.csv, figures, report.html, the summary."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import tomli_w
from rich.table import Table
from rich.text import Text

from xbar.io.store import commit, write_results
from xbar.run.folders.runner import Runner
from xbar.run.reports.page import CellMap, as_json, save_figures, write_report
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.fields import groups
from xbar.run.sensitivity.figures import draw
from xbar.run.sensitivity.findings import findings
from xbar.run.sensitivity.placed import WAYS
from xbar.run.sensitivity.source import Source
from xbar.run.sensitivity.tables import as_csv, ranked, with_tiles
from xbar.run.study.scores import share

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
