"""Rows of results that are written as they come, so that a stopped run goes on."""

import csv
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xbar.statistics import Interval, t_interval

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
FIGURES = ROOT / "docs" / "figures"


class Table:
    """A CSV file of rows that belong to cases; those that it has are not computed again.

    Args:
        name: of the file, `devices_<name>.csv`.
        keys: columns that say which case a row is of.
        quick: whether it lies below `quick`, and starts empty.
    """

    def __init__(self, name: str, keys: tuple[str, ...], *, quick: bool = False):
        self.name, self.keys, self.quick = name, keys, quick
        folder = RESULTS / "quick" if quick else RESULTS
        self.path = folder / f"devices_{name}.csv"
        self.rows: list[dict[str, Any]] = []
        if quick:
            self.path.unlink(missing_ok=True)
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(file)]
        self._done = {self._case(row) for row in self.rows}

    def has(self, **case: Any) -> bool:
        """Whether a case has been computed."""
        return self._case(case) in self._done

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append the rows of one case, all at once."""
        rows = list(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            if new:
                writer.writeheader()
            writer.writerows({k: _text(v) for k, v in row.items()} for row in rows)
        self.rows += rows
        self._done |= {self._case(row) for row in rows}

    def complete(
        self,
        cases: Sequence[Any],
        wanted: Sequence[dict[str, Any]],
        measured: Callable[..., Iterable[dict[str, Any]]],
    ) -> None:
        """Add what is missing, seed by seed: `measured(case, **one)` for each that is wanted."""
        start = time.perf_counter()
        for case in cases:
            for one in wanted:
                if not self.has(seed=case.seed, **one):
                    self.add(measured(case, **one))
            print(f"{self.name}, seed {case.seed}: {time.perf_counter() - start:.0f} s", flush=True)

    def interval(self, column: str, **where: Any) -> Interval:
        """Mean and 95 % interval over seeds of a column, of the rows that fit."""
        fits = [row for row in self.rows if all(row[k] == v for k, v in where.items())]
        seeds = sorted({row["seed"] for row in fits})
        if len(seeds) != len(fits):
            raise ValueError(f"{self.name}: got {len(fits)} rows of {len(seeds)} seeds for {where}")
        return t_interval([row[column] for row in fits])

    def figure(self) -> Path:
        """Where its figure goes."""
        folder = self.path.parent if self.quick else FIGURES
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"devices_{self.name}.png"

    def _case(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[key] for key in self.keys)


def percent(found: Interval) -> str:
    """A share and its 95 % interval, in per cent."""
    if np.isnan(found.half_width):
        return f"{100 * found.mean:.1f}"
    return f"{100 * found.mean:.1f} ± {100 * found.half_width:.1f}"


def _text(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
