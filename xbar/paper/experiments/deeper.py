"""Does a corrector of this size help deeper networks on larger images? Tiles and convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xbar.io import StoreError, load_dataset
from xbar.io.dataset import Dataset
from xbar.learn.corrector import nearest_neighbour_accuracy
from xbar.learn.mlp import accuracy
from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, NEIGHBOURS
from xbar.paper.correctors import Recipe, Samples, train
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.tables import Tables, cells, chosen, interval, per_seed, points, summary
from xbar.paper.tiled import LENET, TILE, OnTiles, TiledDefect, stuck_pairs
from xbar.paper.workspace import Workspace
from xbar.spice import NgspiceMissing, NgspiceTooOld, find_ngspice, verify_array

BIAS, LINEAR, SKIP, LARGE = "bias only", "linear", "10-1-10 with a skip", "10-143-10"
READOUT, HIDDEN_VOTE = "last hidden layer, linear", "last hidden layer, nearest neighbours"
DIGITS = 64  # features of them
WIDEST = 256  # units of the first hidden layer
LEAST = 0.1  # a hidden unit that varies less, by the spread of all, says nothing
MOST = 0.36  # up to this share of a layer the published severities go
WHERE = ["network", "layer", "extent", "shape", "coverage"]


def recipes(name: str, steps: int) -> dict[str, Recipe]:
    """Correctors of a network's outputs: convex and small ones until they converge."""
    found = {
        BIAS: Recipe(None, converged=True),
        LINEAR: Recipe((), converged=True),
        CORRECTOR: Recipe(steps=steps),
    }
    if is_main(name):
        found[SKIP] = Recipe((1,), skip=True, converged=True)
        found[LARGE] = Recipe((143,), steps=steps)
    return found


def compute(work: Workspace) -> Tables:
    """One row for each circuit; what was left out; ngspice on a tile of each size."""
    asked, frames, checked, missing = work.settings, [], [], ""
    defects = [TiledDefect(*defect) for defect in asked.deep_defects]
    for name in asked.deep_networks:
        try:
            dataset = _dataset(work, name)
        except StoreError as error:
            missing = str(error)
            work.run.print(f"{name} left out: {missing}")
            continue
        networks = OnTiles(work, name, dataset, min(asked.deep_seeds, asked.seeds))
        with work.timed(name):
            found = work.kept(f"deeper-{name}", lambda n=networks: _scores(work, n, defects))
            index = pd.MultiIndex.from_product(
                [range(len(found["pairs"])), range(len(defects)), range(networks.seeds)],
                names=["layer", "defect", "seed"],
            )
            pairs, tests = found.pop("pairs"), found.pop("checks")
            frame = pd.DataFrame({k: v.ravel() for k, v in found.items()}, index).reset_index()
            for at, column in enumerate(TiledDefect._fields):
                frame[column] = [defects[d][at] for d in frame["defect"]]
            frames.append(frame.drop(columns="defect").assign(network=name))
        layers = zip(pairs.tolist(), tests.tolist(), strict=True)
        checked += [(name, k, *size, *test) for k, (size, test) in enumerate(layers)]
    if not frames:
        raise ValueError(f"deep_networks: got no network whose images are there ({missing})")
    columns = ["network", "layer", "rows", "outputs", "error", "allowed"]
    return {
        "circuits": pd.concat(frames, ignore_index=True),
        "tiles": pd.DataFrame(checked, columns=columns),
        "left_out": pd.DataFrame({"reason": [missing]}),
    }


def _dataset(work: Workspace, name: str) -> Dataset:
    """The run's own data where they fit the network, the digits or MNIST else."""
    first = 784 if name == LENET else int(name.split("-")[0])
    own = work.dataset
    if own is not None and own.images.shape[1] == first:
        return own
    return load_dataset("digits" if first == DIGITS else "mnist")


