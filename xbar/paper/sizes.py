"""How large must the corrector be? Twelve of them on the same voltages, with references."""

import numpy as np

from xbar.paper.circuits import NEIGHBOURS, circuit_table
from xbar.paper.experiment import Claim, Drawn, Experiment, Findings, Read, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.sizes_figures import by_parameters, each_circuit
from xbar.paper.tables import Rows, difference, over_seeds, percent, share, where
from xbar.paper.verdicts import decide, inside, spread
from xbar.run.config import CorrectorSettings, DefectSettings
from xbar.run.readers import corrector_parameters
from xbar.statistics import Interval

AXES = ("layer", "seed", "shape", "coverage", "placement")
LOW, HIGH = 0.4, 0.8  # uncorrected accuracy of circuits with something to repair
MARGIN = 0.02  # "no more than marginal": 2 points
WORSE = (-0.5, -0.2)  # the published change by 31 parameters

NOTHING = "No circuit lies in the range with something to repair."

BIAS, DIAGONAL, LINEAR, LARGEST = "bias only", "diagonal", "linear", "10-143-10"
RANKS = (1, 2, 4)
HIDDEN = ((1,), (2,), (4,), (8,), (6, 6), (14,), (32,), (143,))


def dashed(hidden: tuple[int, ...]) -> str:
    """Such as 10-14-10: the paper's circuits have ten outputs."""
    return "-".join(map(str, (10, *hidden, 10)))


def rank(r: int) -> str:
    """Name of the linear map of that rank."""
    return f"rank {r}"


def correctors(steps: int) -> tuple[CorrectorSettings, ...]:
    """All correctors, from the smallest.

    Minibatches only for the largest, where all samples at once would take most of the time; by
    `xbar.learn.corrector`'s measurements they cost small ones up to five points.
    """
    return (
        CorrectorSettings(name=BIAS, bias_only=True, steps=steps),
        CorrectorSettings(name=DIAGONAL, diagonal=True, steps=steps),
        CorrectorSettings((), LINEAR, steps=steps),
        *(CorrectorSettings((r,), rank(r), activation="identity", steps=steps) for r in RANKS),
        *(
            CorrectorSettings(h, dashed(h), steps=steps, batch_size=64 if sum(h) > 14 else None)
            for h in HIDDEN
        ),
    )


def compute(lab: Lab) -> Tables:
    """One row for each circuit, one column for each corrector; and what the correctors are."""
    asked, steps = lab.settings, lab.settings.steps
    defects = tuple(
        DefectSettings(shape, coverage, layer) for shape, layer, coverage in asked.size_defects
    )
    study = lab.base(
        defects=defects, correctors=correctors(steps), references=("nearest-neighbours",)
    )
    run = lab.study("sizes", study)
    names = {c.label: c.label for c in study.correctors}
    base = {"healthy": "healthy", "defective": "defective", NEIGHBOURS: NEIGHBOURS}
    outputs = len(np.unique(run.labels))
    counts = [corrector_parameters(c, outputs) for c in study.correctors]
    return {
        "circuits": circuit_table(run, AXES, base | names),
        "correctors": {
            "name": column(list(names)),
            "parameters": column(counts, "1", "trained parameters"),
            "linear": column(
                [
                    c.activation == "identity" or c.head in (None, "diagonal", ())
                    for c in study.correctors
                ],
                "1",
                "whether the map is linear",
            ),
        },
    }


def repairable(table: Rows) -> np.ndarray:
    """Circuits with something to repair."""
    return (table["defective"] >= LOW) & (table["defective"] <= HIGH)


def changes(table: Rows, name: str) -> dict[str, Interval]:
    """What a corrector changes against the uncorrected circuit, pooled and by layer."""
    rows, change = repairable(table), table[name] - table["defective"]
    found = {"all": over_seeds(table, change, rows)}
    for layer in np.unique(table["layer"][rows]):
        found[f"layer {layer}"] = over_seeds(table, change, rows & where(table, layer=layer))
    return found


