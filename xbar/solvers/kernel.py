"""All steps of conjugate gradients in one kernel of a GPU: `CG(fused=True)`.

The ordinary loop fetches its vectors from the card's memory at each step, and a batch takes the
steps of its slowest array. Here one block of threads takes one array and one input through all
steps, and stops when that one is done; the grid runs over inputs and, under `vmap`, over arrays.
Written in Pallas and compiled by Triton, for CUDA alone: a CPU interprets it, for tests, and other
accelerators take the ordinary loop.

A step does what it does in `xbar.solvers.cg`. The lines are running sums (`Sums` in
`xbar.solvers.lines`), whatever their segments:

    word[j] = source sum(x) + sum_{k<=j} word_line[k] sum_{p>=k} x[p]

and bit lines the same from their sense ends. Triton sums forward alone, so that the sum from a cell
to the end is the whole line's less what lies before: it rounds to parts of the whole, as
`base.left_by` allows for.

Triton wants blocks of 2^n numbers. An array is cut into up to four (65x100 into 64x128 and 1x128),
and what is added on the right and below has no conductance, and below no resistance, so that
nothing there reaches the array.

Nothing here judges: what is left of the equation, and whether it is small enough, is found outside.
"""

import itertools
import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from xbar.solvers.base import Problem

# Cells, with those added, of the largest array that one block of threads takes: 128x128.
MOST_CELLS = 2**14
# Lines up to so long stay in one part: more parts are more code, and more waiting for each other.
WHOLE = 64
# Cells per thread, and the most warps (of 32 threads): in Triton's code for sm_90 these keep the
# most in registers at 32x32 and at 65x100 (benchmarks/log.md).
CELLS_PER_THREAD = 8
MOST_WARPS = 16


class Stops(NamedTuple):
    """When an array's steps end, besides its own target."""

    steps: int  # at most so many for each input
    look: int | None  # after which an input that is not on time stops; None to go on


class _Part(NamedTuple):
    """Some neighbouring rows or columns, and the power of two that holds them."""

    start: int
    padded: int


_Tile = tuple[_Part, _Part]


def _parts(n: int) -> list[_Part]:
    """One part, or two for long lines if that adds fewer: 65 are 64 and 1, 100 are 128."""
    whole = 1 << (n - 1).bit_length()
    first = whole // 2
    rest = 1 << max(n - first - 1, 0).bit_length()
    if n <= WHOLE or first + rest == whole:
        return [_Part(0, whole)]
    return [_Part(0, first), _Part(first, rest)]


def _cells(shape: tuple[int, ...]) -> int:
    """Cells of an array, counted with those added."""
    return math.prod(sum(part.padded for part in _parts(n)) for n in shape)


def _warps(shape: tuple[int, ...]) -> int:
    """A power of two, as Triton wants it."""
    enough = _cells(shape) // (32 * CELLS_PER_THREAD)
    return min(1 << max(enough.bit_length() - 1, 0), MOST_WARPS)


def fused(
    problem: Problem,
    start: Any,
    target: Array,
    on_time: Array,
    stops: Stops,
    loop: Callable[[], Any],
) -> Any:
    """The recurrence of `cg` from `start`, by the kernel where it can run; not preconditioned.

    Args:
        problem: the array.
        start: a NamedTuple: change so far, residual, last direction (n, rows, cols) [V]; squared
            residual, that of the step before (0 if the direction is not to be scaled), whether
            steps are due, steps so far (n,).
        target: squared residuals that are small enough (n,).
        on_time: those that are small enough when `stops` has a look (n,).
        stops: limits of the steps.
        loop: the ordinary way, for arrays that are too large and accelerators without CUDA.

    Returns:
        As `start`.
    """
    if _cells(problem.g.shape) > MOST_CELLS:
        return loop()

    def launched(interpret: bool) -> Any:
        return _launched(problem, start, (target, on_time), stops, interpret)

    ways = {"cpu": partial(launched, True), "cuda": partial(launched, False)}
    return lax.platform_dependent(**ways, default=loop)


def _launched(
    problem: Problem, start: Any, goals: tuple[Array, Array], stops: Stops, interpret: bool
) -> Any:
    """One block of threads for each input."""
    g, wires = problem.g, jax.tree.map(lambda x: x.astype(problem.g.dtype), problem.wires)
    ends = wires.source.reshape(-1, 1), wires.sense.reshape(1, -1)
    shared = g, jnp.atleast_2d(wires.word_line), jnp.atleast_2d(wires.bit_line), *ends
    own = *start[:-2], *(x.astype(jnp.int32) for x in start[-2:])
    whole = [pl.BlockSpec(x.shape, lambda k: (0, 0)) for x in shared]
    each = [pl.BlockSpec((None, *x.shape[1:]), _nth(x.ndim)) for x in (*own, *goals)]
    end = pl.pallas_call(
        partial(_kernel, g.shape, stops),
        grid=(len(goals[0]),),
        in_specs=[*whole, *each],
        out_specs=each[:-2],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in own],
        compiler_params=triton.CompilerParams(num_warps=_warps(g.shape), num_stages=1),
        interpret=interpret,
        name="conjugate_gradients",
    )(*shared, *own, *goals)
    return type(start)(*(x.astype(like.dtype) for x, like in zip(end, start, strict=True)))


def _nth(ndim: int) -> Callable[[Any], tuple]:
    return lambda k: (k,) + (0,) * (ndim - 1)


