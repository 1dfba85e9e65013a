"""Write a finished demo's table into docs/demo.md and its accuracy figure beside it.

    python benchmarks/demo_table.py runs/demo docs/demo.md

The table goes between the lines `<!-- demo table -->` and `<!-- end of demo table -->`.
"""

import argparse
import json
import sys
from pathlib import Path

from marked import marked, put  # beside this script

from xbar.io.runs import load_run
from xbar.io.store import StoreError

FIGURE = Path("figures/demo_accuracy.png")


def rows(summary):
    for name, mean in summary["accuracy"].items():
        count = f"{summary['corrector_parameters']:,}" if name == "corrected" else ""
        yield name, count, mean, summary["ci95"][name], ""
    for name, row in summary["references"].items():
        if name == "corrector":
            continue
        count = "" if row["parameters"] is None else f"{row['parameters']:,}"
        difference = f"{100 * row['difference']:+.1f} ± {100 * row['difference_ci95']:.1f}"
        yield name, count, row["accuracy"], row["ci95"], difference


def table(summary, attributes):
    lines = [
        f"{summary['seeds']} seeds of a {summary['network']} network, layer {summary['layer']} "
        f"broken: {summary['defect']}. Test accuracy in %, 95 % intervals; differences to the "
        "corrector in points, paired by seed.",
        "",
        "| | parameters | accuracy | to the corrector |",
        "|---|---:|---:|---:|",
    ]
    for name, count, mean, half, difference in rows(summary):
        lines.append(f"| {name} | {count} | {100 * mean:.1f} ± {100 * half:.1f} | {difference} |")
    about = "; ".join(
        f"*{name}*: {row['about']}" for name, row in summary["references"].items() if row["about"]
    )
    version = json.loads(attributes["versions"])["xbar"]
    return "\n".join(
        [
            *lines,
            "",
            f"{about}.",
            "",
            f"![Test accuracy of each circuit, reference and control]({FIGURE.as_posix()})",
            "",
            f"Written by `benchmarks/demo_table.py` from a run of xbar {version} at commit "
            f"{attributes['commit']}, seed {summary['seed']}, {summary['wall_s']:.0f} s.",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished demo")
    parser.add_argument(
        "readme", type=Path, help="the page, docs/demo.md; the figure goes below its folder"
    )
    given = parser.parse_args()
    try:
        attributes = load_run(given.run).attributes
        summary = json.loads((given.run / "summary.json").read_text(encoding="utf-8"))
        text = marked(
            given.readme.read_text(encoding="utf-8"), "demo table", table(summary, attributes)
        )
    except (StoreError, ValueError, OSError) as error:
        sys.exit(f"demo_table: {error}")
    put(given.readme, text, FIGURE, given.run / "accuracy.png")


if __name__ == "__main__":
    main()