def by_start(table: Rows, name: str) -> dict[str, Interval]:
    """What a corrector changes, by where the uncorrected circuit starts."""
    change, start = table[name] - table["defective"], table["defective"]
    tens = np.arange(round(10 * LOW), round(10 * HIGH))
    rows = {int(10 * k): (start >= k / 10) & (start < (k + 1) / 10) for k in tens}
    return {
        f"starting at {k} to {k + 10} %": over_seeds(table, change, chosen)
        for k, chosen in rows.items()
        if chosen.any()
    }


def between(table: Rows, a: str, b: str) -> dict[str, Interval]:
    """Accuracy of one corrector over another on the same circuits, pooled and by layer."""
    rows, change = repairable(table), table[a] - table[b]
    found = {"all": over_seeds(table, change, rows)}
    for layer in np.unique(table["layer"][rows]):
        found[f"layer {layer}"] = over_seeds(table, change, rows & where(table, layer=layer))
    return found


def draw(read: Read) -> list[Drawn]:
    """Accuracy against the number of parameters; the rank-one bottleneck, circuit by circuit."""
    table, known = read["circuits"], read["correctors"]
    rows = repairable(table)
    if not rows.any():
        return []
    best = max(known["name"].tolist(), key=lambda n: over_seeds(table, table[n], rows).mean)
    one, few = dashed((1,)), BIAS
    over = over_seeds(table, table[few] - table[one], rows)
    first = (
        f"{int(rows.sum())} circuits whose uncorrected accuracy is {100 * LOW:.0f} to "
        f"{100 * HIGH:.0f} %. Best: {best}, {share(over_seeds(table, table[best], rows))}. {few}, "
        f"with fewer parameters, minus {one}: {difference(over)}"
        + (", so that it is not their number that fails" if inside(over, low=0) else "")
        + ". Bars: 95 % intervals over seeds."
    )
    second = (
        f"Each dot a circuit. {one} ends at {share(over_seeds(table, table[one], rows))}, a linear "
        f"map of rank one at {share(over_seeds(table, table[rank(1)], rows))}, the full linear "
        f"map at {share(over_seeds(table, table[LINEAR], rows))}, {dashed((8,))} at "
        f"{share(over_seeds(table, table[dashed((8,))], rows))}."
    )
    return [
        Drawn("parameters", "Accuracy by size", first, by_parameters(table, known, rows)),
        Drawn(
            "circuits",
            "What a bottleneck does",
            second,
            each_circuit(table, rows, (one, rank(1), LINEAR, dashed((8,)))),
        ),
    ]


def find(read: Read) -> Findings:
    """The four claims about size."""
    table, known = read["circuits"], read["correctors"]
    rows = repairable(table)
    if not rows.any():
        return Findings([NOTHING])
    claims = [_worse(table), _medium(table), _marginal(table), _floor(table, known)]
    ranks = ", ".join(
        f"rank {r}: {share(over_seeds(table, table[rank(r)], rows))} linear, "
        f"{share(over_seeds(table, table[dashed((r,))], rows))} with ReLU"
        for r in RANKS
    )
    over = over_seeds(table, table[LINEAR] - table[dashed((14,))], rows)
    near = over_seeds(table, table[dashed((14,))] - table[NEIGHBOURS], rows)
    sentences = [
        f"Ten output voltages squeezed through r numbers, {ranks}; the full linear map: "
        f"{share(over_seeds(table, table[LINEAR], rows))}, one factor and one bias for each "
        f"output (20 parameters): {share(over_seeds(table, table[DIAGONAL], rows))}.",
        f"The linear map minus {dashed((14,))} on the same circuits: {difference(over)}. "
        f"{dashed((14,))} minus the vote of the nearest labelled voltages: {difference(near)}.",
    ]
    return Findings(sentences, claims)


def _conditions(found: dict[str, Interval]) -> dict[str, Interval]:
    return {name: i for name, i in found.items() if name != "all"}


def _values(found: dict[str, Interval]) -> dict[str, tuple[float, float]]:
    return {name: percent(i) for name, i in found.items()}


