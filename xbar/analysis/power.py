"""Where the power of an array goes: what its drivers give is what its resistances take.

Each cell takes i u, each line segment r i^2 with the current of all that is drawn behind it, less
what a far driver sends. Since node voltages are running sums of these currents (`xbar.Solution`),
the parts add up to what the drivers give, `p_total`, to rounding, whatever is left of the cells'
own law (Tellegen's theorem). A broken segment carries nothing, so a piece of a line without a
driver is fed by its cells and bridges alone.
"""

from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.checks import check_kind, checked, finite_from_0
from xbar.circuit import Crossbar, Solution
from xbar.programs import program
from xbar.solvers.lines import BIT, WORD, running_sum


class Power(eqx.Module):
    """Power taken by every element, [W]; `n` is there where the inputs were (rows, n).

    ```python
    parts = xb.power(array, xb.solve(array, v_in))
    print(parts.cells.sum(), parts.word_lines.sum())  # watt
    ```

    Attributes:
        cells: (rows, cols) or (rows, cols, n).
        word_lines: by the segment left of each cell, same shape.
        bit_lines: by the segment below each cell, same shape.
        drivers: by each driver's output resistance, (rows,) or (rows, n).
        amplifiers: by each amplifier's input resistance, (cols,) or (cols, n).
        far_drivers: by the drivers' resistances at the word lines' far ends, as `drivers`; None
            where there are none.
        far_amplifiers: by those at the bit lines' far ends, as `amplifiers`; None likewise.
        bridges: by each bridge, (bridges,) or (bridges, n); None where there are none.
    """

    cells: Float[Array, "rows cols *n"]
    word_lines: Float[Array, "rows cols *n"]
    bit_lines: Float[Array, "rows cols *n"]
    drivers: Float[Array, "rows *n"]
    amplifiers: Float[Array, "cols *n"]
    far_drivers: Float[Array, "rows *n"] | None = None
    far_amplifiers: Float[Array, "cols *n"] | None = None
    bridges: Float[Array, "bridges *n"] | None = None

    @property
    def parts(self) -> dict[str, Float[Array, "*n"]]:
        """Sum over each kind of element that there is, by name, () or (n,) [W]."""
        found = {}
        for name in (field.name for field in fields(self)):
            axes = (0, 1) if name in ("cells", "word_lines", "bit_lines") else (0,)
            if (taken := getattr(self, name)) is not None:
                found[name] = jnp.sum(taken, axis=axes)
        return found

    @property
    def total(self) -> Float[Array, "*n"]:
        """Sum of all, the power that the drivers give, () or (n,) [W]."""
        return jnp.sum(jnp.stack(list(self.parts.values())), axis=0)

    def energy(self, seconds: Any) -> Float[Array, "*n"]:
        """Energy of a read of a given duration, that of the array alone.

        Args:
            seconds: how long the inputs are held, () [s].

        Returns:
            Energy, () or (n,) [J]: without converters, amplifiers' supplies, and the charging of
            lines.

        Raises:
            ValueError: a concrete time that is negative or not finite.
        """
        t = checked("seconds", seconds, "a finite time >= 0 [s]", finite_from_0, 0)
        return self.total * t


