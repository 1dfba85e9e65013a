"""The place at which a defect of given shape and size hurts most.

Three ways to it, all judged by the same exact mask: places at random, every place of a grid, and
gradient ascent. The ascent climbs the loss of a soft-edged mask (`smooth_masks`), through the exact
circuit, from the worst of many random places; the edge hardens on the way. Soft edges serve the
ascent alone: what any function here reports is the loss with the exact mask. `OneLayer` is the
network as a function of the conductances that the defect changes; the rest is solved once.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from xbar.batch import batch_map
from xbar.checks import check_word, checked, within_unit
from xbar.devices import PLACEMENTS, AbstractFault, inject, placed_mask
from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import Layer, Network, forward
from xbar.nn.layer import layer_index
from xbar.sensitivity.inputs import Criterion, loss_of
from xbar.sensitivity.smooth_masks import blend, membership


@final
class OneLayer(eqx.Module):
    """What becomes of a data set when the pairs of one layer change; make one with `of`.

    Args:
        network: whose layer changes.
        index: of the layer, 0 the first.
        v: voltages that drive the layer, without the bias row, (n, inputs) [V].
        transfers: transfer matrices of the layers behind it [S].
        labels: classes of the inputs, (n,).
        loss: of the output voltages.
    """

    network: Network
    index: int = eqx.field(static=True)
    v: Float[Array, "n inputs"]
    transfers: tuple[Array, ...]
    labels: Int[Array, " n"]
    loss: Criterion = eqx.field(static=True)

    @staticmethod
    def of(
        network: Network,
        layer: int,
        x: Any,
        labels: Int[Array, " n"],
        loss: Criterion = "cross_entropy",
    ) -> "OneLayer":
        """Solve the other layers.

        Args:
            network: healthy, or with defects that stay.
            layer: the layer whose pairs change; -1 is the last.
            x: inputs of the network, (n, inputs).
            labels: their classes, (n,).
            loss: what counts as bad, a key of `LOSSES` or a function of voltages and labels.

        Returns:
            The layer within its network.

        Raises:
            ValueError: no such layer or loss, or as `Network.__call__`.
        """
        layer = layer_index(layer, len(network.layers))
        loss_of(loss, network)  # raises now what is wrong
        network = network.without_noise()
        transfers = network.transfers()
        v = network.voltages(transfers, x)[layer].v_in[..., :-1]
        return OneLayer(network, layer, v, transfers[layer + 1 :], jnp.asarray(labels), loss)

    @property
    def layer(self) -> Layer:
        """The layer, with its healthy pairs."""
        return self.network.layers[self.index]

    def voltages(self, pairs: Pairs) -> Float[Array, "n classes"]:
        """Output voltages with other pairs in the layer, (n, classes) [V]: one exact solve.

        NaN where the array could not be solved within the solver's tolerance.
        """
        layer = eqx.tree_at(lambda part: part.pairs, self.layer, pairs)
        layers = [layer, *self.network.layers[self.index + 1 :]]
        known = zip(layers, (layer.transfer(), *self.transfers), strict=True)
        return forward(layers, [part.circuit().prepared(t) for part, t in known], self.v)[-1].v_out

    def scores(self, pairs: Pairs) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Loss and accuracy of the data set with other pairs in the layer; NaN as `voltages`."""
        volts = self.voltages(pairs)
        found = loss_of(self.loss, self.network)(volts, self.labels)
        return found, accuracy(volts, self.labels)


Positions = Float[Array, "n dims"]

# Places in one call of the compiled program: any number of them is then one compilation.
BLOCK = 32


@dataclass(frozen=True)
class Ascent:
    """How the gradient ascent climbs. docs/worst_case.md has what other settings do.

    Args:
        screened: random places that are solved first; the worst of them are the starts.
        starts: places that it starts from.
        steps: of each start; a step costs one transfer matrix and its derivative.
        learning_rate: Adam's at the first step, decaying to 0 [side of the cube of positions].
        hot: width of the soft edge at the first step [array side].
        cold: width at the last.

    Raises:
        ValueError: a setting is out of range.
    """

    screened: int = 64
    starts: int = 16
    steps: int = 40
    learning_rate: float | int = 0.1
    hot: float | int = 0.1
    cold: float | int = 0.01

    def __post_init__(self) -> None:
        for name in ("starts", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"Ascent.{name}: got {getattr(self, name)}, needs at least 1")
        if self.screened < self.starts:
            raise ValueError(f"Ascent.screened: got {self.screened}, needs at least starts")
        if not self.learning_rate > 0:
            raise ValueError(f"Ascent.learning_rate: got {self.learning_rate}, needs above 0")
        if not self.hot >= self.cold > 0:
            raise ValueError(f"Ascent.cold: got {self.cold}, needs above 0 and at most hot")


