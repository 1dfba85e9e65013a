"""How much comes back? Every circuit of the sweep over severities, before and after."""

import numpy as np

from xbar.paper.circuits import CORRECTOR, NEIGHBOURS, circuit_table, severity_sweep
from xbar.paper.experiment import Claim, Drawn, Experiment, Findings, Read, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.recovery_figures import before_and_after, where_nothing_helps
from xbar.paper.tables import Rows, difference, groups, over_seeds, percent, share, where
from xbar.paper.verdicts import Verdict, inside
from xbar.statistics import Interval

PUBLISHED = {"study": (0.55, 0.90), "predecessor": (0.48, 0.85)}
NEAR = 0.05  # a setting is the published one if both means lie this close
REPAIRED, HOPELESS = 0.9, 0.5  # shares of the healthy circuit's accuracy
NAMES = {
    "healthy": "healthy",
    "defective": "defective",
    CORRECTOR: "corrected",
    NEIGHBOURS: "neighbours",
}
SETTING = ("layer", "shape", "coverage")


def compute(lab: Lab) -> Tables:
    """The circuits, and their means over seeds by setting."""
    circuits = circuit_table(severity_sweep(lab), ("layer", "seed", "shape", "coverage"), NAMES)
    return {"circuits": circuits, "settings": settings_table(circuits)}


def settings_table(circuits: dict) -> dict:
    """Mean and 95 % half-width of each accuracy for each layer, shape and coverage."""
    table = {name: np.asarray(field.values) for name, field in circuits.items()}
    found = [(key, rows) for key, rows in groups(table, *SETTING)]
    columns = {
        name: column([key[k] for key, _ in found], circuits[name].unit, circuits[name].about)
        for k, name in enumerate(SETTING)
    }
    for name in ("healthy", "defective", "corrected", "neighbours"):
        means = [over_seeds(table, table[name], rows) for _, rows in found]
        columns[name] = column([i.mean for i in means], "1", f"mean test accuracy, {name}")
        columns[f"{name}_ci95"] = column([i.half_width for i in means], "1", "half-width")
    return columns


def nearest(read: Read, target: tuple[float, float]) -> int:
    """The setting whose means before and after lie nearest to a published pair."""
    table = read["settings"]
    return int(
        np.nanargmin(np.hypot(table["defective"] - target[0], table["corrected"] - target[1]))
    )


def name_of(read: Read, row: int) -> str:
    """A setting in words."""
    table = read["settings"]
    return f"layer {table['layer'][row]}, {table['shape'][row]} over {table['coverage'][row]:.0%}"


def at(read: Read, name: str, row: int) -> Interval:
    """One accuracy of a setting."""
    table = read["settings"]
    return Interval(float(table[name][row]), float(table[f"{name}_ci95"][row]), 0)


def draw(read: Read) -> list[Drawn]:
    """Before against after, and settings in which nothing helps."""
    circuits, table = read["circuits"], read["settings"]
    gap = over_seeds(circuits, circuits["corrected"] - circuits["neighbours"])
    targets = {name: nearest(read, target) for name, target in PUBLISHED.items()}
    first = (
        "Each dot a circuit, all shapes, severities and layers. Rings: the published pairs "
        "(uncorrected, corrected); squares: the settings here that come nearest: "
        + "; ".join(
            f"{name_of(read, row)}, {share(at(read, 'defective', row))} to "
            f"{share(at(read, 'corrected', row))}"
            for row in targets.values()
        )
        + f". The corrector minus the vote of the nearest labelled voltages: {difference(gap)}."
    )
    low = table["corrected"] < HOPELESS * table["healthy"]
    second = (
        f"Mean accuracy after correction by setting; in {int(low.sum())} of {len(low)} settings "
        f"it stays below {HOPELESS:.0%} of the healthy circuit's."
    )
    return [
        Drawn(
            "circuits",
            "Before and after",
            first,
            before_and_after(circuits, table, targets, PUBLISHED),
        ),
        Drawn("settings", "Where it works and where not", second, where_nothing_helps(table)),
    ]


def find(read: Read) -> Findings:
    """Does the published recovery occur, and when is none possible?"""
    table = read["settings"]
    repaired = table["corrected"] >= REPAIRED * table["healthy"]
    hopeless = table["neighbours"] < HOPELESS * table["healthy"]
    broken = table["defective"] < 0.8 * table["healthy"]
    sentences = [
        f"Of {int(broken.sum())} settings that cost more than a fifth of the healthy accuracy, the "
        f"corrector brings {int((repaired & broken).sum())} back to at least {REPAIRED:.0%} of it.",
        _hopeless(read, hopeless),
        _lines(read),
        _by_layer(read),
    ]
    texts = {
        "study": ("Best recovery by the corrector", "55 to 90 %"),
        "predecessor": ("The predecessor's recovery", "48 to 85 %"),
    }
    claims = [_claim(read, name, *words) for name, words in texts.items()]
    return Findings([s for s in sentences if s], claims)


