"""Networks of any depth and kind on tiles of one shape, with one layer broken.

A tile's transfer matrix is found once for all that have nothing stuck, and again for those that a
defect hits: all tiles of all circuits go through one program. Images go through products with the
matrices from the broken layer on.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.circuit import Crossbar, Wires
from xbar.devices import inject, random_mask
from xbar.devices.mapping import Pairs
from xbar.io import split_many
from xbar.io.dataset import Dataset
from xbar.learn.mlp import fit
from xbar.nn import Hardware, Layer
from xbar.nn.build import with_bias_row
from xbar.nn.conv import Conv
from xbar.nn.layer import mapped
from xbar.nn.linear import Linear
from xbar.nn.on_arrays import AbstractOnArrays, Fixed
from xbar.nn.tiles import Tiling
from xbar.paper.circuits import STUCK_ON
from xbar.paper.workspace import Workspace
from xbar.programs import program
from xbar.solve import transfer

LENET = "LeNet"
TILE = (65, 128)  # 64 inputs and a bias row, 64 outputs of two bit lines each
OHM = 1.0


@lru_cache
def hardware() -> Hardware:
    """The tiles' circuit; made when it is first used, since making it starts JAX."""
    with jax.ensure_compile_time_eval():  # kept: it must hold nothing of a program being traced
        return Hardware(tile=TILE, wires=Wires(OHM, OHM))


TILING = Tiling(*TILE)
_HALF = TILING.of_pairs
# Training of the software networks, as benchmarks/networks/scale.py has it.
STEPS, BATCH, RATE, DECAY = 1000, 64, 3e-3, 0.1


_KINDS: dict[type, Any] = {eqx.nn.Linear: Linear, eqx.nn.Conv2d: Conv}


def with_weights(step: Any) -> bool:
    """Whether arrays compute this step of a network."""
    return type(step) in _KINDS


def on_arrays(step: Any) -> AbstractOnArrays:
    """A step as matrices and what stands on their rows; its scales are not used."""
    return _KINDS[type(step)].of(step, Fixed(hardware()))


def new_network(name: str, key: Array) -> eqx.nn.Sequential:
    """An untrained network: "784-256-10", or LeNet's five layers with average pooling; float32."""
    relu, keys = eqx.nn.Lambda(jax.nn.relu), iter(jax.random.split(key, 16))
    kind: Any = {"dtype": jnp.float32}
    if name != LENET:
        sizes = [int(size) for size in name.split("-")]
        dense = [eqx.nn.Linear(*pair, key=next(keys), **kind) for pair in pairwise(sizes)]
        return eqx.nn.Sequential([s for layer in dense for s in (layer, relu)][:-1])
    steps: list[Any] = [eqx.nn.Lambda(_as_image)]
    for channels in ((1, 6), (6, 16)):
        pool = eqx.nn.AvgPool2d(2, 2)
        steps += [eqx.nn.Conv2d(*channels, 5, key=next(keys), **kind), relu, pool]
    steps.append(eqx.nn.Lambda(jnp.ravel))
    for pair in ((256, 120), (120, 84), (84, 10)):
        steps += [eqx.nn.Linear(*pair, key=next(keys), **kind), relu]
    return eqx.nn.Sequential(steps[:-1])


def _as_image(x: Array) -> Array:
    return x.reshape(1, 28, 28)


def passed(network: Any, products: Sequence[Callable[[Array], Array]], x: Array, first: int) -> Any:
    """What enters each layer with weights from `first` on, and the outputs; of one image."""
    starts = [n for n, step in enumerate(network.layers) if with_weights(step)]
    entering, rest = [], iter(products[first:])
    # What stands before the first of them, such as a reshape, belongs to it.
    for step in network.layers[starts[first] if first else 0 :]:
        if with_weights(step):
            entering.append(x)
            x = next(rest)(x)
        else:
            x = step(x)
    return [*entering, x]


