"""What the circuit is: one array of cells between word lines and bit lines.

::

    v_in[i] --source[i]--word_line[i,0]--W[i,0]--word_line[i,1]--W[i,1]-- ...   (far end open)
                                          |                       |
                                       g[i,0]                  g[i,1]
                                          |                       |
                                        B[i,0]                  B[i,1]
                                          |                       |
                                   bit_line[i,0]           bit_line[i,1]    (segment below)
                                          |                       |
                                       B[i+1,0]                B[i+1,1]
                                         ...                     ...
                              B[rows-1,j]--bit_line[rows-1,j]--sense[j]--0 V  (virtual ground)

`W` are the word-line nodes (`v_word`), `B` the bit-line nodes (`v_bit`). A cell's current flows
from W to B; the output current of column j flows through `sense[j]` into the virtual ground.
Every resistance and every conductance may be exactly zero. SI units throughout.

Lines may also have drivers at their far ends (`Wires.source_far` on the last node of each word
line, `Wires.sense_far` on the first of each bit line), be broken, or touch (`LineFaults`); what is
at their ends in one operation says a `Bias`.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from xbar.cells import AbstractCell, Ohmic
from xbar.checks import (
    as_real,
    check_kind,
    check_literal,
    check_shape,
    checked,
    is_concrete,
    warn_of_ohms,
)
from xbar.circuit.geometry import resistance_at_node, segment_resistance
from xbar.circuit.line_faults import LineFaults
from xbar.fields import described, extent

_CELLS = ("row", "column")


class Wires(eqx.Module):
    """Resistances of the lines around an array [ohm]; all default to zero.

    ```python
    wires = xb.Wires(word_line=1.0, bit_line=2.5, source=50.0, sense=10.0)  # ohm
    ```

    Args:
        word_line: segment to the left of each cell; a scalar, (rows, 1), (1, cols) or (rows, cols).
        bit_line: segment below each cell; the same shapes.
        source: output resistance of each row's driver; a scalar or (rows,).
        sense: input resistance of each column's amplifier; a scalar or (cols,).
        source_far: resistance of a driver on the last node of each word line; a scalar or (rows,).
            None (default) leaves the far ends open.
        sense_far: resistance of a driver on the first (top) node of each bit line; a scalar or
            (cols,). None (default) leaves the far ends open.

    Raises:
        ValueError: a negative, infinite or NaN literal, or a shape that no array could have.
            Values inside arrays are looked at when the circuit is solved.
    """

    word_line: Array = eqx.field(
        metadata=described("ohm", _CELLS, "word-line segment left of each cell")
    )
    bit_line: Array = eqx.field(
        metadata=described("ohm", _CELLS, "bit-line segment below each cell")
    )
    source: Array = eqx.field(metadata=described("ohm", ("row",), "of each row's driver"))
    sense: Array = eqx.field(metadata=described("ohm", ("column",), "of each column's amplifier"))
    source_far: Array | None = eqx.field(
        metadata=described("ohm", ("row",), "of each row's driver at its far end")
    )
    sense_far: Array | None = eqx.field(
        metadata=described("ohm", ("column",), "of each column's driver at its far end")
    )

    def __init__(
        self,
        word_line: Any = 0.0,
        bit_line: Any = 0.0,
        source: Any = 0.0,
        sense: Any = 0.0,
        source_far: Any = None,
        sense_far: Any = None,
    ):
        self.source_far = self.sense_far = None
        named = {
            "word_line": word_line,
            "bit_line": bit_line,
            "source": source,
            "sense": sense,
            **({} if source_far is None else {"source_far": source_far}),
            **({} if sense_far is None else {"sense_far": sense_far}),
        }
        for name, value in named.items():
            _check_finite(name, value)
            check_literal(f"Wires.{name}", value, unit="ohm")
            array = as_real(f"Wires.{name}", value)
            per_cell = name in ("word_line", "bit_line")
            if array.ndim not in ((0, 2) if per_cell else (0, 1)):
                needs = "a scalar or (rows, cols)" if per_cell else "a scalar or one per line"
                raise ValueError(f"Wires.{name}: got shape {array.shape}, needs {needs}")
            setattr(self, name, array)

    def __repr__(self) -> str:
        there = {name: r for name, r in vars(self).items() if r is not None}
        if not all(isinstance(r, Array) and is_concrete(r) and r.size for r in there.values()):
            return eqx.tree_pformat(self)
        ohm = ", ".join(f"{name} {extent(r)}" for name, r in there.items())
        return f"Wires({ohm} [ohm])"

    @staticmethod
    def from_geometry(
        width: Any,
        thickness: Any,
        pitch_word: Any,
        pitch_bit: Any,
        rho: Any,
        barrier: Any = 0.0,
        **ends: Any,
    ) -> "Wires":
        """Wires of metal lines of one cross-section, r = rho_eff pitch / (width thickness).

        Args:
            width: of the lines, () [m].
            thickness: of the lines, () [m].
            pitch_word: from cell to cell along a word line, () [m].
            pitch_bit: from cell to cell along a bit line, () [m].
            rho: resistivity of the metal, () [ohm m]; copper's in a thin line, not in bulk.
            barrier: thickness of the barrier on two sides and the bottom, () [m].
            ends: the other resistances of `Wires`, such as `source` and `sense` [ohm].

        Returns:
            The wires.

        Raises:
            ValueError: a concrete number that is not above 0, or a barrier that leaves no metal.
        """
        word, bit = (
            segment_resistance(pitch, width, thickness, rho, barrier)
            for pitch in (pitch_word, pitch_bit)
        )
        return Wires(word, bit, **ends)

    @staticmethod
    def at_node(nm: int, cell: Any = "4F2", table: str = "neurosim-1.4", **ends: Any) -> "Wires":
        """Wires of a technology node, by published tables of its lines.

        | table | nodes [nm] | ohm per 4F2 cell |
        |---|---|---|
        | neurosim-1.4 (default) | 130 to 1 | 65: 0.30, 32: 0.64, 22: 0.93, 14: 1.26, 7: 2.78 |
        | neurosim-1.3 | 130 to 7 | 65: 0.30, 32: 0.73, 22: 1.06, 14: 2.03, 7: 3.53 |

        Sources: Param.cpp of DNN_NeuroSim V1.4 (with the barrier's thickness) and V1.3 (whose
        resistivities hold it). F is the width of a line, not the node's name.

        Args:
            nm: technology node [nm], a key of `xbar.circuit.geometry.TABLES[table]`.
            cell: "4F2" for a crossbar's 2F x 2F, "1T1R" for 12F along the word line and 4F along
                the bit line, or two pitches of your own in F, word line first.
            table: which.
            ends: the other resistances of `Wires`, such as `source` and `sense` [ohm].

        Returns:
            The wires.

        Raises:
            ValueError: an unknown node, cell or table.
        """
        return Wires(*resistance_at_node(nm, cell, table), **ends)

    @property
    def leaves(self) -> dict[str, Array]:
        """The resistances by name: four, and those of the far ends' drivers where there are any."""
        far = {"source_far": self.source_far, "sense_far": self.sense_far}
        return {
            "word_line": self.word_line,
            "bit_line": self.bit_line,
            "source": self.source,
            "sense": self.sense,
            **{name: leaf for name, leaf in far.items() if leaf is not None},
        }


