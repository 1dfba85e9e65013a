"""What the table of options says, and its figure."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.experiment import Drawn, Findings, Read, Shown
from xbar.paper.tables import Rows, by_seed, difference, groups, over_seeds, paired, share
from xbar.paper.verdicts import inside
from xbar.plots.style import COLOURS, new_figure, plain
from xbar.statistics import Interval

DEFAULT = {"wire resistance": "1.0", "device window": "mnsim"}
CONCLUSIONS = {
    "recovery": "the corrector recovers",
    "ordering": "the last layer loses more than the others",
    "parameters_31": "31 parameters change accuracy",
}
WORDS = {"wire resistance": " Ω", "device window": "", "mapping": "", "activation": ""}


def conclusions(table: Rows, rows: np.ndarray) -> dict[str, Interval]:
    """The main conclusions as figures, over some circuits.

    Returns:
        recovery: corrected minus uncorrected; ordering: loss in the last layer minus the mean of
        the others, by seed; parameters_31: accuracy with 31 parameters minus uncorrected.
    """
    loss, last = table["healthy"] - table["defective"], table["layer"] == table["layer"].max()
    ordering = paired(by_seed(table, loss, rows & last), by_seed(table, loss, rows & ~last))
    return {
        "recovery": over_seeds(table, table["corrected"] - table["defective"], rows),
        "ordering": ordering,
        "parameters_31": over_seeds(table, table["parameters_31"] - table["defective"], rows),
    }


def labelled(table: Rows) -> Iterator[tuple[str, str, np.ndarray]]:
    """Each value of each option, with its rows."""
    for (option, value), rows in groups(table, "option", "value"):
        yield option, value, rows


def draw(read: Read) -> list[Drawn]:
    """Each conclusion under each option."""
    table = read["circuits"]
    found = {(o, v): conclusions(table, rows) for o, v, rows in labelled(table)}
    spread = {
        name: (
            min(found, key=lambda k: found[k][name].mean),
            max(found, key=lambda k: found[k][name].mean),
        )
        for name in CONCLUSIONS
    }
    caption = " ".join(
        f"{text[0].upper()}{text[1:]} by {100 * found[spread[name][0]][name].mean:+.0f} points "
        f"({_name(*spread[name][0])}) to {100 * found[spread[name][1]][name].mean:+.0f} "
        f"({_name(*spread[name][1])})."
        for name, text in CONCLUSIONS.items()
    )
    caption += " Bars: 95 % intervals over seeds."
    return [Drawn("options", "Conclusions under other options", caption, figure_of(found))]


def _name(option: str, value: str) -> str:
    return f"{value}{WORDS.get(option, '')}"


def figure_of(found: dict[tuple[str, str], dict[str, Interval]]) -> Figure:
    """One panel for each conclusion; options down."""
    figure = new_figure(0.23 * len(found) + 1.1)
    panels = figure.subplots(1, len(CONCLUSIONS), sharey=True)
    titles = ("recovery", "last layer's\nextra loss", "change by\n31 parameters")
    colours = (COLOURS["corrected"], COLOURS["healthy"], COLOURS["defective"])
    for axes, name, title, colour in zip(panels, CONCLUSIONS, titles, colours, strict=True):
        values = [i[name] for i in found.values()]
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.errorbar(
            [100 * i.mean for i in values],
            range(len(values)),
            xerr=[100 * np.nan_to_num(i.half_width) for i in values],
            fmt="o",
            color=colour,
            markersize=3.5,
            capsize=2,
            linewidth=1.2,
        )
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(axis="x", alpha=0.25)
        plain(axes)
    panels[0].set_yticks(range(len(found)), [_name(*key) for key in found], fontsize=7)
    before = None
    for place, (option, _) in enumerate(found):
        if before not in (None, option):
            for axes in panels:
                axes.axhline(place - 0.5, color="#dddddd", linewidth=0.8)
        before = option
    panels[0].invert_yaxis()
    figure.supxlabel("points of accuracy", fontsize=9)
    return figure


def find(read: Read) -> Findings:
    """How far each conclusion moves with each option."""
    table = read["circuits"]
    found = {(o, v): conclusions(table, rows) for o, v, rows in labelled(table)}
    kinds = list(dict.fromkeys(o for o, _ in found))
    rows, sentences = [], []
    for name, text in CONCLUSIONS.items():
        cells = [_range(found, name, kind) for kind in kinds]
        rows.append((text, *cells))
        values = [i[name] for i in found.values()]
        signs = [inside(i, low=0) for i in values], [inside(i, high=0) for i in values]
        sentences.append(
            f"{text[0].upper()}{text[1:]}: above 0 under {sum(signs[0])} of {len(values)} options, "
            f"below 0 under {sum(signs[1])}, within its interval under the others; from "
            f"{100 * min(i.mean for i in values):+.0f} to "
            f"{100 * max(i.mean for i in values):+.0f} points."
        )
    shown = Shown("Conclusion by option: range of means, in points", ("conclusion", *kinds), rows)
    return Findings([*sentences, _healthy(table)], tables=[shown])


def _range(found: dict[tuple[str, str], dict[str, Interval]], name: str, kind: str) -> str:
    """Smallest and largest mean over the values of an option, each with its interval."""
    values = {v: i[name] for (o, v), i in found.items() if o == kind}
    low, high = (pick(values, key=lambda v: values[v].mean) for pick in (min, max))
    ends = dict.fromkeys((low, high))
    return " to ".join(f"{difference(values[v]).removesuffix(' points')} ({v})" for v in ends)


def _healthy(table: Rows) -> str:
    """Bad wires cost the healthy circuit itself."""
    parts = []
    for option, value, rows in labelled(table):
        if option == "wire resistance":
            parts.append(f"{value} Ω {share(over_seeds(table, table['healthy'], rows))}")
    software = over_seeds(table, table["software"])
    return (
        f"The healthy circuit itself, by wire resistance per segment: {', '.join(parts)} (software "
        f"{share(software)}). A loss against software would count the wires as a defect."
    )