def power(array: Crossbar, sol: Solution) -> Power:
    """Power by cells, word lines, bit lines, drivers, amplifiers' inputs, far ends and bridges.

    Under `jit` and `vmap`, differentiable through the solution.

    ```python
    sol = xb.solve(array, v_in)
    taken = xb.power(array, sol)
    taken.parts["word_lines"], taken.total, taken.energy(10e-9)
    ```

    Args:
        array: the circuit.
        sol: its solution, `xbar.solve(array, v_in)` or `xbar.solve(array, bias)`.

    Returns:
        The `Power`; its parts add up to `sol.p_total`.

    Raises:
        TypeError: no array, or no solution.
        ValueError: a solution of another array's shape.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    check_kind("sol", sol, Solution, "what xbar.solve returns")
    if sol.i_cell.shape[:2] != (array.rows, array.cols):
        raise ValueError(
            f"sol: got that of a {sol.i_cell.shape[0]} x {sol.i_cell.shape[1]} array, needs "
            f"{array.rows} x {array.cols}"
        )
    return _power(array, sol)


@program()
def _power(array: Crossbar, sol: Solution) -> Power:
    single = sol.i_cell.ndim == 2
    # Inputs first, as the solvers have them; one input has no axis of its own.
    sol = sol if single else jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0) if x.ndim else x, sol)
    i, u = sol.i_cell, sol.v_word - sol.v_bit
    if sol.terminals is not None:
        # No current flows where a potential is undefined.
        u = jnp.where(jnp.isnan(u), 0, u)
    r = {name: leaf.astype(i.dtype) for name, leaf in array.wires.leaves.items()}
    word, bit = _segments(array, sol)
    ends = sol.terminals
    near = (word[..., :, 0], bit[..., -1, :]) if ends is None else (ends.word, sol.i_out)
    parts = {
        "cells": i * u,
        "word_lines": r["word_line"] * word**2,
        "bit_lines": r["bit_line"] * bit**2,
        "drivers": r["source"] * near[0] ** 2,
        "amplifiers": r["sense"] * near[1] ** 2,
    }
    if ends is not None:
        if ends.word_far is not None:
            parts["far_drivers"] = r["source_far"] * ends.word_far**2
        if ends.bit_far is not None:
            parts["far_amplifiers"] = r["sense_far"] * ends.bit_far**2
        if ends.bridge is not None and array.line_faults is not None:
            ohms = jnp.stack([b.r for b in array.line_faults.bridges]).astype(i.dtype)
            parts["bridges"] = ohms * ends.bridge**2
    return Power(**(parts if single else {k: jnp.moveaxis(p, 0, -1) for k, p in parts.items()}))


def _segments(array: Crossbar, sol: Solution) -> tuple[Array, Array]:
    """Currents of the segments left of and below each cell, inputs first [A]."""
    drawn = [sol.i_cell, sol.i_cell]  # from word-line nodes, to bit-line nodes
    faults, ends = array.line_faults, sol.terminals
    if ends is None:
        word, bit = drawn
        return running_sum(word, WORD, reverse=True), running_sum(bit, BIT, reverse=False)
    for k, bridge in enumerate(() if faults is None else faults.bridges):
        assert ends.bridge is not None
        # From node a to node b; what is drawn from a bit line is not given to it.
        for (kind, i, j), sign in zip(bridge.ends, (1, -1), strict=True):
            side, way = (0, sign) if kind == "word" else (1, -sign)
            drawn[side] = drawn[side].at[..., i, j].add(way * ends.bridge[..., k])
    opens = (None, None) if faults is None else (faults.word_open, faults.bit_open)
    fars = (ends.word_far, None if ends.bit_far is None else -ends.bit_far)
    word = _behind(drawn[0], opens[0], fars[0])
    up = [None if x is None else jnp.flip(x.mT, -1) for x in (drawn[1], opens[1])]
    assert up[0] is not None
    return word, jnp.flip(_behind(up[0], up[1], fars[1]), -1).mT


def _behind(drawn: Array, broken: Array | None, far: Array | None) -> Array:
    """Current of the segment in front of each node, lines last but one, from their near ends on.

    It is what the nodes from there on to the line's next gap draw, less what a driver at the far
    end sends into the piece.
    """
    if far is not None:
        drawn = drawn.at[..., -1].add(-far)
    if broken is None:
        return running_sum(drawn, WORD, reverse=True)

    def onward(behind: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        own, cut = at
        through = own + behind
        kept = jnp.where(cut, 0, through)
        return kept, kept

    along = jnp.moveaxis(drawn, -1, 0), jnp.moveaxis(broken, -1, 0)
    found = lax.scan(onward, jnp.zeros_like(drawn[..., 0]), along, reverse=True)[1]
    return jnp.moveaxis(found, 0, -1)
