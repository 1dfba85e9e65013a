"""What the table of told and untold correctors says, and its figure."""

import numpy as np

from xbar.paper.beyond.curves import compared, level, lines, mean, values
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.paper.tables import Rows, paired, share, where
from xbar.plots.style import COLOURS, PALETTE, new_figure

UNCORRECTED, NOTHING, SHAPE, HEADS = "uncorrected", "nothing", "the shape", "a head per shape"
REFERENCES, OWN, OWN_FEW = "reference voltages", "trained for it", "trained for it, few images"


def _units(table: Rows) -> list[int]:
    """Hidden units of the correctors for many circuits, in rising order."""
    return np.unique(table["hidden"][where(table, told=NOTHING)]).tolist()


def draw(read: Read) -> list[Drawn]:
    """Accuracy against the number of known images, with what is told otherwise as levels."""
    table = read["accuracy"]
    figure = new_figure(4.2)
    axes = figure.subplots()
    curves = {}
    for units in _units(table):
        counts = [0, *np.unique(table["images"][where(table, told=REFERENCES)]).tolist()]
        found = [
            mean(
                table,
                "accuracy",
                told=REFERENCES if k else NOTHING,
                images=k,
                hidden=units,
            )
            for k in counts
        ]
        curves[f"reference voltages, {units} hidden units"] = (counts, found)
    most = _units(table)[-1]
    for name, text, colour in (
        (UNCORRECTED, "uncorrected", COLOURS["defective"]),
        (SHAPE, f"told the shape, {most} hidden units", PALETTE[0]),
        (HEADS, f"one corrector per shape, {most} hidden units", PALETTE[4]),
        (OWN_FEW, _few(table), PALETTE[1]),
        (OWN, "trained for the circuit, all labelled images", COLOURS["corrected"]),
    ):
        chosen = {"hidden": most} if name in (SHAPE, HEADS) else {}
        level(axes, mean(table, "accuracy", told=name, **chosen).mean, text, colour)
    lines(axes, curves, dict(zip(curves, (PALETTE[3], PALETTE[5]), strict=False)))
    axes.set_xlabel("known images whose output voltages the corrector is told", fontsize=9)
    axes.set_ylabel("test accuracy, mean of all shapes [%]", fontsize=9)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=1, frameon=False, fontsize=8)
    return [Drawn("told", "What a corrector for many circuits is told", _caption(table), figure)]


def _few(table: Rows) -> str:
    few = int(table["images"][where(table, told=OWN_FEW)][0])
    return f"trained for the circuit, {few} labelled images"


def _caption(table: Rows) -> str:
    most = _units(table)[-1]
    k = int(table["images"][where(table, told=REFERENCES)].max())
    told = values(table, "accuracy", told=REFERENCES, images=k, hidden=most)
    nothing = values(table, "accuracy", told=NOTHING, hidden=most)
    return (
        f"One corrector of {most} hidden units for all shapes: told nothing "
        f"{share(mean(table, 'accuracy', told=NOTHING, hidden=most))}, told {k} reference voltage "
        f"vectors {share(mean(table, 'accuracy', told=REFERENCES, images=k, hidden=most))}, which "
        f"is {compared(paired(told, nothing))}. Bars are 95 % intervals over the seeds."
    )


def find(read: Read) -> Findings:
    """What each kind of knowledge gives over none, and what is left to the circuit's own."""
    table = read["accuracy"]
    return Findings([*(_gains(table, units) for units in _units(table)), _own(table)])


def _gains(table: Rows, units: int) -> str:
    nothing = values(table, "accuracy", told=NOTHING, hidden=units)
    parts = []
    for name in (SHAPE, HEADS):
        got = values(table, "accuracy", told=name, hidden=units)
        parts.append(f"{name}: {compared(paired(got, nothing))}")
    for k in np.unique(table["images"][where(table, told=REFERENCES)]):
        got = values(table, "accuracy", told=REFERENCES, images=k, hidden=units)
        one = "one image" if k == 1 else f"{k} images"
        parts.append(f"reference voltages of {one}: {compared(paired(got, nothing))}")
    return (
        f"With {units} hidden units a corrector that is told nothing reads "
        f"{share(mean(table, 'accuracy', told=NOTHING, hidden=units))} of the test images right, "
        f"mean of all shapes; uncorrected circuits "
        f"{share(mean(table, 'accuracy', told=UNCORRECTED))}. Told more, paired with told nothing: "
        f"{'; '.join(parts)}."
    )


def _own(table: Rows) -> str:
    most = _units(table)[-1]
    k = int(table["images"][where(table, told=REFERENCES)].max())
    told = values(table, "accuracy", told=REFERENCES, images=k, hidden=most)
    own = values(table, "accuracy", told=OWN)
    few = values(table, "accuracy", told=OWN_FEW)
    parameters = int(table["parameters"][where(table, told=REFERENCES, images=k, hidden=most)][0])
    return (
        f"A corrector of 10-14-10 trained for the tested circuit itself has "
        f"{share(mean(table, 'accuracy', told=OWN))} on all labelled images and "
        f"{share(mean(table, 'accuracy', told=OWN_FEW))} when {_few(table)}. The common corrector "
        f"with {k} references ({parameters:,} parameters, no label of the circuit) is "
        f"{compared(paired(told, own))} than the first and {compared(paired(told, few))} than "
        "the second."
    )