def _scores(
    work: Workspace, networks: OnTiles, defects: list[TiledDefect]
) -> dict[str, np.ndarray]:
    """Accuracies by (layer, defect, seed), and pairs and ngspice's difference of each layer."""
    n, y = networks.parts.corrector.shape[-1], networks.dataset.labels[networks.labelled]
    shape = len(networks.pairs), len(defects), networks.seeds
    right = np.asarray(accuracy(jnp.asarray(networks.entering[-1][:, n:]), jnp.asarray(y[:, n:])))
    logits = jnp.asarray(networks.mapped["software"][:, n:])
    software = np.asarray(accuracy(logits, jnp.asarray(y[:, n:])))
    found: dict[str, list[np.ndarray]] = {}
    checks = []
    for layer, pairs in enumerate(networks.pairs):
        hit = stuck_pairs(work, layer, pairs, defects, networks.seeds)
        hidden, volts = networks.broken(layer, hit)
        keys = work.keys(f"deeper {networks.name} {layer}", range(shape[1] * shape[2]))
        labels = np.tile(y, (len(defects), 1))
        own = _read(work, networks.name, hidden, volts, labels, n, keys)
        about = {
            "hit_share": hit.mean((-1, -2)),
            "tiles": np.full(hit.shape[:2], networks.tiles_of(layer)),
        }
        for name, values in (own | about).items():
            found.setdefault(name, []).append(values)
        checks.append(_checked(networks, layer, hit[0, 0]))
    stacked = {name: np.stack(values).reshape(shape) for name, values in found.items()}
    whole = {"healthy": right, "software": software}
    return {
        **{name: np.broadcast_to(values, shape) for name, values in whole.items()},
        **stacked,
        "pairs": np.array(networks.pairs),
        "checks": np.array(checks),
    }


def _read(
    work: Workspace,
    name: str,
    hidden: np.ndarray,
    volts: np.ndarray,
    y: np.ndarray,
    n: int,
    keys: jax.Array,
) -> dict[str, np.ndarray]:
    """Accuracies of all that reads these circuits, whose first n images train."""
    hidden, volts = (v.reshape(len(y), *v.shape[2:]) for v in (hidden, volts))
    outputs = volts.shape[-1]

    def parted(v: np.ndarray) -> Samples:
        return Samples(v[:, :n], y[:, :n], v[:, n:], y[:, n:])

    found = {"defective": parted(volts).uncorrected}
    for corrector, recipe in recipes(name, work.settings.steps).items():
        found[corrector] = train(work, recipe, parted(volts), keys).accuracy
    flat = _telling(hidden.reshape(*hidden.shape[:2], -1), n, outputs)
    readout = Recipe((), converged=True, elsewhere=True, outputs=outputs)
    found[READOUT] = train(work, readout, parted(flat), keys).accuracy
    for vote, v in ((NEIGHBOURS, volts), (HIDDEN_VOTE, flat)):
        found[vote] = work.map(_vote, tuple(map(jnp.asarray, parted(v))))
    return found


def _telling(hidden: np.ndarray, n: int, outputs: int) -> np.ndarray:
    """Voltages of hidden units, 0 where they vary little; at least as many as there are classes."""
    spread = hidden[:, :n].std(1, keepdims=True)
    typical = np.sqrt((spread**2).mean(-1, keepdims=True))
    more = max(0, outputs - hidden.shape[-1])
    return np.pad(np.where(spread > LEAST * typical, hidden, 0), ((0, 0), (0, 0), (0, more)))


def _vote(row: tuple[jax.Array, ...]) -> jax.Array:
    train_v, train_y, test_v, test_y = row
    return nearest_neighbour_accuracy(train_v, train_y, test_v, test_y)


