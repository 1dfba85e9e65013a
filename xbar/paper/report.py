"""From tables to figures, report.html and the summary. Nothing is computed anew."""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from xbar.devices import SHAPES, placed_mask
from xbar.io.store import write_text
from xbar.paper.claims import RULE, Claim, Judged, judge
from xbar.paper.experiment import TEXTS, Findings, filled, sentences
from xbar.paper.experiments import EXPERIMENTS
from xbar.paper.settings import AREA, SIX
from xbar.paper.tables import Tables, read_csv, read_tables
from xbar.plots.style import COLOURS, STUCK, new_figure, save

PARTS = {
    "study": "The study, claim by claim",
    "beyond": "Beyond the study",
    "simulator": "The reference simulator",
}
CLAIMS = {"study": "Published claims", "beyond": "Claims of our own, fixed beforehand"}


def write_paper(out: Path) -> dict[str, Any]:
    """Draw the figures and write the report of a run.

    Args:
        out: the run's folder, its results.h5 in place.

    Returns:
        What the summary says of the results: claims, figures, simulator, versions, commit.

    Raises:
        StoreError: results.h5 is missing or damaged.
    """
    tables, seconds, attributes = read_tables(out / "results.h5")
    config = attributes["config"]
    origin = {
        "seed": config["seed"],
        "seeds": config["seeds"],
        "config": config,
        "commit": attributes["commit"],
        "versions": json.loads(attributes["versions"]),
        "experiments_s": {name: round(s, 1) for name, s in seconds.items()},
    }
    return _written(out, tables, origin)


def judge_again(folder: Path, out: Path) -> dict[str, Any]:
    """Write figures, report.html and summary.json anew from a run's CSV tables and summary.

    Args:
        folder: with `<experiment>_<table>.csv` and summary.json.
        out: where they go.

    Returns:
        The summary.
    """
    old = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    names = ("seed", "seeds", "commit", "versions", "experiments_s", "wall_s")
    origin = {name: old[name] for name in names} | {"config": old.get("config", {})}
    out.mkdir(exist_ok=True)
    summary = _written(out, read_csv(folder, [e.name for e in EXPERIMENTS]), origin)
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


def _written(out: Path, tables: Mapping[str, Tables], origin: Mapping[str, Any]) -> dict[str, Any]:
    found = {e.name: e.find(tables[e.name]) for e in EXPERIMENTS if e.name in tables}
    sections = {name: _section(out, name, findings) for name, findings in found.items()}
    judged = [claim for section in sections.values() for claim in section["claims"]]
    by_part = {
        title: [c for s in sections.values() if s["part"] == part for c in s["claims"]]
        for part, title in CLAIMS.items()
    }
    published = by_part[CLAIMS["study"]]
    kinds = Counter(claim.kind for claim in published)
    counts = {
        name.replace(" ", "_"): str(kinds[name]) for name in ("holds", "in part", "does not hold")
    }
    facts = {f"{e}_{name}": fact for e, f in found.items() for name, fact in f.facts.items()}
    facts |= counts | {"claims": str(len(published))}
    drawings = {"circuit": circuit_drawing(), "shapes": shapes_drawing()}
    loader = PackageLoader("xbar.paper")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("paper.html.j2").render(
        drawings={name: _inline(out, name, figure) for name, figure in drawings.items()},
        abstract=sentences(TEXTS["abstract"]["sentences"], facts)[:5],
        conclusion=sentences(TEXTS["conclusion"]["sentences"], facts),
        parts=[(t, [s for s in sections.values() if s["part"] == p]) for p, t in PARTS.items()],
        claims=[*by_part.items()],
        rule=RULE,
        **origin,
    )
    write_text(out / "report.html", text)
    simulator = sections["simulator"]["sentences"] if "simulator" in sections else []
    return {
        "claims": {claim.claim.name: claim.as_dict() for claim in judged},
        "simulator": "".join(simulator) or "no reference simulator",
        "figures": [figure["file"] for s in sections.values() for figure in s["figures"]],
        **origin,
    }


def _section(out: Path, name: str, findings: Findings) -> dict[str, Any]:
    """What the template shows of one experiment: its texts, filled with its facts."""
    texts, facts = TEXTS[name], findings.facts
    figures, tables = [], []
    for key, figure in findings.figures.items():
        title, caption = (filled(text, facts) for text in texts["figures"][key])
        image = _inline(out, f"{name}_{key}", figure)
        file = f"{name}_{key}.png"
        figures.append({"file": file, "title": title, "caption": caption, "image": image})
    for key, frame in findings.tables.items():
        title, note = (filled(text, facts) for text in texts["tables"][key])
        frame = frame.reset_index()
        rows = [[str(cell) for cell in row] for row in frame.itertuples(index=False)]
        tables.append({"title": title, "note": note, "head": [*frame], "rows": rows})
    return {
        "name": name,
        "part": texts["part"],
        "title": texts["title"],
        "question": texts["question"],
        "method": filled(texts["method"], facts),
        "open_points": texts.get("open_points", ""),
        "sentences": sentences(texts["sentences"], facts),
        "claims": verdicts(name, findings),
        "tables": tables,
        "figures": figures,
    }


