"""What the tables of the ageing circuit say, and their figures."""

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.beyond.curves import compared, level, lines, mean, values
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.paper.tables import Rows, paired, share, where
from xbar.plots.style import COLOURS, PALETTE, new_figure
from xbar.statistics import Interval

BROKEN, HEALTHY = "defective output layer", "healthy circuit"
UNCORRECTED, FROZEN, RENORMALISED = "uncorrected", "frozen", "frozen, normalised anew"
SCRATCH = "retrained on all labels"
NEW, REPLAY, BOTH = "new labels only", "with a buffer", "with a buffer, normalised anew"
# (with a buffer, normalised anew) -> its name
FOLLOWED = {(False, False): NEW, (True, False): REPLAY, (True, True): BOTH}


def draw(read: Read) -> list[Drawn]:
    """Accuracy over time for both starts; and by number of labels, late in life."""
    table, cost = read["accuracy"], read["cost"]
    return [
        Drawn("time", "Accuracy as the circuit ages", _time_caption(table), _over_time(table)),
        Drawn("price", "What following costs", _price_caption(table), _price(table, cost)),
    ]


def _most(table: Rows) -> int:
    """The largest number of labels of the ways that follow."""
    return int(table["live"][table["way"] == NEW].max())


def _over_time(table: Rows) -> Figure:
    starts = list(dict.fromkeys(table["start"].tolist()))
    figure = new_figure(2.6 * len(starts) + 0.9)
    panels = figure.subplots(len(starts), 1, sharex=True, squeeze=False)[:, 0]
    most = _most(table)
    shown = (
        (UNCORRECTED, 0, COLOURS["defective"]),
        (FROZEN, 0, COLOURS["software"]),
        (RENORMALISED, 0, PALETTE[3]),
        (NEW, most, PALETTE[0]),
        (REPLAY, most, PALETTE[5]),
        (BOTH, most, PALETTE[1]),
        (SCRATCH, None, COLOURS["corrected"]),
    )
    ages = np.unique(table["time"])
    for axes, start in zip(panels, starts, strict=True):
        curves, colours = {}, {}
        for way, live, colour in shown:
            chosen = {} if live is None else {"live": live}
            name = f"{way}, k = {live}" if live else way
            curves[name] = (
                ages.tolist(),
                [mean(table, "accuracy", start=start, way=way, time=t, **chosen) for t in ages],
            )
            colours[name] = colour
        lines(axes, curves, colours)
        axes.set_title(f"at t0: {start}", fontsize=10, loc="left")
        axes.set_ylabel("test accuracy [%]", fontsize=9)
        axes.set_xscale("log")
    panels[-1].set_xlabel("time since programming [s]", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def late(table: Rows, start: str, way: str, live: int | None = None) -> np.ndarray:
    """Accuracy of each seed, mean of the last third of the times, (seeds,)."""
    ages = np.unique(table["time"])
    first = ages[-max(1, len(ages) // 3)]
    chosen = where(table, start=start, way=way) & (table["time"] >= first)
    if live is not None:
        chosen &= table["live"] == live
    rows = {name: column[chosen] for name, column in table.items()}
    return values(rows, "accuracy")


def over_late(table: Rows, start: str, way: str, live: int | None = None) -> Interval:
    """The same over the seeds, with its interval."""
    each = late(table, start, way, live)
    return paired(each, np.zeros_like(each))


def _price(table: Rows, cost: Rows) -> Figure:
    figure = new_figure(3.8)
    axes = figure.subplots()
    colours = {NEW: PALETTE[0], REPLAY: PALETTE[5], BOTH: PALETTE[1]}
    curves = {}
    for way in FOLLOWED.values():
        counts = np.unique(table["live"][table["way"] == way]).tolist()
        curves[way] = (counts, [over_late(table, BROKEN, way, k) for k in counts])
    for way, colour in (
        (FROZEN, COLOURS["software"]),
        (RENORMALISED, PALETTE[3]),
        (SCRATCH, COLOURS["corrected"]),
    ):
        every = int(cost["labels"][cost["way"] == way][0])
        text = f"{way}, {every} labels" if every else f"{way}, no label"
        level(axes, over_late(table, BROKEN, way).mean, text, colour)
    lines(axes, curves, colours)
    counts = np.unique(table["live"][table["way"] == NEW])
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(k) for k in counts])
    axes.minorticks_off()
    axes.set_xlabel("labelled images at each time, k", fontsize=9)
    axes.set_ylabel("test accuracy late in life [%]", fontsize=9)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _time_caption(table: Rows) -> str:
    parts = []
    ages = np.unique(table["time"])
    for start in dict.fromkeys(table["start"].tolist()):
        ends = [
            f"{way} {share(mean(table, 'accuracy', start=start, way=way, time=ages[-1]))}"
            for way in (UNCORRECTED, FROZEN, RENORMALISED, SCRATCH)
        ]
        parts.append(f"{start}, after {ages[-1]:.0e} s: {', '.join(ends)}")
    return "; ".join(parts) + ". Bars are 95 % intervals over the seeds."


def _price_caption(table: Rows) -> str:
    most = _most(table)
    gain = paired(late(table, BROKEN, BOTH, most), late(table, BROKEN, RENORMALISED))
    return (
        f"Mean of the last third of the times, circuits that start with a defective output layer. "
        f"{most} labels at each time with a buffer, normalised anew, are {compared(gain)} than no "
        "label at all with the same normalisation."
    )


def find(read: Read) -> Findings:
    """What ageing costs, what each way gets back, and the price of it."""
    table, cost = read["accuracy"], read["cost"]
    starts = dict.fromkeys(table["start"].tolist())
    sentences = [text for start in starts for text in (_lost(table, start), _ways(table, start))]
    return Findings([*sentences, _costs(cost)])


def _lost(table: Rows, start: str) -> str:
    ages = np.unique(table["time"])
    parts = []
    for way in (UNCORRECTED, FROZEN):
        first, last = (
            values(table, "accuracy", start=start, way=way, time=t) for t in ages[[0, -1]]
        )
        at = mean(table, "accuracy", start=start, way=way, time=ages[0])
        parts.append(f"{way}: {share(at)} at first, then {compared(paired(last, first))}")
    scratch = mean(table, "accuracy", start=start, way=SCRATCH, time=ages[-1])
    return (
        f"At t0 {start}; from {ages[0]:.0f} s to {ages[-1]:.1e} s, {'; '.join(parts)}. A corrector "
        f"trained anew on all labels at the end has {share(scratch)}: what the voltages still hold."
    )


def _ways(table: Rows, start: str) -> str:
    frozen = late(table, start, FROZEN)
    counts = np.unique(table["live"][table["way"] == NEW]).tolist()
    shown = [(RENORMALISED, 0), *((way, k) for k in counts for way in FOLLOWED.values())]
    parts = [
        f"{way}{f', k = {k}' if k else ''}: {compared(paired(late(table, start, way, k), frozen))}"
        for way, k in shown
    ]
    parts.append(f"{SCRATCH}: {compared(paired(late(table, start, SCRATCH), frozen))}")
    return (
        f"At t0 {start}, mean of the last third of the times, beside a frozen corrector "
        f"({share(over_late(table, start, FROZEN))}), paired: {'; '.join(parts)}."
    )


def _costs(cost: Rows) -> str:
    parts = []
    for number, way in enumerate(cost["way"].tolist()):
        labels, work = int(cost["labels"][number]), int(cost["multiply_adds"][number])
        if labels:
            parts.append(f"{way}, {labels} labels: {work / 1e6:.2f} million")
    return f"Multiply-adds of training at each time: {'; '.join(parts)}."
