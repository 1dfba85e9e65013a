"""What the table of stuck values says, and its figure."""

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.draw import layer_colour, legend_below
from xbar.paper.experiment import Claim, Drawn, Findings, Read, Shown
from xbar.paper.tables import Rows, difference, over_seeds, percent, where
from xbar.paper.verdicts import decide, inside, spread
from xbar.plots.style import new_figure, plain
from xbar.statistics import Interval

ALIKE = 0.05  # "similar": within 5 points
KINDS = (
    ("pair", "on", "pair on"),
    ("pair", "off", "pair off"),
    ("unequal", "random", "unequal"),
    ("unequal-columns", "random", "unequal, by column"),
    ("plus", "on", "plus on"),
    ("plus", "off", "plus off"),
    ("minus", "on", "minus on"),
    ("minus", "off", "minus off"),
)


def places(table: Rows, rows: np.ndarray, kind: str) -> np.ndarray:
    """Row numbers of one kind of fault, as `KINDS` names it, in the same order for every kind."""
    fault, stuck = next((f, s) for f, s, word in KINDS if word == kind)
    chosen = np.flatnonzero(rows & where(table, fault=fault, stuck=stuck))
    return chosen[np.lexsort([table[n][chosen] for n in ("placement", "shape", "seed")])]


def between(table: Rows, rows: np.ndarray, values: np.ndarray, a: str, b: str) -> Interval:
    """One kind of fault minus another on the same places."""
    first, second = places(table, rows, a), places(table, rows, b)
    return over_seeds({"seed": table["seed"][first]}, values[first] - values[second])


def draw(read: Read) -> list[Drawn]:
    """RMS error and accuracy by kind of fault, layer and mapping."""
    table = read["circuits"]
    rows = table["mapping"] == "unipolar"
    means = {
        word: over_seeds(table, table["defective"], rows & where(table, fault=f, stuck=s))
        for f, s, word in KINDS
    }
    worst, best = (pick(means, key=lambda w: means[w].mean) for pick in (min, max))
    balanced = {
        word: over_seeds(
            table, table["rms"], (table["mapping"] == "balanced") & where(table, fault=f, stuck=s)
        ).mean
        for f, s, word in KINDS
    }
    caption = (
        f"With the unipolar mapping, over all layers, {worst} does most harm (accuracy "
        f"{100 * means[worst].mean:.0f} %) and {best} least ({100 * means[best].mean:.0f} %). "
        f"With the balanced mapping the largest error of the voltages is that of "
        f"{max(balanced, key=lambda w: balanced[w])}. Bars: 95 % intervals over seeds."
    )
    return [Drawn("kinds", "What harm each kind of fault does", caption, figure_of(table))]


def figure_of(table: Rows) -> Figure:
    """RMS error above, accuracy below; a column for each mapping."""
    figure = new_figure(5.4)
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, mapping in enumerate(("unipolar", "balanced")):
        for layer in np.unique(table["layer"]):
            rows = where(table, mapping=mapping, layer=layer)
            x = np.arange(len(KINDS)) + 0.14 * (layer - 1.5)
            for axes, name in zip(grid[:, column], ("rms", "defective"), strict=True):
                found = [
                    over_seeds(table, table[name], rows & where(table, fault=f, stuck=s))
                    for f, s, _ in KINDS
                ]
                axes.errorbar(
                    x,
                    [100 * i.mean for i in found],
                    yerr=[100 * np.nan_to_num(i.half_width) for i in found],
                    fmt="o",
                    color=layer_colour(int(layer)),
                    label=f"layer {layer}",
                    markersize=3,
                    capsize=2,
                    linewidth=1,
                )
        grid[0, column].set_title(f"{mapping} mapping", fontsize=9, loc="left")
        grid[1, column].set_xticks(
            range(len(KINDS)), [word for *_, word in KINDS], rotation=40, ha="right", fontsize=7
        )
    grid[0, 0].set_ylabel("RMS error of the\noutput voltages [%]", fontsize=8)
    grid[1, 0].set_ylabel("test accuracy,\nuncorrected [%]", fontsize=8)
    grid[0, 0].set_yscale("log")  # from a few per cent to many times the healthy voltages
    grid[0, 0].yaxis.set_major_formatter("{x:g}")
    grid[1, 0].set_ylim(0, 102)
    for axes in grid.flat:
        axes.grid(axis="y", alpha=0.25)
        axes.tick_params(axis="y", labelsize=8)
        plain(axes)
    legend_below(figure, grid[0, 0])
    return figure