def verdicts(name: str, findings: Findings) -> list[Judged]:
    """The claims of an experiment with their verdicts; those without a condition are left out."""
    texts, found = TEXTS[name].get("claims", {}), []
    for key, text in texts.items():
        conditions = findings.claims.get(key, ())
        note = filled(text.get("note", ""), findings.facts)
        if len(conditions):
            found.append(judge(Claim(key, **text | {"note": note}), conditions))
    return found


def _inline(out: Path, name: str, figure: Figure) -> str:
    """Save a figure, and give it as an address that holds it."""
    path = out / f"{name}.png"
    save(figure, path)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


PAIRS = ((65, 50), (51, 20), (21, 8), (9, 10))  # of each array, bias row included
DARK, PALE, CELL, LINE = "#333333", "#e8eef3", "#9db8cc", "#b5c4d0"
LEGEND = (
    "word lines (rows) carry inputs, bit lines (columns) sum currents; a weight is G+ - G- of a "
    "pair; red: stuck"
)


def circuit_drawing() -> Figure:
    """Four arrays in a row, amplifiers between them, the corrector behind; one array broken."""
    figure = new_figure(2.0)
    axes = figure.subplots()
    axes.set(xlim=(0, 100), ylim=(0, 44), aspect="equal")
    axes.axis("off")
    _box(axes, 0, 9, "64\npixels", PALE, DARK)
    for layer, (rows, columns) in enumerate(PAIRS):
        left = 13 + 18 * layer
        _array(axes, left, broken=layer == len(PAIRS) - 1)
        _arrow(axes, left - 4 if layer == 0 else left - 6, left)
        _text(axes, left + 6, 34, f"layer {layer}", 8)
        _text(axes, left + 6, 10, f"{rows} x {columns}\npairs", 7)
        _text(axes, left + 15, 26, "ReLU" if layer < len(PAIRS) - 1 else "10 V", 6.5)
    _arrow(axes, 79, 86)
    _box(axes, 86, 14, "corrector\n10-14-10", "#d7eedd", COLOURS["corrected"])
    _text(axes, 50, 2, LEGEND, 6.5)
    _text(axes, 50, 40, "one layer is broken at a time; corrected from the ten voltages alone", 8)
    return figure


def _text(axes: Axes, x: float | int, y: float | int, text: str, size: float | int) -> None:
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=DARK)


def _box(axes: Axes, x: float | int, width: float | int, text: str, face: str, edge: str) -> None:
    style: Any = "round,pad=0,rounding_size=1.5"
    axes.add_patch(FancyBboxPatch((x, 18), width, 12, boxstyle=style, fc=face, ec=edge))
    _text(axes, x + width / 2, 24, text, 7)


def _array(axes: Axes, x: float | int, broken: bool) -> None:
    """A crossbar of 6 x 6 cells with its lines."""
    axes.add_patch(Rectangle((x, 16), 12, 16, fc=PALE, ec=DARK, linewidth=0.8))
    for i in range(6):
        axes.plot([x, x + 12], [18 + 2.4 * i] * 2, color=LINE, linewidth=0.6)
        axes.plot([x + 1.5 + 1.8 * i] * 2, [16, 32], color=LINE, linewidth=0.6)
        for j in range(6):
            hit = broken and np.hypot(i - 2.5, j - 2.5) < 1.7
            spot = (x + 1.5 + 1.8 * j, 18 + 2.4 * i)
            axes.add_patch(Circle(spot, 0.62, fc=STUCK if hit else CELL, ec="none", zorder=3))


def _arrow(axes: Axes, x: float | int, to: float | int) -> None:
    arrow = FancyArrowPatch((x, 24), (to, 24), arrowstyle="-|>", mutation_scale=7, color=DARK)
    axes.add_patch(arrow)


def shapes_drawing() -> Figure:
    """The six shapes on the first array, at the area of the study's circle where they can."""
    figure, (rows, columns) = new_figure(1.35), PAIRS[0]
    for axes, name in zip(figure.subplots(1, len(SIX)), SIX, strict=True):
        known = SHAPES[name]
        coverage = AREA if known.least <= AREA <= known.most else known.coverage
        mask = placed_mask(name, jnp.full(known.dims, 0.5), coverage).mask((rows, columns))
        axes.imshow(np.asarray(mask), cmap="Reds", vmin=0, vmax=1.4, aspect=columns / rows)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{name.replace('-', chr(10))}\n{float(np.mean(mask)):.0%}", fontsize=7)
    return figure
