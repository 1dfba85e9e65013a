"""What transfers from shape to shape at the same place? The stuck pairs that both have."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from xbar.devices import AbstractMask, Checkerboard, Circle, Ring, Rows
from xbar.devices.placements import CHECKERBOARD_PERIOD
from xbar.paper import charts
from xbar.paper.circuits import Circuits, broken_circuits, output_voltages, with_stuck_pairs
from xbar.paper.correctors import Recipe, Samples, train
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.tables import Tables, cells, interval, long, per_seed, points, summary
from xbar.paper.workspace import Workspace
from xbar.programs import program

CIRCLE, RING, NONE = "circle itself", "ring, r/2 to r", "healthy circuit"
BY = ["place", "radius", "layer"]


def shapes(centre: jax.Array, r: float) -> dict[str, AbstractMask]:
    """What trains, by name, around the centre of a circle of that radius; the circle first."""
    equal = r / 0.8  # outer radius of the ring from 0.6 of it on that covers what the circle does
    return {
        CIRCLE: Circle(centre, r),
        RING: Ring(centre, r / 2, r),
        "ring, 0.8 r to r": Ring(centre, 0.8 * r, r),
        "ring of equal area": Ring(centre, 0.6 * equal, equal),
        "ring outside, r to 1.4 r": Ring(centre, 1.01 * r, 1.4 * r),
        "row of equal area": Rows(centre[0], jnp.asarray(np.pi * r**2)),
        "checkerboard": Checkerboard(CHECKERBOARD_PERIOD, jnp.zeros(2)),
        "complement": ~Circle(centre, r),
    }


def stuck_pairs(centres: jax.Array, r: float, pairs: tuple[int, int]) -> dict[str, jax.Array]:
    """Which pairs each shape hits around each centre, (centres, rows, columns); circle first."""
    found = _stuck_pairs(centres, r, pairs)
    # JAX gives dictionaries back with sorted keys.
    return {name: found[name] for name in shapes(centres[0], r)}


@program(static_argnames=("r", "pairs"))
def _stuck_pairs(centres: jax.Array, r: float, pairs: tuple[int, int]) -> dict[str, jax.Array]:
    def around(centre: jax.Array) -> dict[str, jax.Array]:
        return {name: mask.mask(pairs) for name, mask in shapes(centre, r).items()}

    return jax.vmap(around)(centres)


def compute(work: Workspace) -> Tables:
    """One row for each layer, radius, way to place, training shape and seed."""
    circuits, frames = broken_circuits(work)[0], []
    drawn = jax.vmap(lambda k: jax.random.uniform(k, (2,)))(work.keys("overlap", circuits.seeds))
    for layer in work.settings.layers:
        for r in work.settings.radii:
            places = {"centre": jnp.full_like(drawn, 0.5), "random": r + (1 - 2 * r) * drawn}
            for place, centres in places.items():
                found = work.kept(
                    f"overlap-{layer}-{r:g}-{place}",
                    lambda k=layer, r=r, c=centres: _gained(work, circuits, k, r, c),
                )
                trained = [*shapes(centres[0], r), NONE]
                frame = long(found, trained=trained, seed=circuits.seeds)
                frames.append(frame.assign(layer=layer, radius=r, place=place))
    return {"accuracy": pd.concat(frames, ignore_index=True)}


def _gained(
    work: Workspace, circuits: Circuits, layer: int, r: float, centres: jax.Array
) -> dict[str, np.ndarray]:
    """Of every training shape and the healthy circuit, (shapes + 1, seeds) each."""
    rows, columns = circuits.healthy.layers[layer].pairs.g_plus.shape[1:]
    masks = stuck_pairs(centres, r, (rows, columns))
    masks = [*map(np.asarray, masks.values()), np.zeros_like(masks[CIRCLE])]
    circle, volts = masks[0], []
    for mask in masks:
        networks = with_stuck_pairs(circuits.healthy, layer, mask)
        volts.append(circuits.split(output_voltages(work, networks, circuits.images())))
    shared = [
        (mask & circle).sum((1, 2)) / np.maximum((mask | circle).sum((1, 2)), 1) for mask in masks
    ]
    tested, count = volts[0], len(masks)
    samples = Samples(
        np.concatenate([v.train_v for v in volts]),
        np.concatenate([v.train_y for v in volts]),
        np.tile(tested.test_v, (count, 1, 1)),
        np.tile(tested.test_y, (count, 1)),
    )
    keys = jnp.tile(work.keys(f"overlap {layer}", circuits.seeds), count)
    recipe = Recipe(steps=work.settings.steps, elsewhere=True)
    return {
        "shared": np.stack(shared),
        "corrected": train(work, recipe, samples, keys).accuracy.reshape(count, -1),
        "defective": np.tile(tested.uncorrected, (count, 1)),
    }


def find(tables: Tables) -> Findings:
    """The claim at the same place, and what the gain follows."""
    table = tables["accuracy"]
    gain = per_seed(table, "corrected", *BY, "trained", minus="defective")
    found = summary(gain)
    wide = gain.unstack("trained")
    shared = per_seed(table, "shared", "trained").groupby(level="trained").mean()
    rank = interval(wide.drop(columns=NONE).corrwith(shared, axis=1, method="spearman"))
    ring, circle = interval(wide[RING]), interval(wide[CIRCLE])
    facts = {
        "ring": points(ring),
        "share": f"{100 * ring.mean / circle.mean:.0f} %",
        "rank": f"{rank.mean:.2f} ± {rank.half_width:.2f}",
    }
    claims = {
        "ring_to_circle": found.xs(RING, level="trained"),
        "complement_to_circle_same_place": found.xs("complement", level="trained"),
    }
    by_layer = per_seed(table, "corrected", "trained", "layer", minus="defective")
    shown = cells(summary(by_layer), "layer")
    shown.insert(0, "pairs in common [%]", [f"{shared[name]:.0f}" for name in shown.index])
    rows = table[table["trained"] != NONE]
    common = summary(per_seed(rows, "shared", *BY, "trained"))["mean"].rename("shared")
    means = found.join(common, how="inner").set_index("shared", append=True).droplevel(BY)
    labels = (
        "stuck pairs in common, over those stuck in either circuit [%]",
        "accuracy gained on the circle [points]",
    )
    look = {"labels": labels, "levels": {None: {"no gain": 0.0}}, "joined": False}
    figure = charts.curves(means, "shared", "trained", **look)
    return Findings(facts, claims, {"gain": shown}, {"shared": figure})


EXPERIMENT = Experiment("overlap", compute, find)
