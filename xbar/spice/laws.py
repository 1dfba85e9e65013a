"""Cell laws as SPICE elements between a word-line and a bit-line node.

::

    Ohmic                     R            0 S is no element
    Sinh, Stanford, Selector  B y = sinh(v(cell) / scale), then G = amplitude v(y)
    Polynomial                G = c_1 v(cell), and for each power B y = v(cell) v(cell) ..., G = c_k
    Transistor                M, level 1, its gate held above the bit-line node by a voltage source
    Series                    both parts, and a node between them
    Where                     the law in force

ngspice rewrites the numbers in a behavioural source with 11 digits, which alone would cost 1e-11.
So amplitudes and coefficients are those of linear controlled sources, and so is a scale that has
more digits (E x = v(cell) / scale, then B y = sinh(v(x))).

An open cell is no element; nor is a series of which one part is open, whose inner node would float.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xbar import cells
from xbar.cells import AbstractCell
from xbar.spice.text import number

# Newton's iteration goes on until nothing moves. Tighter than 1e-9 it may never end. A conductance
# at every transistor, which ngspice adds to help itself, would be seen at its usual 1e-12 S.
OPTIONS = ".options reltol=1e-9 abstol=1e-18 vntol=1e-14 gmin=1e-24 itl1=500"
# ngspice works out each transistor's current from its own W / L, so that one model serves all.
MODEL = ".model xbar_nmos nmos level=1 vto=0 kp=1 lambda=0 gamma=0 phi=0.6 is=1e-40"

Place = tuple[int, int]


class Writer(NamedTuple):
    """How the cells of a law are written.

    Args:
        open: cells that carry no current at any voltage, (rows, cols).
        lines: from a name, the nodes at word and bit line, and a cell's place, to its elements.
        transistors: whether `MODEL` is needed.
    """

    open: np.ndarray
    lines: Callable[[str, str, str, Place], list[str]]
    transistors: bool = False


def writer_of(law: AbstractCell, shape: Place) -> Writer:
    """How the cells of a law, whose numbers are NumPy's float64, are written.

    Raises:
        ValueError: a law that is not one of `xbar.cells`.
    """

    def full(x: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(x, float), shape)

    if isinstance(law, cells.Ohmic):
        return _resistors(full(law.g))
    if isinstance(law, cells.Sinh):
        return _sinh(full(law.g) * full(law.v_0), full(law.v_0))
    if isinstance(law, cells.Stanford):
        return _sinh(full(law.amplitude), full(law.v_0))
    if isinstance(law, cells.Selector):
        return _sinh(full(law.i_s), full(law.v_s))
    if isinstance(law, cells.Polynomial):
        return _polynomial([full(c) for c in law.coefficients])
    if isinstance(law, cells.Transistor):
        return _transistors(full(law.beta), full(law.v_ov))
    if isinstance(law, cells.Series):
        return _in_series(writer_of(law.a, shape), writer_of(law.b, shape))
    if isinstance(law, cells.Where):
        mask = np.broadcast_to(np.asarray(law.mask), shape)
        return _where(mask, writer_of(law.a, shape), writer_of(law.b, shape))
    raise ValueError(
        f"Crossbar.cells: got a law {type(law).__name__}, which has no netlist; needs laws of "
        "xbar.cells"
    )


def in_float64(law: AbstractCell) -> AbstractCell:
    """The law with its real numbers as NumPy's float64, so that JAX's 64-bit mode is not asked."""

    def cast(x: Any) -> Any:
        x = np.asarray(x)
        return x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(cast, law)


def current_of(law: AbstractCell, u: np.ndarray) -> np.ndarray:
    """Currents of a law at voltages (rows, cols, n)."""
    with jax.enable_x64(True):
        found = law.current(jnp.moveaxis(jnp.asarray(u), -1, 0))
        return np.moveaxis(np.asarray(found), 0, -1)


def _resistors(g: np.ndarray) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        return [f"R{name} {word} {bit} {number(1 / g[at])}"]

    return Writer(g == 0, lines)


def _sinh(amplitude: np.ndarray, scale: np.ndarray) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        text, x, y = f"{float(scale[at]):.10e}", f"{name}_x", f"{name}_y"
        through = f"G{name} {word} {bit} {y} 0 {number(amplitude[at])}"
        if float(text) == scale[at]:
            return [f"B{name} {y} 0 v = sinh(v({word},{bit})/{text})", through]
        return [
            f"E{name} {x} 0 {word} {bit} {number(1 / scale[at])}",
            f"B{name} {y} 0 v = sinh(v({x}))",
            through,
        ]

    return Writer(amplitude == 0, lines)


def _polynomial(coefficients: list[np.ndarray]) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        found = []
        for power, c in enumerate(coefficients, start=1):
            c_, y, across = float(c[at]), f"{name}_{power}", f"v({word},{bit})"
            if c_ == 0:
                continue
            control = f"{word} {bit}" if power == 1 else f"{y} 0"
            if power > 1:
                found.append(f"B{name}_{power} {y} 0 v = {'*'.join([across] * power)}")
            found.append(f"G{name}_{power} {word} {bit} {control} {number(c_)}")
        return found

    return Writer(np.all(np.stack(coefficients) == 0, axis=0), lines)


def _transistors(beta: np.ndarray, v_ov: np.ndarray) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        gate = f"{name}_gate"
        return [
            f"V{name} {gate} {bit} {number(v_ov[at])}",
            f"M{name} {word} {gate} {bit} {bit} xbar_nmos w={number(beta[at])} l=1",
        ]

    return Writer(beta == 0, lines, transistors=True)


def _in_series(a: Writer, b: Writer) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        between = f"{name}_m"
        return [
            *a.lines(f"{name}a", word, between, at),
            *b.lines(f"{name}b", between, bit, at),
        ]

    return Writer(a.open | b.open, lines, a.transistors or b.transistors)


def _where(mask: np.ndarray, a: Writer, b: Writer) -> Writer:
    def lines(name: str, word: str, bit: str, at: Place) -> list[str]:
        return (a if mask[at] else b).lines(name, word, bit, at)

    return Writer(np.where(mask, a.open, b.open), lines, a.transistors or b.transistors)