class _Batched(eqx.Module):
    """A network of one image as one of many."""

    network: Any

    def __call__(self, x: Array) -> Array:
        return jax.vmap(self.network)(x)


def layers_on_tiles(network: Any, k: Sequence[Array]) -> list[Layer]:
    """Each layer with weights mapped to tiles, k[l] volts standing for one unit of its input."""
    found = []
    steps = [step for step in network.layers if with_weights(step)]
    for step, k_in, k_out in zip(steps, k[:-1], k[1:], strict=True):
        ((w, b),) = on_arrays(step).matrices()
        rows = with_bias_row(w, b, k_in, hardware().v_bias)
        found.append(mapped(rows, k_in, k_out, hardware(), None))
    return found


@lru_cache(maxsize=32)
def _static(name: str) -> Any:
    """What all networks of a name share, and the shapes of their arrays."""
    made = eqx.filter_eval_shape(new_network, name, jax.random.key(0))
    return eqx.partition(made, lambda x: isinstance(x, jax.ShapeDtypeStruct))


@lru_cache(maxsize=32)
def _trains(name: str) -> Callable[..., Any]:
    def one(row: Any, x: Array, y: Array) -> Any:
        key, base = row
        start, shuffle = jax.random.split(key)
        made = fit(
            _Batched(new_network(name, start)),
            x[base],
            y[base],
            key=shuffle,
            steps=STEPS,
            batch_size=BATCH,
            learning_rate=RATE,
            weight_decay=DECAY,
        )
        return eqx.filter(made.network, eqx.is_inexact_array)

    return one


@lru_cache(maxsize=32)
def _maps(name: str) -> Callable[..., Any]:
    """Scales of the voltages, conductances of all layers, and what the software reads."""

    def one(row: Any, x: Array) -> Any:
        params, base, labelled = row
        network = eqx.combine(params, _static(name)[1])
        own = [step for step in network.layers if with_weights(step)]
        seen = jax.vmap(lambda image: tuple(passed(network, own, image, 0)))(x[base])
        full = [jnp.maximum(jnp.max(jnp.abs(part)), 1e-6) for part in seen]
        k = tuple(hardware().v_read.astype(part.dtype) / part for part in full)
        cells = [layer.pairs.interleave() for layer in layers_on_tiles(network, k)]
        return {"k": k, "cells": tuple(cells), "software": jax.vmap(network)(x[labelled])}

    return one


@lru_cache(maxsize=64)
def _reads(name: str, first: int) -> Callable[..., Any]:
    """What enters the later layers, and the outputs in units of logits, from a layer on."""

    def one(row: Any, params: Any, k: Any, x: Any) -> Any:
        seed, matrices = row
        params, k, x = jax.tree.map(lambda leaf: leaf[seed], (params, k, x))
        network = eqx.combine(params, _static(name)[1])
        steps = [step for step in network.layers if with_weights(step)]
        layers, scales = layers_on_tiles(network, k), list(pairwise(k))
        each = zip(steps[first:], layers[first:], scales[first:], matrices, strict=True)
        products = [*steps[:first], *(_product(*parts) for parts in each)]
        return tuple(jax.vmap(lambda image: tuple(passed(network, products, image, first)))(x)[1:])

    return one


def _product(
    step: Any, layer: Layer, scales: tuple[Array, Array], t: Array
) -> Callable[[Array], Array]:
    made = on_arrays(step)

    def through(x: Array) -> Array:
        (rows,) = made.rows(x)
        return made.outputs([layer.apply(t, scales[0] * rows).v_out / scales[1]], x)

    return through


def tile_array(g: Array, hit: Array) -> Crossbar:
    """One tile with stuck pairs: cells (rows, columns) [S], hit pairs (rows, outputs)."""
    pairs = inject(Pairs.from_interleaved(g), hit, STUCK_ON, hardware().window)
    return Crossbar(pairs.interleave(), hardware().wires)


def _tile(row: tuple[Array, Array]) -> Array:
    """Transfer matrix of one tile with stuck pairs, (columns, rows) [S]."""
    return transfer(tile_array(*row))


