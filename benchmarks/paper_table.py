"""Write the claims of a finished `xbar paper` into README.md, and keep its tables and figures.

    python benchmarks/paper_table.py runs/paper README.md
    python benchmarks/paper_table.py runs/paper README.md --keep benchmarks/paper

The claims go between the lines `<!-- paper table -->` and `<!-- end of paper table -->`, one figure
beside them. `--keep` copies the CSV tables, figures and summary.json.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from marked import marked, put  # beside this script

FIGURE = Path("benchmarks/figures/paper_recovery.png")
SHOWN = "recovery_circuits.png"  # of the run's figures
MOST_BYTES = 4_000_000  # of what is kept


def table(summary):
    lines = ["| claim | published | found here | |", "|---|---|---|---|"]
    for claim in summary["claims"].values():
        cells = (claim["text"], claim["published"], claim["ours"], f"**{claim['verdict']}**")
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"{summary['seeds']} seeds; 95 % intervals, paired where they share seed and place. "
            f"{summary['referee']}",
            "",
            f"![Accuracy before and after correction, every circuit]({FIGURE.as_posix()})",
            "",
            f"Written by `benchmarks/paper_table.py` from a run of xbar "
            f"{summary['versions']['xbar']} at commit {summary['commit']}, seed {summary['seed']}, "
            f"{sum(summary['experiments_s'].values()) / 60:.0f} min on the clock.",
        ]
    )


def keep(run, summary, folder):
    files = [*(run / "tables").glob("*.csv"), *(run / name for name in summary["figures"])]
    files.append(run / "summary.json")
    if (size := sum(file.stat().st_size for file in files)) > MOST_BYTES:
        raise ValueError(f"got {size:,} bytes to keep, needs at most {MOST_BYTES:,}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
    print(f"{folder}: {len(files)} files, {size / 1e6:.2f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished xbar paper")
    parser.add_argument("readme", type=Path, help="README.md; the figure goes below its folder")
    parser.add_argument("--keep", type=Path, help="folder for tables and figures; replaced")
    given = parser.parse_args()
    try:
        summary = json.loads((given.run / "summary.json").read_text(encoding="utf-8"))
        if "claims" not in summary:
            raise ValueError(f"{given.run}: got another run, needs one of xbar paper")
        text = marked(given.readme.read_text(encoding="utf-8"), "paper table", table(summary))
        if given.keep is not None:
            keep(given.run, summary, given.keep)
    except (ValueError, OSError) as error:
        sys.exit(f"paper_table: {error}")
    put(given.readme, text, FIGURE, given.run / SHOWN)


if __name__ == "__main__":
    main()
