"""Lines that are broken or touch each other.

A broken segment cuts its line: what lies behind it hangs on the line's other end, where there is a
driver, or floats, held by its cells alone, and still carries sneak current. A bridge joins two
nodes of any two lines through a resistance, which may be 0 (a short).
"""

from typing import Any, Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.checks import as_real, booleans, check_kind, check_shape, is_concrete

LineKind = Literal["word", "bit"]
Node = tuple[str, Any, Any]


class Bridge(eqx.Module):
    """A resistance between two nodes of an array.

    Args:
        a: a node, ("word", i, j) or ("bit", i, j): the word- or bit-line node of cell (i, j). The
            kind is static; i and j may be traced.
        b: the other.
        r: resistance between them [ohm], finite and >= 0; 0 (default) is a short. May be traced.

    Raises:
        ValueError: no such kind of line, a negative place, or a resistance that is negative or not
            finite.
        TypeError: a node that is not a kind and two integers.

    Example:
        >>> short = Bridge(("word", 2, 5), ("word", 3, 5), r=20.0)
    """

    i_a: Array
    j_a: Array
    i_b: Array
    j_b: Array
    r: Array
    kind_a: str = eqx.field(static=True)
    kind_b: str = eqx.field(static=True)

    def __init__(self, a: Node, b: Node, r: Any = 0.0):
        self.kind_a, self.i_a, self.j_a = _node("Bridge.a", a)
        self.kind_b, self.i_b, self.j_b = _node("Bridge.b", b)
        self.r = as_real("Bridge.r", r)
        if self.r.ndim:
            raise ValueError(f"Bridge.r: got shape {self.r.shape}, needs one number")
        if is_concrete(r) and not (np.isfinite(r) and float(r) >= 0):
            raise ValueError(
                f"Bridge.r: got {float(r)}, needs a finite resistance >= 0 [ohm]; "
                "where nothing joins the nodes, leave the bridge out"
            )

    @property
    def ends(self) -> tuple[tuple[str, Array, Array], tuple[str, Array, Array]]:
        """The two nodes: kind, row, column."""
        return (self.kind_a, self.i_a, self.j_a), (self.kind_b, self.i_b, self.j_b)


def _node(name: str, node: Any) -> tuple[str, Array, Array]:
    if not (isinstance(node, tuple | list) and len(node) == 3 and isinstance(node[0], str)):
        raise TypeError(f'{name}: got {node!r}, needs ("word", i, j) or ("bit", i, j)')
    kind, *places = node
    if kind not in get_args(LineKind):
        raise ValueError(f'{name}: got {kind!r}, needs "word" or "bit"')
    found = []
    for place in places:
        array = jnp.asarray(place)
        if array.ndim or not jnp.issubdtype(array.dtype, jnp.integer):
            raise TypeError(f"{name}: got {place!r}, needs a row and a column, integers")
        if is_concrete(place) and int(place) < 0:
            raise ValueError(f"{name}: got {int(place)}, needs a place >= 0")
        found.append(array)
    return kind, *found


class LineFaults(eqx.Module):
    """Broken segments and bridges of an array's lines.

    ```python
    broken = np.zeros((array.rows, array.cols), bool)
    broken[1, 2] = True  # the segment left of cell (1, 2)
    faulty = xb.Crossbar(g, wires, line_faults=xb.LineFaults(word_open=broken))
    ```

    Args:
        word_open: booleans (rows, cols), True where the segment to the left of the cell is broken
            (at column 0: the line's driver is cut off). None for no such fault.
        bit_open: booleans (rows, cols), True where the segment below the cell is broken (in the
            last row: the amplifier is cut off).
        bridges: any number of `Bridge`; their number and kinds are static.
        max_open: how many segments of each kind of line may be broken at most, for which room is
            made where the masks are traced (under `jit` and `vmap`); None makes room for as many as
            there are where the masks are known, else for rows + cols. A result with more is marked.

    Raises:
        TypeError: masks that are not booleans, or bridges that are no `Bridge`.
        ValueError: a mask that is not (rows, cols).

    Masks, places and resistances may be traced, so that one compiled program serves any number of
    chips with different faults.
    """

    word_open: Array | None
    bit_open: Array | None
    bridges: tuple[Bridge, ...]
    max_open: int | None = eqx.field(static=True)

    def __init__(
        self,
        word_open: Any = None,
        bit_open: Any = None,
        bridges: Any = (),
        max_open: int | None = None,
    ):
        self.word_open = booleans("LineFaults.word_open", word_open, 2)
        self.bit_open = booleans("LineFaults.bit_open", bit_open, 2)
        bridges = (bridges,) if isinstance(bridges, Bridge) else tuple(bridges)
        for bridge in bridges:
            check_kind("LineFaults.bridges", bridge, Bridge, "xbar.Bridge")
        self.bridges = bridges
        if max_open is not None and not (isinstance(max_open, int) and max_open >= 0):
            raise ValueError(f"LineFaults.max_open: got {max_open!r}, needs an integer >= 0")
        self.max_open = max_open

    def check(self, rows: int, cols: int) -> None:
        """Raise where a mask or a place does not fit an array of (rows, cols)."""
        for name, mask in (("word_open", self.word_open), ("bit_open", self.bit_open)):
            if mask is not None:
                allowed = {"(rows, cols)": (rows, cols)}
                check_shape(f"LineFaults.{name}", mask.shape, allowed)
        for number, bridge in enumerate(self.bridges):
            for end, (kind, i, j) in zip("ab", bridge.ends, strict=True):
                if is_concrete(i, j) and not (int(i) < rows and int(j) < cols):
                    raise ValueError(
                        f"LineFaults.bridges[{number}].{end}: got ({kind!r}, {int(i)}, {int(j)}), "
                        f"needs a node of a {rows}x{cols} array"
                    )