def find(read: Read) -> Findings:
    """The two claims of 2024, and the checks."""
    table, checks = read["circuits"], read["checks"]
    rows = {
        f"layer {k}": where(table, mapping="unipolar", layer=k) for k in np.unique(table["layer"])
    }
    loss = table["healthy"] - table["defective"]
    alike = {k: between(table, r, loss, "pair on", "pair off") for k, r in rows.items()}
    columns = {k: _over_equal(table, r, loss) for k, r in rows.items()}
    same = [inside(i, -ALIKE, ALIKE) for i in alike.values()]
    worse = [inside(i, low=ALIKE) for i in columns.values()]
    claims = [
        Claim(
            "on_off",
            "Stuck-on and stuck-off have a similar effect (2024)",
            "similar",
            f"loss by stuck-on minus stuck-off: {spread(alike, same)}",
            decide(same),
            f"A condition: a layer; the losses differ by less than {100 * ALIKE:.0f} points, on "
            "the same places.",
            {name: percent(i) for name, i in alike.items()},
        ),
        Claim(
            "columns",
            "A stuck value that varies across columns degrades much more (2024)",
            "much more",
            f"loss beyond that of equal values: {spread(columns, worse)}",
            decide(worse),
            f"A condition: a layer; at least {100 * ALIKE:.0f} points more than the same pairs "
            "stuck at equal values (mean of on and off).",
            {name: percent(i) for name, i in columns.items()},
        ),
    ]
    return Findings([_checks(checks), _recovered(table)], claims, [checks_shown(checks)])


def _over_equal(table: Rows, rows: np.ndarray, values: np.ndarray) -> Interval:
    """Values that vary across columns minus the mean of on and off, on the same places."""
    unequal, on, off = (
        places(table, rows, kind) for kind in ("unequal, by column", "pair on", "pair off")
    )
    apart = values[unequal] - (values[on] + values[off]) / 2
    return over_seeds({"seed": table["seed"][unequal]}, apart)


def _checks(checks: Rows) -> str:
    held = [
        f"check {number}: {int(checks['holds'][checks['check'] == number].sum())} of "
        f"{int((checks['check'] == number).sum())} hold"
        for number in dict.fromkeys(checks["check"].tolist())
    ]
    failed = np.flatnonzero(~checks["holds"].astype(bool))
    names = [f"{checks['check'][k]} in {checks['condition'][k]}" for k in failed]
    return (
        "What must hold if the physics is right, on voltages (1: without wires stuck-on equals "
        "stuck-off and the software network with these weights at 0; 2: wires part them, the more "
        "the worse; 3: unequal values are worse than equal ones; 4: one-sided stuck-on is worse "
        f"than stuck-off, which the balanced mapping may reverse): {'; '.join(held)}."
        + (f" Not so: {'; '.join(names)}." if names else "")
    )


def checks_shown(checks: Rows) -> Shown:
    """Every check as a row."""
    names = ("check", "condition", "quantity", "left", "right", "holds")
    rows = [
        (check, condition, quantity, f"{left:.3g}", f"{right:.3g}", "yes" if holds else "no")
        for check, condition, quantity, left, right, holds in zip(
            *(checks[name].tolist() for name in names), strict=True
        )
    ]
    head = ("check", "where", "what", "this", "below this", "holds")
    return Shown("What must hold if the physics is right", head, rows)


def _recovered(table: Rows) -> str:
    rows = table["mapping"] == "unipolar"
    parts = []
    for fault, stuck, word in KINDS:
        chosen = rows & where(table, fault=fault, stuck=stuck)
        after = over_seeds(table, table["healthy"] - table["corrected"], chosen)
        parts.append(f"{word} {difference(after)}")
    return (
        "What a corrector of 304 parameters leaves of the loss, over all layers (unipolar mapping; "
        f"healthy minus corrected): {', '.join(parts)}."
    )