@dataclass(frozen=True)
class OnTiles:
    """Networks of one name on tiles, one for each seed.

    Args:
        work: where.
        name: as `new_network` has it.
        dataset: what they read.
        seeds: how many.
    """

    work: Workspace
    name: str
    dataset: Dataset
    seeds: int

    @cached_property
    def parts(self) -> Any:
        """Images of each part, (seeds, n_part) each."""
        keys = self.work.keys("tiled parts", range(self.seeds))
        return jax.tree.map(np.asarray, split_many(self.dataset.labels, keys))

    @cached_property
    def labelled(self) -> np.ndarray:
        """Images that train correctors, then those that test, (seeds, n)."""
        return np.concatenate([self.parts.corrector, self.parts.test], axis=1)

    @cached_property
    def _images(self) -> Array:
        return jnp.asarray(self.dataset.images / self.dataset.max_input, jnp.float32)

    @cached_property
    def params(self) -> Any:
        """Trained weights, stacked."""
        keys = self.work.keys(f"tiled {self.name}", range(self.seeds))
        rows, y = (keys, self.parts.base), jnp.asarray(self.dataset.labels)
        return self.work.map(_trains(self.name), rows, shared=(self._images, y))

    @cached_property
    def mapped(self) -> dict[str, Any]:
        """k, cells of each layer (seeds, rows, columns) [S], and the software's logits."""
        rows = self.params, self.parts.base, self.labelled
        return self.work.map(_maps(self.name), rows, shared=(self._images,))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Rows and outputs of each layer."""
        return [(g.shape[1], g.shape[2] // 2) for g in self.mapped["cells"]]

    @cached_property
    def healthy(self) -> "list[np.ndarray]":
        """Transfer matrices of all tiles of each layer, (seeds, R, C, columns, rows) [S]."""
        return [self.tiles(layer, None) for layer in range(len(self.pairs))]

    def cut(self, layer: int) -> np.ndarray:
        """Cells of a layer by tiles, (seeds, R, C, rows, columns) [S]; 0 beyond the matrix."""
        return np.stack([TILING.cut(g) for g in self.mapped["cells"][layer]])

    def tiles(self, layer: int, hit: np.ndarray | None) -> np.ndarray:
        """Transfer matrices of a layer's tiles; those that nothing hits are the healthy ones.

        Args:
            layer: which.
            hit: stuck pairs, (defects, seeds, rows, outputs); None for the healthy circuit.

        Returns:
            (defects, seeds, R, C, columns, rows) [S], without defects for the healthy circuit.
        """
        g = self.cut(layer)
        if hit is None:
            flat = g.reshape(-1, *TILE)
            none = np.zeros((len(flat), _HALF.rows, _HALF.cols), bool)
            return self._found(flat, none).reshape(*g.shape[:3], *TILE[::-1])
        stuck = np.stack([[_HALF.cut(each) for each in seeds] for seeds in hit])
        found = np.broadcast_to(self.healthy[layer], (len(hit), *self.healthy[layer].shape)).copy()
        some = stuck.any((-1, -2))
        cells = np.broadcast_to(g, (len(hit), *g.shape))
        if some.any():
            found[some] = self._found(cells[some], stuck[some])
        return found

    def tiles_of(self, layer: int) -> int:
        """Number of a layer's tiles."""
        return int(np.prod(TILING.grid(self.pairs[layer])))

    def filled(self, layer: int) -> tuple[int, int]:
        """Rows and outputs of a layer that its fullest tile holds."""
        rows, outputs = self.pairs[layer]
        return min(_HALF.rows, rows), min(_HALF.cols, outputs)

    def array(self, layer: int, hit: np.ndarray) -> Crossbar:
        """The first seed's first tile of a layer without what is beyond the matrix, in float64."""
        rows, outputs = self.filled(layer)
        stuck = _HALF.cut(hit)[0, 0, -rows:, :outputs]
        g = self.cut(layer)[0, 0, 0, -rows:, : 2 * outputs]
        return tile_array(jnp.asarray(g, float), jnp.asarray(stuck))

    def _found(self, g: np.ndarray, hit: np.ndarray) -> np.ndarray:
        return self.work.map(_tile, (g, hit))

    def matrices(self, layer: int, tiles: np.ndarray) -> np.ndarray:
        """Transfer matrices of tiles joined to those of layers, (..., columns, rows); float32."""
        flat = tiles.reshape(-1, *tiles.shape[-4:])
        joined = np.stack([TILING.joined(t, self.pairs[layer]) for t in flat])
        return joined.reshape(*tiles.shape[:-4], *joined.shape[1:]).astype(np.float32)

    @cached_property
    def joined(self) -> list[np.ndarray]:
        """Transfer matrix of each healthy layer, (seeds, columns, rows) [S]."""
        return [self.matrices(n, tiles) for n, tiles in enumerate(self.healthy)]

    @cached_property
    def entering(self) -> list[np.ndarray]:
        """What enters each layer of the healthy circuit, then its outputs, (seeds, n, ...)."""
        x = np.asarray(self._images)[self.labelled]
        return [x, *self._read(0, np.arange(self.seeds), tuple(self.joined), x)]

    def broken(self, layer: int, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What enters the last layer, and the outputs, of circuits with one layer broken.

        Args:
            layer: which.
            hit: stuck pairs, (defects, seeds, rows, outputs).

        Returns:
            (defects, seeds, n, ...) each.
        """
        own = self.matrices(layer, self.tiles(layer, hit))
        seeds = np.tile(np.arange(self.seeds), len(hit))
        rest = [np.concatenate([t] * len(hit)) for t in self.joined[layer + 1 :]]
        rows = (own.reshape(-1, *own.shape[2:]), *rest)
        found = self._read(layer, seeds, rows, self.entering[layer])
        last = found[-2] if len(found) > 1 else self.entering[layer][seeds]
        shape = len(hit), self.seeds
        return last.reshape(*shape, *last.shape[1:]), found[-1].reshape(
            *shape, *found[-1].shape[1:]
        )

    def _read(self, first: int, seeds: np.ndarray, matrices: Any, x: np.ndarray) -> Any:
        shared = self.params, self.mapped["k"], x
        return self.work.map(_reads(self.name, first), (seeds, matrices), shared=shared)


class TiledDefect(NamedTuple):
    """What is stuck: a shape over a share of the whole layer, or of one of its tiles."""

    extent: str
    shape: str
    coverage: float


def stuck_pairs(
    work: Workspace, layer: int, pairs: tuple[int, int], defects: Sequence[TiledDefect], seeds: int
) -> np.ndarray:
    """Which pairs of a layer each defect hits, at random places, (defects, seeds, rows, outputs).

    A defect within a tile lies in one that is as full as any of the layer.
    """
    rng = np.random.default_rng([work.settings.seed, layer, zlib.crc32(b"tiles")])
    keys, found = work.keys(f"tiled places {layer}", range(seeds)), []
    size = min(TILE[0], pairs[0]), min(TILE[1] // 2, pairs[1])
    for defect in defects:
        if defect.extent == "layer":
            found.append(np.asarray(_placed(keys, defect.shape, defect.coverage, pairs)))
            continue
        small = np.asarray(_placed(keys, defect.shape, defect.coverage, size))
        whole = np.zeros((seeds, *pairs), bool)
        for one, hit in zip(whole, small, strict=True):
            row, column = (n * rng.integers(m // n) for n, m in zip(size, pairs, strict=True))
            one[row : row + size[0], column : column + size[1]] = hit
        found.append(whole)
    return np.stack(found)


@program(static_argnames=("shape", "coverage", "pairs"))
def _placed(keys: Array, shape: str, coverage: float, pairs: tuple[int, int]) -> Array:
    return jax.vmap(lambda key: random_mask(shape, key, coverage).mask(pairs))(keys)
