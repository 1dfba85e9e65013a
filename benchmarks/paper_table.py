"""Write the claims of a finished `xbar paper` into docs/study.md, and keep its tables and figures.

    python benchmarks/paper_table.py runs/paper docs/study.md
    python benchmarks/paper_table.py runs/paper docs/study.md --keep benchmarks/paper
    python benchmarks/paper_table.py benchmarks/paper docs/study.md --again

The claims go between the lines `<!-- paper table -->` and `<!-- end of paper table -->`, one figure
beside them. `--keep` copies the CSV tables, figures and summary.json. `--again` judges kept tables
anew, as after a change of a claim or a text: it writes their figures and summary.json.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from marked import marked, put  # beside this script

FIGURE = Path("figures/paper.png")
SHOWN = ("overlap_shared.png", "severity_loss.png")  # of the run's figures, the first there is
MOST_BYTES = 6_000_000  # of what is kept


def table(summary):
    lines = ["| claim | published | found here | verdict |", "|---|---|---|---|"]
    for claim in summary["claims"].values():
        cells = (claim["text"], claim["published"], claim["ours"], f"**{claim['verdict']}**")
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"{summary['seeds']} seeds; 95 % intervals, paired where they share seed and place. "
            f"{summary['simulator']}",
            "",
            f"![The figure of the report that explains most]({FIGURE.as_posix()})",
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


def again(folder):
    from xbar.paper.report import judge_again

    with tempfile.TemporaryDirectory() as fresh:
        summary = judge_again(folder, Path(fresh))
        for old in folder.glob("*.png"):
            old.unlink()
        for name in ("summary.json", *summary["figures"]):
            shutil.copyfile(Path(fresh) / name, folder / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished xbar paper, or of kept tables")
    parser.add_argument("readme", type=Path, help="the page; the figure goes below its folder")
    parser.add_argument("--keep", type=Path, help="folder for tables and figures; replaced")
    parser.add_argument("--again", action="store_true", help="judge kept tables anew first")
    given = parser.parse_args()
    try:
        if given.again:
            again(given.run)
        summary = json.loads((given.run / "summary.json").read_text(encoding="utf-8"))
        if "claims" not in summary:
            raise ValueError(f"{given.run}: got another run, needs one of xbar paper")
        text = marked(given.readme.read_text(encoding="utf-8"), "paper table", table(summary))
        if given.keep is not None:
            keep(given.run, summary, given.keep)
    except (ValueError, OSError) as error:
        sys.exit(f"paper_table: {error}")
    shown = next(name for name in SHOWN if name in summary["figures"])
    put(given.readme, text, FIGURE, given.run / shown)


if __name__ == "__main__":
    main()
