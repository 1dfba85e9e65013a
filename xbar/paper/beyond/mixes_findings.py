"""What the tables of mixes say, and their figures."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.beyond.curves import compared, dots, level, lines, mean, values
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.paper.tables import Rows, difference, over_seeds, paired, share, where
from xbar.plots.style import COLOURS, PALETTE, new_figure
from xbar.statistics import Interval

SINGLE, WITHOUT, PAIR, ALL = "one shape", "without it", "pair", "all shapes"
FEW, LINEAR, LARGE = "few images", "linear", "large"
POOR = ("checkerboard", "circle-complement")  # as test shapes, by the paper

Row = tuple[str, Sequence[Interval], str]


def main_size(table: Rows) -> int:
    """The number of circuits at which mixes are compared."""
    return int(table["circuits"][table["kind"] == PAIR][0])


def draw(read: Read) -> list[Drawn]:
    """Each tested shape under every kind of mix; and the curve over numbers of circuits."""
    table, references = read["accuracy"], read["references"]
    size, shapes = main_size(table), list(dict.fromkeys(table["tested"].tolist()))
    poor = [shape for shape in POOR if shape in shapes]
    parts = []
    for shape in poor:
        every = mean(table, "accuracy", kind=ALL, circuits=size, tested=shape)
        rest = mean(table, "accuracy", kind=WITHOUT, about=shape, circuits=size, tested=shape)
        parts.append(f"{shape}: all shapes {share(every)}, without it {share(rest)}")
    spread = "; ".join(parts)
    return [
        Drawn(
            "shapes",
            f"Accuracy by what trained the corrector, {size} circuits",
            f"Correctors trained on {size} circuits. {spread}. Bars are 95 % intervals over the "
            "seeds.",
            _dots(table, references, shapes, size),
        ),
        Drawn(
            "circuits",
            "Accuracy by the number of training circuits",
            _curve_caption(table, poor),
            _curves(table, references, poor),
        ),
    ]


def _dots(table: Rows, references: Rows, shapes: list[str], size: int) -> Figure:
    figure = new_figure(0.75 * len(shapes) + 1.5)
    axes = figure.subplots()
    every = list(_rows(table, references, shapes, size))
    steps = 0.8 * (np.arange(len(every)) / (len(every) - 1) - 0.5)
    rows = {
        name: ((np.arange(len(shapes)) + step).tolist(), found)
        for step, (name, found, _) in zip(steps, every, strict=True)
    }
    dots(axes, rows, {name: colour for name, _, colour in every})
    for y in np.arange(len(shapes) - 1) + 0.5:
        axes.axhline(y, color="0.9", linewidth=0.8)
    axes.set_yticks(range(len(shapes)), shapes, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy at places not seen in training [%]", fontsize=9)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _rows(table: Rows, references: Rows, shapes: list[str], size: int) -> Iterator[Row]:
    """Name, an interval for each shape, and colour of each row of dots."""

    def of(kind: str, about: bool) -> list[Interval]:
        return [
            mean(
                table,
                "accuracy",
                kind=kind,
                circuits=size,
                tested=shape,
                **({"about": shape} if about else {}),
            )
            for shape in shapes
        ]

    def known(name: str) -> list[Interval]:
        return [mean(references, name, tested=shape) for shape in shapes]

    yield "uncorrected", known("uncorrected"), COLOURS["defective"]
    yield "another single shape, mean", [_foreign(table, s, size) for s in shapes], PALETTE[6]
    yield "all shapes but this", of(WITHOUT, True), PALETTE[0]
    yield "all shapes", of(ALL, False), PALETTE[1]
    yield "this shape", of(SINGLE, True), PALETTE[3]
    yield "the circuit itself", known("own"), COLOURS["corrected"]


def _foreign(table: Rows, shape: str, size: int) -> Interval:
    rows = where(table, kind=SINGLE, circuits=size, tested=shape) & (table["about"] != shape)
    return over_seeds(table, table["accuracy"], rows)


def _curves(table: Rows, references: Rows, shapes: list[str]) -> Figure:
    figure = new_figure(2.3 * len(shapes) + 0.8)
    panels = figure.subplots(len(shapes), 1, sharex=True, squeeze=False)[:, 0]
    for axes, shape in zip(panels, shapes, strict=True):
        curves = {}
        for name, kind, about in (
            ("this shape", SINGLE, shape),
            ("all shapes", ALL, ""),
            ("all shapes but this", WITHOUT, shape),
        ):
            sizes = np.unique(table["circuits"][where(table, kind=kind, about=about)]).tolist()
            found = [
                mean(table, "accuracy", kind=kind, about=about, circuits=n, tested=shape)
                for n in sizes
            ]
            curves[name] = (sizes, found)
        for column, text, colour in (
            ("own", "the circuit itself", COLOURS["corrected"]),
            ("uncorrected", "uncorrected", COLOURS["defective"]),
        ):
            level(axes, mean(references, column, tested=shape).mean, text, colour)
        colours = dict(zip(curves, (PALETTE[3], PALETTE[1], PALETTE[0]), strict=True))
        lines(axes, curves, colours)
        axes.set_title(shape, fontsize=10, loc="left")
        axes.set_ylabel("test accuracy [%]", fontsize=9)
        axes.set_xscale("log")
        every = np.unique(table["circuits"])
        axes.set_xticks(every, [str(n) for n in every])
        axes.minorticks_off()
    panels[-1].set_xlabel("circuits that train the corrector", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _curve_caption(table: Rows, shapes: list[str]) -> str:
    sizes = np.unique(table["circuits"][table["kind"] == ALL])
    parts = []
    for shape in shapes:
        few, many = (
            values(table, "accuracy", kind=ALL, circuits=n, tested=shape)
            for n in (sizes.min(), sizes.max())
        )
        parts.append(
            f"{shape}: {sizes.max()} circuits of all shapes against {sizes.min()}: "
            f"{difference(paired(many, few))}"
        )
    return "; ".join(parts) + ". Dashed: no corrector, and one trained for the circuit itself."


def find(read: Read) -> Findings:
    """For each poor shape what a mix gives; then numbers of circuits, images and parameters."""
    table, references = read["accuracy"], read["references"]
    shapes = set(table["tested"].tolist())
    poor = [shape for shape in POOR if shape in shapes]
    sentences = [_poor(table, references, shape) for shape in poor]
    return Findings([*sentences, _sizes(table), _images(table), _capacity(table)])


def _poor(table: Rows, references: Rows, shape: str) -> str:
    size = main_size(table)
    got = {
        name: values(table, "accuracy", kind=kind, circuits=size, tested=shape, **about)
        for name, kind, about in (
            ("without", WITHOUT, {"about": shape}),
            ("all", ALL, {}),
            ("single", SINGLE, {"about": shape}),
        )
    }
    uncorrected, own = (values(references, n, tested=shape) for n in ("uncorrected", "own"))
    pairs = {
        name: mean(table, "accuracy", kind=PAIR, about=shape, shapes=name, tested=shape)
        for name in dict.fromkeys(table["shapes"][where(table, kind=PAIR, about=shape)].tolist())
    }
    best = max(pairs, key=lambda name: pairs[name].mean)
    before = share(mean(references, "uncorrected", tested=shape))
    reached = share(mean(table, "accuracy", kind=ALL, circuits=size, tested=shape))
    alone = share(mean(references, "own", tested=shape))
    return (
        f"{shape}: uncorrected {before}. With {size} circuits, five other shapes without it are "
        f"{compared(paired(got['without'], uncorrected))} than no corrector. All six shapes reach "
        f"{reached}, which is {compared(paired(got['all'], got['without']))} than without it and "
        f"{compared(paired(got['all'], got['single']))} than as many circuits of this shape "
        f"alone. The best pair on average is {best.replace('+', ' with ')}, {share(pairs[best])}. "
        f"A corrector trained for the circuit itself has {alone}; all shapes are "
        f"{compared(paired(got['all'], own))} than that."
    )


def _sizes(table: Rows) -> str:
    sizes = np.unique(table["circuits"][table["kind"] == ALL])
    over = [f"{n}: {share(mean(table, 'accuracy', kind=ALL, circuits=n))}" for n in sizes]
    last, before = (values(table, "accuracy", kind=ALL, circuits=n) for n in sizes[[-1, -2]])
    return (
        f"All shapes, mean over the tested shapes, by the number of training circuits: "
        f"{'; '.join(over)}. From {sizes[-2]} to {sizes[-1]} circuits the correctors get "
        f"{compared(paired(last, before))}."
    )


def _images(table: Rows) -> str:
    size = main_size(table)
    every = values(table, "accuracy", kind=ALL, circuits=size)
    parts = [
        f"{n} images of each, {share(mean(table, 'accuracy', kind=FEW, images=n))}, "
        f"{compared(paired(values(table, 'accuracy', kind=FEW, images=n), every))} than all"
        for n in np.unique(table["images"][table["kind"] == FEW])
    ]
    return f"Fewer labelled images of the same {size} circuits: {'; '.join(parts)}."


def _capacity(table: Rows) -> str:
    size = main_size(table)
    every = values(table, "accuracy", kind=ALL, circuits=size)
    parts = [
        f"{text}, {share(mean(table, 'accuracy', kind=kind))}, "
        f"{compared(paired(values(table, 'accuracy', kind=kind), every))}"
        for text, kind in (("110 parameters (linear)", LINEAR), ("3,013 parameters", LARGE))
    ]
    return f"Other sizes on the same {size} circuits, beside 304 parameters: {'; '.join(parts)}."
