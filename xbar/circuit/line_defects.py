"""Defects of lines as a chip has them: broken and bridged at given places, or at random.

```python
defects = [OpenWordLine(rate=1e-3), BridgedLines("bit", count=2, rate=0.5)]
array = Crossbar(g, wires, draw_line_faults(defects, *g.shape, key))
```
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import as_real, is_concrete
from xbar.circuit.line_faults import Bridge, LineFaults, LineKind


class AbstractLineDefect(eqx.Module):
    """A way in which lines of an array are broken or touch."""

    @abc.abstractmethod
    def draw(self, rows: int, cols: int, key: PRNGKeyArray | None = None) -> LineFaults:
        """The faults of one array.

        Args:
            rows: word lines.
            cols: bit lines of the array, two for each pair of a network's layer.
            key: JAX key, for defects that draw; one key is one chip.

        Returns:
            The faults.

        Raises:
            ValueError: the defect draws and there is no key, or a place is not in the array.
        """


def draw_line_faults(
    defects: Sequence[AbstractLineDefect], rows: int, cols: int, key: PRNGKeyArray | None = None
) -> LineFaults:
    """All defects of one array together.

    Args:
        defects: any number of them; each draws by itself.
        rows: word lines.
        cols: bit lines.
        key: JAX key, for defects that draw.

    Returns:
        The faults of all of them; `max_open` is the sum of the defects'.
    """
    word: Array | None = None
    bit: Array | None = None
    bridges: list[Bridge] = []
    at_most: list[int | None] = []
    for number, defect in enumerate(defects):
        own = None if key is None else jax.random.fold_in(key, number)
        faults = defect.draw(rows, cols, own)
        word, bit = _either(word, faults.word_open), _either(bit, faults.bit_open)
        bridges += faults.bridges
        if faults.word_open is not None or faults.bit_open is not None:
            at_most.append(faults.max_open)
    known = [count for count in at_most if count is not None]
    return LineFaults(
        word, bit, bridges, sum(known) if known and len(known) == len(at_most) else None
    )


def _either(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else (a if b is None else a | b)


class AbstractOpenLine(AbstractLineDefect):
    """Broken segments of one kind of line, at given places or each with a rate."""

    word: ClassVar[bool]  # whether of word lines
    places: tuple[tuple[int, int], ...] = eqx.field(static=True)
    rate: Float[Array, ""] | None
    max_open: int | None = eqx.field(static=True)

    def __init__(self, places: Any = None, rate: Any = None, max_open: int | None = None):
        name = type(self).__name__
        if (places is None) == (rate is None):
            raise ValueError(f"{name}: got {places!r} and {rate!r}, needs places or a rate")
        pairs = () if places is None else tuple((int(i), int(j)) for i, j in places)
        if any(i < 0 or j < 0 for i, j in pairs):
            raise ValueError(f"{name}.places: got {pairs}, needs places >= 0")
        self.places = pairs
        self.rate = None if rate is None else as_real(f"{name}.rate", rate)
        if self.rate is not None and is_concrete(rate) and not 0 <= float(self.rate) <= 1:
            raise ValueError(f"{name}.rate: got {float(self.rate)}, needs 0 to 1")
        self.max_open = max_open

    def draw(self, rows: int, cols: int, key: PRNGKeyArray | None = None) -> LineFaults:
        """Broken segments of its lines."""
        mask = self._mask(rows, cols, key)
        if self.word:
            return LineFaults(word_open=mask, max_open=self.max_open)
        return LineFaults(bit_open=mask, max_open=self.max_open)

    def _mask(self, rows: int, cols: int, key: PRNGKeyArray | None) -> Array:
        name = type(self).__name__
        if self.rate is None:
            mask = np.zeros((rows, cols), bool)
            for i, j in self.places:
                if i >= rows or j >= cols:
                    raise ValueError(
                        f"{name}.places: got ({i}, {j}), needs a segment of a {rows}x{cols} array"
                    )
                mask[i, j] = True
            return jnp.asarray(mask)
        if key is None:
            raise ValueError(f"{name}: got no key, needs a JAX key to draw broken segments")
        return jax.random.bernoulli(key, self.rate, (rows, cols))


@final
class OpenWordLine(AbstractOpenLine):
    """Word lines broken to the left of given cells, or of each with a rate.

    Args:
        places: (row, column) of each; at column 0 the driver is cut off.
        rate: probability that a segment is broken, () ; instead of `places`.
        max_open: how many there may be where the draw is traced (`LineFaults.max_open`).

    Raises:
        ValueError: both or neither of places and rate, or a rate beyond 0 to 1.
    """

    word: ClassVar[bool] = True


@final
class OpenBitLine(AbstractOpenLine):
    """Bit lines broken below given cells, or below each with a rate.

    Args:
        places: (row, column) of each; in the last row the amplifier is cut off.
        rate: probability that a segment is broken, (); instead of `places`.
        max_open: how many there may be where the draw is traced (`LineFaults.max_open`).

    Raises:
        ValueError: both or neither of places and rate, or a rate beyond 0 to 1.
    """

    word: ClassVar[bool] = False


@final
class BridgedLines(AbstractLineDefect):
    """Neighbouring lines that touch, each at one random place.

    Args:
        kind: of the lines, "word" or "bit".
        count: how many bridges there may be; static.
        rate: probability that each of them is there, (); 1 by default.
        r: resistance of each [ohm], (); 0 (default) is a short.

    Raises:
        ValueError: another kind, a count below 1, or a rate beyond 0 to 1.
    """

    rate: Float[Array, ""]
    r: Float[Array, ""]
    kind: str = eqx.field(static=True)
    count: int = eqx.field(static=True)

    def __init__(self, kind: str, count: int = 1, rate: Any = 1.0, r: Any = 0.0):
        if kind not in get_args(LineKind):
            raise ValueError(f'BridgedLines.kind: got {kind!r}, needs "word" or "bit"')
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"BridgedLines.count: got {count!r}, needs an integer >= 1")
        if is_concrete(rate) and not 0 <= float(rate) <= 1:
            raise ValueError(f"BridgedLines.rate: got {float(rate)}, needs 0 to 1")
        self.kind, self.count = kind, count
        self.rate, self.r = as_real("BridgedLines.rate", rate), as_real("BridgedLines.r", r)

    def draw(self, rows: int, cols: int, key: PRNGKeyArray | None = None) -> LineFaults:
        """Bridges; one that is not there joins a node to itself."""
        lines = rows if self.kind == "word" else cols
        if lines < 2:
            raise ValueError(f"BridgedLines: got one {self.kind} line, needs two")
        if key is None:
            raise ValueError("BridgedLines: got no key, needs a JAX key to draw their places")
        bridges = []
        for one in jax.random.split(key, self.count):
            there, line, along = jax.random.split(one, 3)
            first = jax.random.randint(line, (), 0, lines - 1)
            second = first + jax.random.bernoulli(there, self.rate)
            place = jax.random.randint(along, (), 0, cols if self.kind == "word" else rows)
            if self.kind == "word":
                a, b = ("word", first, place), ("word", second, place)
            else:
                a, b = ("bit", place, first), ("bit", place, second)
            bridges.append(Bridge(a, b, self.r))
        return LineFaults(bridges=bridges)
