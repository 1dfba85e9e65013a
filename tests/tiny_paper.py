"""`xbar paper` with settings that take seconds, as a process: `tiny_paper.py paper --out DIR`."""

from functools import partial

from paper_cases import TINY, tiny_data

import xbar.paper.run
import xbar.paper.settings
from xbar.cli import main
from xbar.paper.experiments import EXPERIMENTS

KEPT = ("severity", "labels")

if __name__ == "__main__":
    xbar.paper.settings.FULL = TINY
    chosen = [experiment for experiment in EXPERIMENTS if experiment.name in KEPT]
    some = {"dataset": tiny_data(), "experiments": chosen}
    xbar.paper.run.run = partial(xbar.paper.run.run, **some)
    main()