def _worse(table: Rows) -> Claim:
    found = changes(table, dashed((1,)))
    conditions = _conditions(found) | by_start(table, dashed((1,)))
    supported = [inside(i, *WORSE) for i in conditions.values()]
    return Claim(
        "parameters_31",
        "A corrector of 31 parameters makes it worse, consistently",
        "by 20 to 50 points",
        f"{difference(found['all'])}; {spread(conditions, supported)}",
        decide(supported),
        "A condition: a broken layer, or ten points of uncorrected accuracy; the change against "
        "the uncorrected circuit lies between -50 and -20 points.",
        _values(found | conditions),
    )


def _medium(table: Rows) -> Claim:
    found, deep = changes(table, dashed((8,))), changes(table, dashed((6, 6)))
    away = between(table, dashed((8,)), dashed((14,)))
    conditions = _conditions(found)
    supported = [
        inside(conditions[name], low=0) and inside(away[name], -MARGIN, MARGIN)
        for name in conditions
    ]
    return Claim(
        "parameters_178",
        "About 178 parameters recover (sources disagree: others say it fails below 200)",
        "recovers / fails",
        f"10-8-10 {difference(found['all'])}, 10-6-6-10 {difference(deep['all'])}; 10-8-10 minus "
        f"304 parameters {difference(away['all'])}; {sum(supported)} of {len(supported)} layers",
        decide(supported),
        f"A condition: a broken layer; 10-8-10 is above the uncorrected circuit and within "
        f"{100 * MARGIN:.0f} points of 304 parameters.",
        _values(found) | {f"minus 304 parameters, {n}": percent(i) for n, i in away.items()},
    )


def _marginal(table: Rows) -> Claim:
    found = between(table, LARGEST, dashed((14,)))
    conditions = _conditions(found)
    supported = [inside(i, -MARGIN, MARGIN) for i in conditions.values()]
    return Claim(
        "parameters_3013",
        "More than 3,000 parameters gain little over about 300",
        "marginal",
        f"{difference(found['all'])}; {spread(conditions, supported)}",
        decide(supported),
        f"A condition: a broken layer; 3,013 minus 304 parameters lies within "
        f"{100 * MARGIN:.0f} points of 0.",
        _values(found),
    )


def _floor(table: Rows, known: Rows) -> Claim:
    """Is there a smallest number of parameters? Not if fewer do better than 31."""
    one = dashed((1,))
    counts = dict(zip(known["name"].tolist(), known["parameters"].tolist(), strict=True))
    fewer = [name for name, count in counts.items() if count < counts[one]]
    found = {name: over_seeds(table, table[name] - table[one], repairable(table)) for name in fewer}
    supported = [not inside(i, low=0) for i in found.values()]
    return Claim(
        "capacity_floor",
        "There is a capacity floor: too few parameters cannot correct",
        "31 fail, about 300 work",
        "minus 10-1-10, with fewer parameters: "
        + "; ".join(f"{name} ({counts[name]}) {difference(i)}" for name, i in found.items()),
        decide(supported),
        "A condition: a corrector with fewer parameters than 10-1-10; it supports a floor in the "
        "number of parameters unless it does better than 10-1-10 on the same circuits. If none "
        "supports it, what fails is the bottleneck of rank one.",
        _values(found),
    )


EXPERIMENT = Experiment(
    name="sizes",
    title="How large the corrector must be",
    question="Is there a smallest corrector that works, and is it small in parameters or in rank?",
    method="All correctors read the same ten output voltages of the same circuits: both cells of "
    "a pair stuck-on, one layer at a time, several shapes. Counted are circuits with something to "
    "repair, 40 to 80 % right when uncorrected. AdamW, the same steps, rate and decay for all "
    "sizes; all labelled samples in each step, minibatches of 64 for more than 14 hidden units. "
    "rank r: 10-r-10 without the ReLU.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="How the correctors were trained and started, and what 178 parameters were: both "
    "10-8-10 and 10-6-6-10 have as many.",
)