class Places(NamedTuple):
    """Places of a defect with what each does, by the exact mask.

    Args:
        positions: of `xbar.devices.placed_mask`, (n, dims).
        loss: of the data set, (n,); NaN where the array could not be solved.
        accuracy: share of the images read right, (n,).
    """

    positions: Positions
    loss: Float[Array, " n"]
    accuracy: Float[Array, " n"]

    @property
    def worst(self) -> int:
        """The place of the largest loss; places that could not be solved are not asked."""
        return int(np.nanargmax(np.asarray(self.loss)))


@dataclass(frozen=True)
class Defect:
    """What lies at the place: a shape of some size, and what it does to the pairs.

    Args:
        shape: a key of `xbar.devices.PLACEMENTS`.
        coverage: share of the array, None for the study's own.
        fault: what happens to the pairs.
        key: JAX key, for faults that draw; the draw is the same at every place.
    """

    shape: str
    fault: AbstractFault
    coverage: float | int | None = None
    key: PRNGKeyArray | None = None

    def __post_init__(self) -> None:
        check_word("shape", self.shape, list(PLACEMENTS))
        placed_mask(self.shape, jnp.full(self.dims, 0.5), self.coverage)  # raises what is wrong

    @property
    def dims(self) -> int:
        """Coordinates of a position."""
        return PLACEMENTS[self.shape].dims


def random_places(target: OneLayer, defect: Defect, key: PRNGKeyArray, count: int) -> Places:
    """A defect at random places, as `xbar.devices.random_mask` draws them.

    Args:
        target: the layer within its network.
        defect: what lies there.
        key: JAX key.
        count: how many places.

    Returns:
        The places.
    """
    dtype = target.v.dtype
    return place(target, defect, jax.random.uniform(key, (count, defect.dims), dtype))


def grid_places(target: OneLayer, defect: Defect, most: int = 1500) -> Places:
    """A defect at every place of a grid: exhaustive, up to the grid's spacing.

    Args:
        target: the layer within its network.
        defect: what lies there.
        most: as for `grid`.

    Returns:
        The places.
    """
    return place(target, defect, jnp.asarray(grid(defect, target.layer.pairs.shape, most)))


def grid(defect: Defect, shape: tuple[int, int], most: int = 1500) -> np.ndarray:
    """Positions a quarter of a pair's pitch apart, or wider where that would be too many.

    The spacing is 1/4, 1/3, 1/2, 1, 2, 4 or 8 pitches, the smallest that `most` allows (or the
    last); an angle or a phase goes round in 64 to 4 steps. Up to one pitch, no pair can be passed
    over; what is wider is a sample of the places.

    Args:
        defect: how it can be moved follows from where `placed_mask` puts its ends.
        shape: (rows, cols) of the array in pairs.
        most: places, if that can be had.

    Returns:
        (n, dims), in 0..1.
    """
    moves = [_moves(defect, number, shape) for number in range(defect.dims)]
    for fine in (4, 3, 2, 1, 0.5, 0.25, 0.125):
        axes = [_axis(pitches, fine) for pitches in moves]
        if np.prod([len(axis) for axis in axes]) <= most:
            break
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def _moves(defect: Defect, number: int, shape: tuple[int, int]) -> float | None:
    """How many pitches a coordinate moves the shape; None for one that goes round."""
    if PLACEMENTS[defect.shape].wraps[number]:
        return None
    lines = shape[1] if defect.shape == "column" else shape[number]
    return _room(defect, number) * lines


def _axis(pitches: float | None, fine: float | int) -> np.ndarray:
    """Values of one coordinate, so many for each pitch."""
    if pitches is None:
        count = max(4, round(16 * fine))
        return np.arange(count) / count
    return np.linspace(0, 1, max(2, round(pitches * fine) + 1))


def _room(defect: Defect, number: int) -> float:
    """How far a coordinate moves the shape, wherever the others are [array side]."""
    found = []
    for others in np.linspace(0, 1, 17):
        ends = np.full((2, defect.dims), others)
        ends[:, number] = 0, 1
        low, high = (placed_mask(defect.shape, jnp.asarray(e), defect.coverage) for e in ends)
        moved = jax.tree.map(lambda a, b: float(np.max(np.abs(np.asarray(b - a)))), low, high)
        found.append(max(jax.tree.leaves(moved)))
    return max(found)


