"""From results.h5 to figures, report.html and the summary. Nothing is computed anew."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from xbar.io.store import read_results, write_text
from xbar.paper.experiment import Claim, Experiment, Shown
from xbar.paper.store import COST
from xbar.paper.verdicts import RULE
from xbar.plots import save
from xbar.run.report import inline


def write_paper(out: Path, experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Draw the figures and write the report.

    Args:
        out: the run's folder, its results.h5 in place.
        experiments: those that the file holds.

    Returns:
        What the summary says of the results: claims, figures, referee, versions, commit.

    Raises:
        StoreError: results.h5 is missing or damaged.
    """
    results, attributes = read_results(out / "results.h5")
    sections = [_section(out, experiment, results) for experiment in experiments]
    claims = [claim for section in sections for claim in section["claims"]]
    referee = next((s["sentences"][0] for s in sections if s["kind"] == "referee"), "no referee")
    loader = ChoiceLoader([PackageLoader("xbar.paper"), PackageLoader("xbar.run")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("paper.html.j2").render(
        sections=sections,
        claims=claims,
        rule=RULE,
        config=attributes["config"],
        commit=attributes["commit"],
        versions=json.loads(attributes["versions"]),
        seconds=sum(float(s) for s in results[COST].values()),
    )
    write_text(out / "report.html", text)
    return {
        "claims": {
            claim.name: {
                "text": claim.text,
                "published": claim.published,
                "ours": claim.ours,
                "verdict": str(claim.verdict),
                "values": {
                    name: {"mean": mean, "ci95": half}
                    for name, (mean, half) in claim.values.items()
                },
            }
            for claim in claims
        },
        "referee": referee,
        "figures": [figure["file"] for section in sections for figure in section["figures"]],
        "experiments_s": {n: round(float(s), 1) for n, s in results[COST].items()},
        "versions": json.loads(attributes["versions"]),
        "commit": attributes["commit"],
    }


def _section(out: Path, experiment: Experiment, results: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one experiment."""
    tables = results[experiment.name]
    found, figures = experiment.find(tables), []
    for drawn in experiment.draw(tables):
        file = f"{experiment.name}_{drawn.name}.png"
        save(drawn.figure, out / file)
        entry = {"file": file, "title": drawn.title, "caption": drawn.caption}
        figures.append(entry | {"image": inline(out / file)})
    return {
        "kind": experiment.section,
        "name": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "method": experiment.method,
        "open_points": experiment.open_points,
        "sentences": found.sentences,
        "claims": found.claims,
        "tables": [*found.tables, *_by_condition(found.claims)],
        "figures": figures,
    }


def _by_condition(claims: Sequence[Claim]) -> list[Shown]:
    """The figures of each claim that has more than its summary says."""
    rows = [
        ("" if number else claim.text, condition, f"{mean:+.1f} ± {half:.1f}")
        for claim in claims
        for number, (condition, (mean, half)) in enumerate(claim.values.items())
    ]
    if not rows:
        return []
    return [
        Shown("The claims, condition by condition", ("claim", "condition", "% or points"), rows)
    ]