def _checked(networks: OnTiles, layer: int, hit: np.ndarray) -> tuple[float, float]:
    """The worst difference to ngspice in a tile of a layer, and what may be; NaN if not asked.

    Tiles of one size are one circuit: the largest is checked in one network alone.
    """
    full = networks.filled(layer) == (TILE[0], TILE[1] // 2)
    asked = is_main(networks.name) and (not full or (is_wide(networks.name) and layer == 0))
    try:
        program = find_ngspice() if asked else None
    except (NgspiceMissing, NgspiceTooOld):
        program = None
    if program is None:
        return float("nan"), float("nan")
    array = networks.array(layer, hit)
    volts = np.linspace(0.02, 0.2, array.rows)  # no two rows alike
    report = verify_array(array, volts, ngspice=program)
    worst = max(report.rows, key=lambda row: row.error / row.rtol)
    return worst.error, worst.rtol


# --- findings ---------------------------------------------------------------------------------


def sizes_of(name: str) -> tuple[int, ...]:
    """Units of each layer; none of a convolutional network."""
    return () if name == LENET else tuple(int(size) for size in name.split("-"))


def is_wide(name: str) -> bool:
    """Whether a network is one of those that differ in width alone, 784-h-h/2-10."""
    sizes = sizes_of(name)
    return len(sizes) == 4 and sizes[1] == 2 * sizes[2]


def is_deep(name: str) -> bool:
    """Whether a network is one of those that differ in depth alone: hidden layers of one width."""
    hidden = sizes_of(name)[1:-1]
    return len(hidden) > 1 and len({*hidden}) == 1


def is_main(name: str) -> bool:
    """Whether a network is one of its own, and no point on an axis alone."""
    return not is_deep(name) and (not is_wide(name) or sizes_of(name)[1] == WIDEST)


def find(tables: Tables) -> Findings:
    """The claims that were fixed beforehand, and what is lost between the layers."""
    table = tables["circuits"]
    table = table.assign(halfway=(table["healthy"] + table["defective"]) / 2)
    names = list(dict.fromkeys(table["network"]))
    main = [name for name in names if is_main(name)]
    layer_wide = chosen(table, extent="layer")
    circles = chosen(layer_wide, shape="circle", network=main)
    middle = layer_wide[np.isclose(layer_wide["coverage"], 0.35)]
    larger = chosen(middle, network=[name for name in main if sizes_of(name)[:1] != (DIGITS,)])
    claims = {
        "half": summary(per_seed(larger, LINEAR, "network", "layer", minus="halfway")),
        **_by_size(circles),
        "local": _local(table, main),
        "depth": _depth(middle),
    }
    read = {
        name: summary(per_seed(middle, column, "network", "layer"))
        for name, column in _READ.items()
    }
    shown = {
        "read": cells(pd.concat(read, names=["read by"]), "read by", form=".1f"),
        "lost": cells(_lost(chosen(middle, network=main)), "between"),
        "severity": cells(
            summary(
                per_seed(circles, "healthy", "network", "coverage", "layer", minus="defective")
            ),
            "layer",
            form=".1f",
        ),
    }
    return Findings(_facts(tables, middle, larger), claims, shown, _draw(middle, table, main))


_READ = {
    "uncorrected": "defective",
    "10 biases": BIAS,
    "linear, 110": LINEAR,
    "skip, 32": SKIP,
    "10-14-10, 304": CORRECTOR,
    "10-143-10, 3,013": LARGE,
    "last hidden layer": READOUT,
    "healthy": "healthy",
}


def _by_size(circles: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What 3,013 parameters gain over 304, up to the published severities and beyond."""
    found = summary(per_seed(circles, LARGE, "network", "coverage", minus=CORRECTOR))
    few = found.index.get_level_values("coverage") <= MOST
    return {"large_mild": found[few], "large_severe": found[~few]}


def _local(table: pd.DataFrame, main: list[str]) -> pd.DataFrame:
    """Loss by a defect within one of several tiles, in all layers but the last."""
    rows = chosen(table, extent="tile", network=main)
    last = rows.groupby("network")["layer"].transform("max")
    rows = rows[(rows["layer"] < last) & (rows["tiles"] > 1)]
    return summary(per_seed(rows, "healthy", "network", "layer", minus="defective"))


def _depth(middle: pd.DataFrame) -> pd.DataFrame:
    """Loss that a linear corrector leaves, the deeper network's minus the shallower one's."""
    deep = sorted(filter(is_deep, middle["network"].unique()), key=len)
    if len(deep) < 2:
        return pd.DataFrame()
    rows = chosen(middle, network=deep)
    rows = rows.assign(where=np.where(rows["layer"] == 0, "the first layer", "later layers"))
    left = per_seed(rows, "healthy", "where", "network", minus=LINEAR).unstack("network")
    return summary(left[deep[-1]] - left[deep[0]])


def _lost(middle: pd.DataFrame) -> pd.DataFrame:
    """What can be read from the last hidden layer and no longer from the outputs."""
    pairs = {
        "by linear maps": (READOUT, LINEAR),
        "by nearest neighbours": (HIDDEN_VOTE, NEIGHBOURS),
    }
    found = {
        name: summary(per_seed(middle, hidden, "network", "layer", minus=outputs))
        for name, (hidden, outputs) in pairs.items()
    }
    return pd.concat(found, names=["between"])


def _facts(tables: Tables, middle: pd.DataFrame, larger: pd.DataFrame) -> dict[str, str]:
    reason, checked = tables["left_out"]["reason"].iloc[0], tables["tiles"]
    facts = {"left_out": str(reason)} if reason else {}
    tiles = checked.dropna()
    if len(tiles):
        worst = tiles.loc[(tiles["error"] / tiles["allowed"]).idxmax()]
        facts |= {
            "agree": str((tiles["error"] <= tiles["allowed"]).sum()),
            "tiles": str(len(tiles)),
            "error": f"{worst['error']:.1e}",
        }
    drop = per_seed(middle, "software", "network", minus="healthy").groupby("network").mean()
    facts["wires"] = f"{drop.abs().max():.1f}"
    if len(larger):
        gone = per_seed(larger, "healthy", minus="defective")
        back = per_seed(larger, LINEAR, minus="defective")
        facts |= {
            "loss": points(per_seed(larger, "defective", minus="healthy")),
            "back": points(back),
            "share": f"{100 * interval(back).mean / interval(gone).mean:.0f} %",
            "readout": points(per_seed(larger, READOUT, minus=LINEAR)),
        }
    return facts


def _draw(middle: pd.DataFrame, table: pd.DataFrame, main: list[str]) -> dict[str, Figure]:
    names = {"uncorrected": "defective", "linear, 110": LINEAR, "3,013": LARGE}
    names |= {"last hidden layer": READOUT, "healthy": "healthy"}
    rows = chosen(middle, network=main)
    found = {n: summary(per_seed(rows, c, "network", "layer")) for n, c in names.items()}
    means = pd.concat(found, names=["read"]).reset_index()
    means["broken"] = [f"layer {k}" for k in means["layer"]]
    means = means.set_index(["read", "network", "broken"])[["mean", "half"]]
    label = "test accuracy [%]"
    figures = {
        "layers": charts.intervals(means, "broken", "read", "network", label=label, columns=3)
    }
    wide = [name for name in table["network"].unique() if is_wide(name)]
    first = chosen(middle, network=wide, layer=0, shape="circle")
    if len(wide) > 1:
        widths = [sizes_of(name)[1] for name in first["network"]]
        first = first.assign(width=widths).sort_values("width", kind="stable")  # one line, rising
        lost = {
            n: summary(per_seed(first, "healthy", "width", minus=names[n]))
            for n in ("uncorrected", "linear, 110", "last hidden layer")
        }
        labels = ("units of the first hidden layer", "accuracy lost [points]")
        lines = pd.concat(lost, names=["read"])
        figures["width"] = charts.curves(lines, "width", "read", labels=labels, log=True)
    return figures


EXPERIMENT = Experiment("deeper", compute, find)
