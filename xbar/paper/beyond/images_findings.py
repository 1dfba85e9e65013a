"""What the tables of few labelled images say, and their figure."""

import numpy as np

from xbar.paper.beyond.curves import compared, level, lines, mean, values, word
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.paper.tables import Rows, paired, share
from xbar.plots.style import COLOURS, PALETTE, new_figure

NEAREST = "nearest neighbours"
LINEAR = "linear"


def draw(read: Read) -> list[Drawn]:
    """Accuracy against the number of labelled images, a panel for each setting."""
    table, circuits = read["accuracy"], read["circuits"]
    settings = list(dict.fromkeys(table["setting"].tolist()))
    figure = new_figure(2.5 * len(settings) + 0.9)
    panels = figure.subplots(len(settings), 1, sharex=True, squeeze=False)[:, 0]
    readers = list(dict.fromkeys(table["reader"].tolist()))
    colours = dict(zip(readers, PALETTE, strict=False))
    counts = np.unique(table["images"])
    shifts = 1.025 ** (
        np.arange(len(readers)) - (len(readers) - 1) / 2
    )  # else they hide each other
    for axes, setting in zip(panels, settings, strict=True):
        for name in ("healthy", "defective"):
            known = mean(circuits, name, setting=setting)
            label = "uncorrected" if name == "defective" else name
            level(axes, known.mean, label, COLOURS[name])
        curves = {
            reader: (
                (counts * beside).tolist(),
                [mean(table, "accuracy", setting=setting, reader=reader, images=n) for n in counts],
            )
            for reader, beside in zip(readers, shifts, strict=True)
        }
        lines(axes, curves, colours)
        axes.set_title(setting, fontsize=10, loc="left")
        axes.set_ylabel("test accuracy [%]", fontsize=9)
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(n) for n in counts])
        axes.minorticks_off()
    panels[-1].set_xlabel("labelled images that train the corrector", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return [Drawn("curve", "Accuracy by labelled images", _caption(table, circuits), figure)]


def _caption(table: Rows, circuits: Rows) -> str:
    parts = []
    for setting in dict.fromkeys(table["setting"].tolist()):
        few = int(table["images"].min())
        best = _best(table, setting, few)
        parts.append(
            f"{setting.capitalize()}, {few} images: {best} is best on average with "
            f"{share(mean(table, 'accuracy', setting=setting, reader=best, images=few))}, "
            f"uncorrected {share(mean(circuits, 'defective', setting=setting))}."
        )
    return " ".join(parts) + " Bars are 95 % intervals over the seeds."


def _best(table: Rows, setting: str, count: int) -> str:
    readers = dict.fromkeys(table["reader"].tolist())
    return max(
        readers,
        key=lambda r: mean(table, "accuracy", setting=setting, reader=r, images=count).mean,
    )


def find(read: Read) -> Findings:
    """Where the linear map wins, what few images give, and how many come within a point."""
    table, circuits = read["accuracy"], read["circuits"]
    sentences = []
    for setting in dict.fromkeys(table["setting"].tolist()):
        sentences.append(_few(table, circuits, setting))
        sentences.append(_linear(table, setting))
    return Findings(sentences)


def _few(table: Rows, circuits: Rows, setting: str) -> str:
    counts = np.unique(table["images"]).tolist()
    before = values(circuits, "defective", setting=setting)
    helps = []
    for reader in dict.fromkeys(table["reader"].tolist()):
        enough = [
            n
            for n in counts
            if word(
                paired(values(table, "accuracy", setting=setting, reader=reader, images=n), before)
            )
            == "better"
        ]
        helps.append(f"{reader} from {min(enough)}" if enough else f"{reader} never")
    best = _best(table, setting, counts[-1])
    top = values(table, "accuracy", setting=setting, reader=best, images=counts[-1])
    near = [
        n
        for n in counts
        if paired(top, values(table, "accuracy", setting=setting, reader=best, images=n)).mean
        <= 0.02
    ]
    return (
        f"{setting.capitalize()}: told from the uncorrected circuit at 95 % are "
        f"{', '.join(helps)} labelled images. With all {counts[-1]}, {best} is best on average, "
        f"{share(mean(table, 'accuracy', setting=setting, reader=best, images=counts[-1]))}; "
        f"its mean is within two points of that from {min(near)} images."
    )


def _linear(table: Rows, setting: str) -> str:
    found = []
    for n in np.unique(table["images"]):
        linear = values(table, "accuracy", setting=setting, reader=LINEAR, images=n)
        others = {
            reader: paired(
                linear, values(table, "accuracy", setting=setting, reader=reader, images=n)
            )
            for reader in dict.fromkeys(table["reader"].tolist())
            if reader != LINEAR
        }
        rival = min(others, key=lambda r: others[r].mean)
        found.append(f"{n} images: {compared(others[rival])} than {rival}")
    return (
        f"{setting.capitalize()}, the linear map of 110 parameters beside the best of the others "
        f"at each number, paired by seed: {'; '.join(found)}."
    )