# Where a resistance without end is meant, what to write instead.
_CURES = {
    "word_line": "a broken segment is a LineFaults.word_open of the array",
    "bit_line": "a broken segment is a LineFaults.bit_open of the array",
    "source": "a line without its driver is a Bias.word_floats",
    "sense": "a line without its amplifier is a Bias.bit_floats",
    "source_far": "None leaves the far ends open, a Bias.word_far_floats some of them",
    "sense_far": "None leaves the far ends open, a Bias.bit_far_floats some of them",
}


def _check_finite(name: str, value: Any) -> None:
    if isinstance(value, int | float) and value == float("inf"):
        raise ValueError(f"Wires.{name}: got inf, needs a finite value >= 0 [ohm]; {_CURES[name]}")


class Crossbar(eqx.Module):
    """One crossbar array: its cells and the wires around them.

    Args:
        cells: conductances (rows, cols) [S], each finite and >= 0, or a law from `xbar.cells`.
        wires: line resistances [ohm]; none by default.
        line_faults: broken and bridged lines; none by default.

    Raises:
        ValueError: the cells are not (rows, cols) or there are none, or a wire's or fault's shape
            does not fit them.
        TypeError: `cells` is neither real numbers nor a law, or `wires` is not a `Wires`,
            `line_faults` not a `LineFaults`.

    A batch of arrays is built under `jax.vmap` (or `equinox.filter_vmap`), one `Crossbar` each.
    Conductances above 1 S are taken, with a warning: they are mostly ohms (`from_resistances`).

    ```python
    array = Crossbar([[1e-4, 1e-5], [1e-6, 1e-4]], Wires(word_line=1.0, bit_line=1.0))
    ```
    """

    cells: AbstractCell
    wires: Wires
    line_faults: LineFaults | None

    def __init__(
        self, cells: Any, wires: Wires | None = None, line_faults: LineFaults | None = None
    ):
        self.wires = Wires() if wires is None else wires
        check_kind("Crossbar.wires", self.wires, Wires, "xbar.Wires")
        law = isinstance(cells, AbstractCell)
        given = cells if law else as_real("Crossbar.g", cells)
        shape = _shape_of(cells) if law else given.shape
        if len(shape) != 2 or 0 in shape:
            name = "Crossbar.cells" if law else "Crossbar.g"
            raise ValueError(
                f"{name}: got shape {shape}, needs (rows, cols) with at least one cell; "
                "build batches of arrays under jax.vmap"
            )
        self.cells = cells if law else Ohmic(given)
        if not law:
            warn_of_ohms("Crossbar.g", given, "xbar.Crossbar.from_resistances")
        self._check_wires()
        self.line_faults = line_faults
        if line_faults is not None:
            check_kind("Crossbar.line_faults", line_faults, LineFaults, "xbar.LineFaults")
            line_faults.check(*shape)

    @staticmethod
    def from_resistances(r: Any, wires: Wires | None = None) -> "Crossbar":
        """The array whose cells have these resistances.

        Args:
            r: cell resistances (rows, cols) [ohm], each > 0; infinite for an open cell.
            wires: as for `Crossbar`.

        Returns:
            The array, with conductances ``1 / r``.

        Raises:
            TypeError, ValueError: as `Crossbar`, or a concrete resistance is not above 0.
        """
        r_ = checked("r", r, "resistances > 0 [ohm], infinite for an open cell", lambda r: r > 0, 2)
        return Crossbar(1 / r_, wires)

    def _check_wires(self) -> None:
        rows, cols = self.rows, self.cols
        lines = {
            "a scalar": (),
            "(rows, 1)": (rows, 1),
            "(1, cols)": (1, cols),
            "(rows, cols)": (rows, cols),
        }
        check_shape("Wires.word_line", self.wires.word_line.shape, lines)
        check_shape("Wires.bit_line", self.wires.bit_line.shape, lines)
        for name, leaf in self.wires.leaves.items():
            if name.startswith("source"):
                check_shape(f"Wires.{name}", leaf.shape, {"a scalar": (), "(rows,)": (rows,)})
            if name.startswith("sense"):
                check_shape(f"Wires.{name}", leaf.shape, {"a scalar": (), "(cols,)": (cols,)})

    @property
    def g(self) -> Any:  # an Array, but for the markers of equinox.tree_at
        """Conductances of the cells (rows, cols) [S].

        Raises:
            ValueError: the cells are not linear.
        """
        if isinstance(self.cells, Ohmic):
            return self.cells.g
        if self.cells.linear:
            return self.cells.slope(jnp.zeros((), self.cells.dtype))
        raise ValueError(
            f"Crossbar.g: got {type(self.cells).__name__} cells, which have no one conductance; "
            "needs linear cells, such as those of xbar.linearise(array, v_in)"
        )

    @property
    def rows(self) -> int:
        """Number of word lines."""
        return self.cells.shape[-2]

    @property
    def cols(self) -> int:
        """Number of bit lines."""
        return self.cells.shape[-1]

    @property
    def dtype(self) -> jnp.dtype:
        """Precision that the array's own numbers ask for."""
        return jnp.result_type(self.cells.dtype, *self.wires.leaves.values())

    @property
    def is_plain(self) -> bool:
        """Whether every line is whole and by itself, with a driver at its near end alone."""
        wires = self.wires
        return wires.source_far is None and wires.sense_far is None and self.line_faults is None


def _shape_of(cells: AbstractCell) -> tuple[int, ...]:
    """Shape of a law's cells, or one sentence about why it has none."""
    try:
        return cells.shape
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"Crossbar.cells: got {type(cells).__name__} whose parameters do not fit together, "
            f"needs scalars and (rows, cols) ({reason})"
        ) from None
