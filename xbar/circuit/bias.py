"""One operation of an array: the voltage at every end of every line, and which ends float."""

from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from xbar.checks import as_real, booleans, check_word, is_concrete

Unselected = Literal["grounded", "floating"]


class Drivers(NamedTuple):
    """Voltages of an array's drivers for n inputs [V]; None where there is no such driver."""

    word: Array  # (n, rows)
    bit: Array  # (n, cols)
    word_far: Array | None
    bit_far: Array | None

    @property
    def present(self) -> list[Array]:
        """Those that there are."""
        return [v for v in self if v is not None]


class Bias(eqx.Module):
    """Voltages at the ends of an array's lines [V].

    Args:
        word: at the word lines' near (left) ends, a scalar, (rows,) or (rows, n).
        bit: at the bit lines' sense (bottom) ends, a scalar, (cols,) or (cols, n); 0 by default.
        word_far: at the word lines' far (right) ends, where `Wires.source_far` is a driver there;
            None (default) takes the near end's voltage.
        bit_far: at the bit lines' far (top) ends, where `Wires.sense_far` is a driver there; the
            same.
        word_floats: booleans (rows,), True for a word line whose near driver is disconnected. Its
            voltage in `word` is not looked at.
        bit_floats: booleans (cols,), True for a bit line whose amplifier is disconnected.
        word_far_floats: booleans (rows,), as `word_floats` for the drivers at the far ends, where
            there are any.
        bit_far_floats: booleans (cols,), as `bit_floats` for the far ends.

    Raises:
        TypeError: voltages that are not real numbers, masks that are not booleans.
        ValueError: too many axes. Sizes are checked against the array when it is solved.

    Example:
        >>> write = Bias.half_select(64, 64, v=2.0, row=3, col=5)
        >>> sneak = Bias.read(64, 64, v=0.2, row=3, col=5, unselected="floating")
        >>> columns_driven = Bias(word=0.0, bit=jnp.linspace(0.0, 0.2, 64))  # read at i_word
    """

    word: Array
    bit: Array
    word_far: Array | None
    bit_far: Array | None
    word_floats: Array | None
    bit_floats: Array | None
    word_far_floats: Array | None
    bit_far_floats: Array | None

    def __init__(
        self,
        word: Any,
        bit: Any = 0.0,
        word_far: Any = None,
        bit_far: Any = None,
        word_floats: Any = None,
        bit_floats: Any = None,
        word_far_floats: Any = None,
        bit_far_floats: Any = None,
    ):
        self.word, self.bit = _voltages("Bias.word", word), _voltages("Bias.bit", bit)
        self.word_far = None if word_far is None else _voltages("Bias.word_far", word_far)
        self.bit_far = None if bit_far is None else _voltages("Bias.bit_far", bit_far)
        self.word_floats = booleans("Bias.word_floats", word_floats, 1)
        self.bit_floats = booleans("Bias.bit_floats", bit_floats, 1)
        self.word_far_floats = booleans("Bias.word_far_floats", word_far_floats, 1)
        self.bit_far_floats = booleans("Bias.bit_far_floats", bit_far_floats, 1)

    @staticmethod
    def half_select(rows: int, cols: int, v: Any, row: Any, col: Any) -> "Bias":
        """Write at V/2: v and 0 V on the selected lines, v/2 on all others.

        Args:
            rows: word lines.
            cols: bit lines.
            v: write voltage [V].
            row: selected word line.
            col: selected bit line.
        """
        v, (word, bit) = as_real("v", v), _selected(rows, cols, row, col)
        return Bias(jnp.where(word, v, v / 2), jnp.where(bit, 0.0, v / 2))

    @staticmethod
    def third_select(rows: int, cols: int, v: Any, row: Any, col: Any) -> "Bias":
        """Write at V/3: as `half_select`, v/3 on other word lines and 2v/3 on other bit lines."""
        v, (word, bit) = as_real("v", v), _selected(rows, cols, row, col)
        return Bias(jnp.where(word, v, v / 3), jnp.where(bit, 0.0, 2 * v / 3))

    @staticmethod
    def read(
        rows: int, cols: int, v: Any, row: Any, col: Any, unselected: Unselected = "grounded"
    ) -> "Bias":
        """Read one cell: v on its word line, 0 V on its bit line.

        Args:
            rows: word lines.
            cols: bit lines.
            v: read voltage [V].
            row: selected word line.
            col: selected bit line.
            unselected: all other lines "grounded" (0 V) or "floating" (disconnected at both ends).
        """
        check_word("unselected", unselected, list(get_args(Unselected)))
        v, (word, bit) = as_real("v", v), _selected(rows, cols, row, col)
        volts = jnp.where(word, v, jnp.zeros_like(v))
        if unselected == "grounded":
            return Bias(volts)
        return Bias(
            volts,
            word_floats=~word,
            bit_floats=~bit,
            word_far_floats=~word,
            bit_far_floats=~bit,
        )

    def drivers(self, rows: int, cols: int, *, far: tuple[bool, bool]) -> tuple[Drivers, bool]:
        """Voltages of every driver of an array.

        Args:
            rows: word lines.
            cols: bit lines.
            far: whether there are drivers at the word lines' and at the bit lines' far ends.

        Returns:
            The drivers, for n inputs, and whether there is just one input, without an axis.

        Raises:
            ValueError: shapes that do not fit, or a voltage for a driver that there is not.
        """
        named = {
            "word": (self.word, rows, "rows"),
            "bit": (self.bit, cols, "cols"),
            "word_far": (self.word_far, rows, "rows"),
            "bit_far": (self.bit_far, cols, "cols"),
        }
        wires = {"word_far": (far[0], "source_far"), "bit_far": (far[1], "sense_far")}
        inputs = {v.shape[1] for v, *_ in named.values() if v is not None and v.ndim == 2}
        if len(inputs) > 1:
            raise ValueError(f"Bias: got {sorted(inputs)} inputs, needs the same number everywhere")
        n = max(inputs, default=1)
        volts: dict[str, Array | None] = {}
        for name, (v, size, axis) in named.items():
            if name in wires and not wires[name][0]:
                if v is not None:
                    raise ValueError(
                        f"Bias.{name}: got voltages, needs a driver there: Wires.{wires[name][1]}"
                    )
                volts[name] = None
            elif v is None:
                volts[name] = volts[name.removesuffix("_far")]
            elif v.ndim and (v.shape[0] != size or 0 in v.shape):
                raise ValueError(
                    f"Bias.{name}: got shape {v.shape}, needs a scalar, ({axis},) or ({axis}, n) "
                    f"with {axis} = {size}"
                )
            else:
                volts[name] = jnp.broadcast_to(v.T if v.ndim == 2 else v, (n, size))
        for name, size in (("word", rows), ("bit", cols)):
            for mask in (f"{name}_floats", f"{name}_far_floats"):
                floats = getattr(self, mask)
                if floats is not None and floats.shape != (size,):
                    raise ValueError(f"Bias.{mask}: got shape {floats.shape}, needs ({size},)")
        return Drivers(*(volts[name] for name in named)), not inputs  # type: ignore[arg-type]


def _voltages(name: str, value: Any) -> Array:
    array = as_real(name, value)
    if array.ndim > 2:
        raise ValueError(
            f"{name}: got shape {array.shape}, needs a scalar, one per line, or n each"
        )
    return array


def _selected(rows: int, cols: int, row: Any, col: Any) -> tuple[Array, Array]:
    for name, place, size in (("row", row, rows), ("col", col, cols)):
        if is_concrete(place) and not 0 <= int(place) < size:
            raise ValueError(f"{name}: got {int(place)}, needs 0..{size - 1}")
    return jnp.arange(rows) == row, jnp.arange(cols) == col
