"""The same things computed by two versions of xbar, and how far apart they are.

    python -m benchmarks.same_results OLD NEW [--work runs/same]

OLD and NEW are checkouts; each works in processes of its own, on its own code. Computed are solves
of fixed arrays by each solver, the demo (two seeds), two small studies, and the claims of `xbar
paper` from the tables that each checkout has stored. What is in the working folder already is not
computed again. Formats differ: quantities are compared, each relative to its largest size, words
and whole numbers to the letter. Prints the table and writes it into results/same_results.md; exits
with 1 if anything is further apart than allowed.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.marked import marked
from benchmarks.same_results import compare
from benchmarks.same_results.compare import Row

HERE = Path(__file__).parent
PAGE = HERE.parent / "results" / "same_results.md"
SOLVER_FIXED, ELSE = 1e-12, 1e-9
STUDIES = ("plain", "corrected")


def run(checkout, command, done):
    """Run a command of a checkout, unless what it makes is there."""
    if done.exists():
        return
    print(f"{checkout}: {' '.join(command[:3])}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    subprocess.run([sys.executable, *command], cwd=checkout, env=environment, check=True)


def computed(checkout, folder):
    """Everything that one version computes, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = str(HERE / "inside.py")
    for name, suffix in (("arrays", "npz"), ("claims", "json")):
        path = folder / f"{name}.{suffix}"
        run(checkout, [inside, name, str(path)], path)
    demo = folder / "demo"
    command = ["-m", "xbar", "demo", "--seeds", "2", "--out", str(demo)]
    run(checkout, command, demo / "summary.json")
    for name in STUDIES:
        out = folder / name
        command = ["-m", "xbar", "study", str(HERE / f"{name}.toml"), "--out", str(out)]
        run(checkout, command, out / "summary.json")


def rows_of(old, new, stored):
    """Rows of all quantities, by what was run; `stored` are the folders of kept paper tables."""
    with np.load(old / "arrays.npz") as a, np.load(new / "arrays.npz") as b:
        found = {"arrays": compare.compared(dict(a), dict(b), _by_solver)}
    for name in ("demo", *STUDIES):
        a, b = (compare.results(folder / name / "results.h5") for folder in (old, new))
        found[name] = compare.compared(a, b, lambda _: ELSE)
        a, b = (compare.numbers(folder / name / "summary.json") for folder in (old, new))
        found[f"{name}, summary"] = compare.compared(a, b, lambda _: ELSE)
    found["tables of `xbar paper`"] = compare.compared(*compare.tables(*stored), lambda _: ELSE)
    return found


def _by_solver(name):
    return ELSE if name.startswith("Auto") else SOLVER_FIXED


def _group(what, row):
    """Quantities that share a line of the table."""
    if what == "arrays":
        solver, quantity = row.name.partition(",")[0], row.name.rpartition(": ")[2]
        return f"{solver}: {quantity}"
    if what.startswith("tables"):
        return row.name.partition(":")[0]
    first, *rest = row.name.split("/")
    if first == "correctors":
        return "classes by correctors" if rest[-1] == "classes" else "parameters of correctors"
    if first == "voltages" and rest[-1] != "images":
        return f"{rest[-1]} voltages"
    return first


def _alone(what, row):
    """What is named of a quantity that one version has."""
    name = row.name.partition(":")[0] if what.startswith("tables") else row.name
    first, *rest = name.split("/")
    return "/".join([first, *rest[-1:]]) if rest and not rest[-1].isdigit() else first


def table(found):
    """Markdown: a line for each group of quantities, then those of one version alone."""
    lines = ["| run | quantity | numbers | largest difference | allowed |", "|---|---|---|---|---|"]
    alone = {}
    for what, rows in found.items():
        both = [row for row in rows if not np.isnan(row.apart)]
        alone[what] = sorted({_alone(what, row) for row in rows if np.isnan(row.apart)})
        for name, group in groupby(
            sorted(both, key=lambda row: _group(what, row)), key=lambda row: _group(what, row)
        ):
            members = list(group)
            worst = max(row.apart for row in members)
            shown = "none" if worst == 0 else f"{worst:.0e}"
            bold = "" if all(row.same for row in members) else "**"
            number = sum(row.numbers for row in members)
            allowed = f"{members[0].allowed:.0e}"
            cells = (what, f"`{name}`", f"{number:,}", f"{bold}{shown}{bold}", allowed)
            lines.append("| " + " | ".join(cells) + " |")
    listed = [
        f"- {what}: {', '.join(f'`{n}`' for n in names[:9])}" for what, names in alone.items()
    ]
    shown = [line for line, names in zip(listed, alone.values(), strict=True) if names]
    return "\n".join([*lines, "", "In one version alone:", "", *(shown or ["- nothing"])])


def errors_table(old, new):
    """Markdown: how far each solver's results are from the reference, before and now."""
    lines = ["| solver | array | largest error before | now |", "|---|---|---|---|"]
    with np.load(old / "arrays.npz") as a, np.load(new / "arrays.npz") as b:
        for (solver, shape), (before, now) in compare.errors(dict(a), dict(b)).items():
            lines.append(f"| `{solver}` | {shape} | {before:.0e} | {now:.0e} |")
    return "\n".join(lines)


def claims_table(rows):
    """Markdown: figures of each claim that stand, and both verdicts."""
    lines = ["| claim | figures that stand | conditions now | verdict before | verdict now |"]
    lines.append("|---|---|---|---|---|")
    for name, kept, were, now, before, after in rows:
        lines.append(f"| `{name}` | {kept} of {were} | {now} | {before} | {after} |")
    return "\n".join(lines)


def failed(found: dict[str, list[Row]]) -> list[str]:
    """Quantities of both versions that are further apart than allowed."""
    return [
        f"{what}: {row.name} is {row.apart:.1e} apart, allowed {row.allowed:.0e}"
        for what, rows in found.items()
        for row in rows
        if not (np.isnan(row.apart) or row.same)
    ]


def main():
    parser = argparse.ArgumentParser(description="the same things by two versions")
    parser.add_argument("old", type=Path, help="checkout of the version before")
    parser.add_argument("new", type=Path, help="checkout of the version after")
    parser.add_argument("--work", type=Path, default=Path("runs/same"), help="what is computed")
    asked = parser.parse_args()
    folders = [asked.work.resolve() / name for name in ("old", "new")]
    for checkout, folder in zip((asked.old, asked.new), folders, strict=True):
        computed(checkout.resolve(), folder)
    kept = [checkout / "benchmarks" / "paper" for checkout in (asked.old, asked.new)]
    found = rows_of(*folders, kept)
    stored = folders[1] / "stored.json"
    run(asked.new.resolve(), [str(HERE / "inside.py"), "stored", str(folders[0] / "demo"),
                              str(stored)], stored)  # fmt: skip
    before, after = (json.loads((f / "claims.json").read_text()) for f in folders)
    judged = compare.claims(before, after)
    said = json.loads(stored.read_text())["network"] or "nothing: it is read"
    said = f"A network of the old run, asked for by the new version: {said}"
    parts = [table(found), said, errors_table(*folders), claims_table(judged)]
    text = "\n\n".join(parts)
    text = text.replace(str(folders[0]), "runs/old")
    print(text)
    PAGE.write_text(marked(PAGE.read_text(encoding="utf-8"), "same results", text), "utf-8")
    for problem in (problems := failed(found)):
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