def _kernel(shape: tuple[int, ...], stops: Stops, *refs: Any) -> None:
    """Conjugate gradients for one array and one input, in the words of `recurrence.iterated`."""
    inputs, outputs = refs[:14], refs[14:]
    rows, cols = map(_parts, shape)
    tiles = list(itertools.product(rows, cols))
    g, word_line, bit_line, source, sense, change, residual, direction = (
        [_loaded(ref, tile) for tile in tiles] for ref in inputs[:8]
    )
    squared, before, active, first, target, on_time = (ref[...] for ref in inputs[8:])
    there = [_inside((shape[0], 1), tile) for tile in tiles]
    bit_line = _each(lambda inside, x: jnp.where(inside, x, 0), there, bit_line)
    drop = partial(_drop, len(cols), word_line, bit_line, source, sense)

    def step(run: tuple) -> tuple:
        change, residual, direction, squared, before, _, steps = run
        turn = jnp.where(before == 0, 1, squared / jnp.where(before == 0, 1, before))
        direction = _each(lambda r, p: r + turn * p, residual, direction)
        i_cell = _each(operator.mul, g, direction)
        image = _each(operator.add, direction, drop(i_cell))
        curvature = sum(jnp.sum(x) for x in _each(operator.mul, i_cell, image))
        length = squared / jnp.where(curvature == 0, 1, curvature)
        change = _each(lambda u, p: u + length * p, change, direction)
        residual = _each(lambda r, x: r - length * x, residual, image)
        left = sum(jnp.sum(x) for x in _each(lambda g, r: g * r * r, g, residual))
        due = left > target
        if stops.look is not None:
            due = due & ((steps - first != stops.look - 1) | (left <= on_time))
        return change, residual, direction, left, squared, due, steps + 1

    def unfinished(run: tuple) -> Array:
        *_, active, steps = run
        return active & (steps < stops.steps)

    start = change, residual, direction, squared, before, active != 0, first
    *voltages, squared, before, active, steps = lax.while_loop(unfinished, step, start)
    for ref, found in zip(outputs, voltages, strict=False):
        for tile, x in zip(tiles, found, strict=True):
            _store(ref, tile, x)
    ended = squared, before, active.astype(jnp.int32), steps
    for ref, x in zip(outputs[3:], ended, strict=True):
        ref[...] = x


def _each(function: Callable[..., Array], *tiles: list[Array]) -> list[Array]:
    return [function(*each) for each in zip(*tiles, strict=True)]


def _drop(
    cols: int, word_line: list, bit_line: list, source: list, sense: list, i_cell: list
) -> list[Array]:
    """What both kinds of lines take from the cells of each tile; `cols` tiles stand in a row."""
    found: list[Any] = [0] * len(i_cell)
    for k in range(0, len(i_cell), cols):
        row = slice(k, k + cols)
        behind, total = _up_to_end(i_cell[row], 1)
        lost, _ = _from_start(_each(operator.mul, word_line[row], behind), 1)
        found[row] = [x + source[k] * total for x in lost]
    for k in range(cols):
        col = slice(k, None, cols)
        behind, total = _from_start(i_cell[col], 0)
        lost, _ = _up_to_end(_each(operator.mul, bit_line[col], behind), 0)
        found[col] = [y + (x + sense[k] * total) for x, y in zip(lost, found[col], strict=True)]
    return found


def _from_start(parts: list[Array], axis: int) -> tuple[list[Array], Array]:
    """Running sums along lines in parts, and the whole lines' sums."""
    *before, total = itertools.accumulate(_sums(parts, axis))
    found = [lax.cumsum(x, axis) for x in parts]
    return [found[0], *_each(operator.add, before, found[1:])], total


def _up_to_end(parts: list[Array], axis: int) -> tuple[list[Array], Array]:
    """The same from the other end."""
    own = _sums(parts, axis)
    *behind, total = itertools.accumulate(reversed(own))
    found = _each(lambda x, whole: whole - lax.cumsum(x, axis) + x, parts, own)
    return [*_each(operator.add, behind[::-1], found[:-1]), found[-1]], total


def _sums(parts: list[Array], axis: int) -> list[Array]:
    return [jnp.sum(x, axis=axis, keepdims=True) for x in parts]


def _places(shape: tuple[int, ...], tile: _Tile) -> tuple[Array, Array]:
    """Rows (n, 1) and columns (1, n) of a tile; along an axis of 1 all tiles share one place."""

    def along(axis: int) -> Array:
        sizes = [1, 1]
        sizes[axis] = 1 if shape[axis] == 1 else tile[axis].padded
        place = lax.broadcasted_iota(jnp.int32, sizes, axis)
        return place if shape[axis] == 1 else tile[axis].start + place

    return along(0), along(1)


def _inside(shape: tuple[int, ...], tile: _Tile) -> Array:
    """Which places of a tile are there in an array of a shape."""
    row, col = _places(shape, tile)
    return (row < shape[0]) & (col < shape[1])


def _loaded(ref: Any, tile: _Tile) -> Array:
    """A tile's numbers, zero where it has more places than the array."""
    block = ref.at[_places(ref.shape, tile)]
    return triton.load(block, mask=_inside(ref.shape, tile), other=0.0)


def _store(ref: Any, tile: _Tile, x: Array) -> None:
    triton.store(ref.at[_places(ref.shape, tile)], x, mask=_inside(ref.shape, tile))