def ascend(
    target: OneLayer, defect: Defect, key: PRNGKeyArray, ascent: Ascent = Ascent()
) -> Places:
    """Where gradient ascent on the place of a defect leads, from the worst of many random places.

    Adam on the position, maximising loss(g(m(position, temperature))) while the temperature falls
    from `hot` to `cold`. Coordinates that wrap go round, others stop at the array's edge.

    Args:
        target: the layer within its network.
        defect: what lies there.
        key: JAX key, draws the places that are screened.
        ascent: how to climb.

    Returns:
        For each start the worse of it and where its ascent ended, by the exact mask.
    """
    screened = random_places(target, defect, key, ascent.screened)
    known = jnp.where(jnp.isfinite(screened.loss), screened.loss, -jnp.inf)
    first = jnp.argsort(-known)[: ascent.starts]
    starts = jax.tree.map(lambda values: values[first], screened)
    climbed = batch_map(_climb, starts.positions, target, *_parts(defect), ascent)
    ends = place(target, defect, climbed)
    higher = jnp.where(jnp.isnan(starts.loss), True, ends.loss > starts.loss)
    return Places(
        jnp.where(higher[:, None], ends.positions, starts.positions),
        jnp.where(higher, ends.loss, starts.loss),
        jnp.where(higher, ends.accuracy, starts.accuracy),
    )


def place(target: OneLayer, defect: Defect, positions: Positions) -> Places:
    """A defect at given places, by the exact mask: one solve each.

    Args:
        target: the layer within its network.
        defect: what lies there.
        positions: as for `xbar.devices.placed_mask`, (n, dims).

    Returns:
        The places.

    Raises:
        ValueError: positions of another shape, or outside 0..1.
    """
    dims = defect.dims
    at = checked("positions", positions, "values in 0..1", within_unit, 2)
    if at.shape[1] != dims:
        raise ValueError(f"positions: got shape {at.shape}, needs (n, {dims}) for {defect.shape}")
    return Places(at, *batch_map(_scores_at, at, target, *_parts(defect), block=BLOCK))


def voltages_at(
    target: OneLayer, defect: Defect, positions: Positions
) -> Float[Array, "n images classes"]:
    """Output voltages with a defect at given places, by the exact mask; arguments as for `place`.

    Returns:
        (n, images, classes) [V]; NaN where the array could not be solved.
    """
    at = jnp.asarray(positions)
    return batch_map(_voltages_at, at, target, *_parts(defect), block=BLOCK)


Parts = tuple[str, AbstractFault, float | int | None, PRNGKeyArray | None]


def _parts(defect: Defect) -> Parts:
    """As JAX takes it: words and numbers that are fixed, arrays that are not."""
    return defect.shape, defect.fault, defect.coverage, defect.key


def _broken(position: Array, target: OneLayer, parts: Parts) -> Pairs:
    shape, fault, coverage, key = parts
    mask = placed_mask(shape, position, coverage)
    return inject(target.layer.pairs, mask, fault, target.layer.window, key)


def _voltages_at(position: Array, target: OneLayer, *parts: Any) -> Array:
    return target.voltages(_broken(position, target, parts))


def _scores_at(position: Array, target: OneLayer, *parts: Any) -> tuple[Array, Array]:
    return target.scores(_broken(position, target, parts))


def _climb(start: Array, target: OneLayer, *parts: Any) -> Array:
    """Where Adam leads from one start."""
    shape, fault, coverage, key, ascent = parts
    layer, wraps = target.layer, jnp.array(PLACEMENTS[shape].wraps)
    optimiser = optax.adam(optax.cosine_decay_schedule(ascent.learning_rate, ascent.steps))
    temperatures = jnp.asarray(
        np.geomspace(ascent.hot, ascent.cold, ascent.steps), dtype=start.dtype
    )

    def soft_loss(position: Array, temperature: Array) -> Array:
        mask = placed_mask(shape, position, coverage)
        share = membership(mask, layer.pairs.shape, temperature)
        return target.scores(blend(layer.pairs, share, fault, layer.window, key))[0]

    def step(carry: tuple[Array, Any], temperature: Array) -> tuple[Any, None]:
        position, state = carry
        slope = jax.grad(soft_loss)(position, temperature)
        slope = jnp.where(jnp.isfinite(slope), slope, 0)  # an array that missed its tolerance
        updates, state = optimiser.update(-slope, state)
        moved = optax.apply_updates(position, updates)
        return (jnp.where(wraps, moved % 1, jnp.clip(moved, 0, 1)), state), None

    (end, _), _ = jax.lax.scan(step, (start, optimiser.init(start)), temperatures)
    return end
