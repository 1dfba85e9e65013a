"""What the tables of remedies say, and their figure."""

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.beyond.curves import dots, mean, values, word
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.paper.tables import Rows, difference, paired, share, where
from xbar.plots.style import COLOURS, PALETTE, new_figure

UNCORRECTED, HEALTHY = "uncorrected", "healthy circuit"
OUTPUTS, LAYER, ENSEMBLE = "output statistics", "layer statistics", "ensemble of {}"
REMAPPED, RETRAINED, BOTH = "sorted remapping", "retraining", "remapping and retraining"
LINEAR, CORRECTOR = "linear corrector", "corrector"
REMAPPED_LINEAR = "remapping and linear corrector"
REFERENCES = (UNCORRECTED, HEALTHY)


def _order(table: Rows) -> list[str]:
    """Remedies from the worst to the best, by their mean over all settings."""
    names = dict.fromkeys(table["remedy"].tolist())
    inner = [name for name in names if name not in REFERENCES]
    inner.sort(key=lambda name: mean(table, "accuracy", remedy=name).mean)
    return [UNCORRECTED, *inner, HEALTHY]


def draw(read: Read) -> list[Drawn]:
    """Accuracy with each remedy, a panel for each setting."""
    table = read["accuracy"]
    parts = []
    for setting in dict.fromkeys(table["setting"].tolist()):
        best = _best(table, setting)
        parts.append(
            f"{setting}: uncorrected "
            f"{share(mean(table, 'accuracy', setting=setting, remedy=UNCORRECTED))}, corrector "
            f"{share(mean(table, 'accuracy', setting=setting, remedy=CORRECTOR))}, best on average "
            f"{best}, {share(mean(table, 'accuracy', setting=setting, remedy=best))}"
        )
    caption = "; ".join(parts) + ". Bars are 95 % intervals over the seeds."
    return [Drawn("remedies", "Accuracy with each remedy", caption, _figure(table))]


def _best(table: Rows, setting: str) -> str:
    names = dict.fromkeys(table["remedy"][where(table, setting=setting)].tolist())
    inner = [name for name in names if name not in REFERENCES]
    return max(inner, key=lambda n: mean(table, "accuracy", setting=setting, remedy=n).mean)


def _figure(table: Rows) -> Figure:
    names, settings = _order(table), list(dict.fromkeys(table["setting"].tolist()))
    figure = new_figure(0.33 * len(names) + 1.2)
    axes = figure.subplots()
    rows = {}
    for number, setting in enumerate(settings):
        shift = 0.3 * (number - (len(settings) - 1) / 2)
        shown = [n for n in names if where(table, setting=setting, remedy=n).any()]
        rows[f"broken {setting}"] = (
            [names.index(n) + shift for n in shown],
            [mean(table, "accuracy", setting=setting, remedy=n) for n in shown],
        )
    dots(axes, rows, dict(zip(rows, (COLOURS["healthy"], PALETTE[0]), strict=False)))
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("test accuracy [%]", fontsize=9)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def find(read: Read) -> Findings:
    """Each remedy beside the corrector, what it needs, and which beat it."""
    table, needs = read["accuracy"], read["needs"]
    settings = list(dict.fromkeys(table["setting"].tolist()))
    return Findings([*(_beside(table, s) for s in settings), _needs(needs, settings[0])])


def _beside(table: Rows, setting: str) -> str:
    corrector = values(table, "accuracy", setting=setting, remedy=CORRECTOR)
    parts, better = [], []
    for name in reversed(_order(table)):
        if name == CORRECTOR or not where(table, setting=setting, remedy=name).any():
            continue
        gap = paired(values(table, "accuracy", setting=setting, remedy=name), corrector)
        parts.append(
            f"{name} {share(mean(table, 'accuracy', setting=setting, remedy=name))} "
            f"({difference(gap)})"
        )
        if name not in REFERENCES and word(gap) == "better":
            better.append(name)
    won = f"Better than it at 95 %: {', '.join(better)}." if better else "None is better at 95 %."
    return (
        f"Broken {setting}: the corrector of 304 parameters has "
        f"{share(mean(table, 'accuracy', setting=setting, remedy=CORRECTOR))}; beside it, with the "
        f"paired difference to it, {'; '.join(parts)}. {won}"
    )


def _needs(needs: Rows, setting: str) -> str:
    parts = []
    for number in np.flatnonzero(where(needs, setting=setting)):
        one = {name: column[number] for name, column in needs.items()}
        if one["remedy"] in REFERENCES:
            continue
        asked = [
            text
            for name, text in (("fault_map", "the fault map"), ("weights", "the weights"))
            if one[name]
        ]
        asked += [
            text.format(int(one[name]))
            for name, text in (
                ("labels", "{} labels"),
                ("voltages", "{} images read by both circuits"),
                ("arrays", "{} spare arrays"),
                ("programmed", "{} arrays programmed"),
                ("digital", "{} digital multiply-adds for each image"),
            )
            if one[name]
        ]
        parts.append(f"{one['remedy']}: {', '.join(asked)}")
    return f"What each needs (broken {setting}). {'; '.join(parts)}."