def _claim(read: Read, name: str, text: str, published: str) -> Claim:
    target = PUBLISHED[name]
    row = nearest(read, target)
    before, after = at(read, "defective", row), at(read, "corrected", row)
    close = [abs(i.mean - t) <= NEAR for i, t in zip((before, after), target, strict=True)]
    table = read["settings"]
    start = np.abs(table["defective"] - target[0]) <= NEAR
    others = table["corrected"][start]
    spread = (
        f"; other settings that start within {100 * NEAR:.0f} points of "
        f"{100 * target[0]:.0f} % end at {100 * others.min():.0f} to {100 * others.max():.0f} %"
        if start.any()
        else ""
    )
    verdict = Verdict.CONDITIONS if all(close) else Verdict.FAILS
    return Claim(
        f"recovery_{name}",
        text,
        published,
        f"{share(before)} to {share(after)} ({name_of(read, row)}){spread}",
        verdict,
        "The setting whose two means come nearest to the published pair, chosen among all of the "
        f"sweep; both means lie within {100 * NEAR:.0f} points of it. One setting is a condition.",
        {"uncorrected": percent(before), "corrected": percent(after)},
    )


def _hopeless(read: Read, hopeless: np.ndarray) -> str:
    if not hopeless.any():
        return (
            "In every setting the nearest labelled voltages still tell more than half of what the "
            "healthy circuit knows."
        )
    worst = [name_of(read, int(row)) for row in np.flatnonzero(hopeless)]
    listed = ", ".join(worst[:8]) + (f" and {len(worst) - 8} more" if len(worst) > 8 else "")
    table = read["circuits"]
    rows = np.zeros(len(table["seed"]), bool)
    for row in np.flatnonzero(hopeless):
        rows |= where(table, **{name: read["settings"][name][row] for name in SETTING})
    return (
        f"In {len(worst)} settings not even the vote of the nearest labelled voltages reaches "
        f"{HOPELESS:.0%} of the healthy accuracy, and the corrector ends at "
        f"{share(over_seeds(table, table['corrected'], rows))}: the ten voltages have lost it. "
        f"These are {listed}."
    )


def _lines(read: Read) -> str:
    """In the last layer: word lines, which carry hidden units, against bit lines, the classes."""
    table = read["circuits"]
    rows = table["layer"] == table["layer"].max()
    covers = {
        shape: set(table["coverage"][rows & (table["shape"] == shape)].tolist())
        for shape in ("row", "column")
    }
    shared = covers["row"] & covers["column"]
    if not shared:
        return ""
    most = max(shared)
    found = []
    for shape in ("row", "column"):
        chosen = np.flatnonzero(rows & where(table, shape=shape, coverage=most))
        found.append(chosen[np.argsort(table["seed"][chosen], kind="stable")])
    row, column_ = found
    change = over_seeds(
        {"seed": table["seed"][row]}, table["corrected"][row] - table["corrected"][column_]
    )
    text = (
        f"Where {most:.0%} of the last array is stuck, dead word lines leave "
        f"{share(over_seeds(table, table['corrected'], _mask(table, row)))} after correction and "
        f"dead bit lines {share(over_seeds(table, table['corrected'], _mask(table, column_)))} "
        f"({difference(change)}, paired by seed)."
    )
    if inside(change, high=0):
        text += (
            " A class without its bit lines is still told by the voltages of the others; a hidden "
            "unit without its word line is gone."
        )
    return text


def _mask(table: Rows, chosen: np.ndarray) -> np.ndarray:
    return np.isin(np.arange(len(table["seed"])), chosen)


def _by_layer(read: Read) -> str:
    circuits = read["circuits"]
    parts = []
    for layer in np.unique(circuits["layer"]):
        rows = (circuits["layer"] == layer) & (circuits["defective"] < 0.8)
        if rows.any():
            gain = over_seeds(circuits, circuits["corrected"] - circuits["defective"], rows)
            after = over_seeds(circuits, circuits["corrected"], rows)
            parts.append(f"layer {layer} {difference(gain)}, to {share(after)}")
    if not parts:
        return ""
    return f"Circuits below 80 % uncorrected, by the broken layer: {'; '.join(parts)}."


EXPERIMENT = Experiment(
    name="recovery",
    title="How much comes back",
    question="Can a corrector bring a circuit from 55 % back to 90 %, and when can nothing?",
    method="The circuits of the sweep over layers, shapes and severities; a corrector of 304 "
    "parameters (10-14-10) trained on each circuit's own voltages for the labelled part, tested "
    "on images that trained nothing. Reference on the same voltages: the vote of the five nearest "
    "labelled ones, which is not a bound.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="Which defect, which layer and which devices gave the headline: a starting "
    "accuracy alone does not fix where the corrector ends.",
)
