"""The faults: cells of pairs stuck at a value, and single cells stuck at random."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import check_kind, check_word, checked, flag, is_concrete, within_unit
from xbar.devices.effects.base import needs_window
from xbar.devices.faults import AbstractFault, StuckDraw, StuckValue, hit_pairs
from xbar.devices.mapping import Window
from xbar.devices.words import shown

Per = Literal["cell", "column"]

PUBLISHED_RATES: dict[str, dict[str, float]] = {
    "mostly-off": {"rate_on": 0.0175, "rate_off": 0.0904},
    "mostly-on": {"rate_on": 0.0904, "rate_off": 0.0175},
}
"""The published fault rates, with either polarity: sources disagree which of them is stuck-on."""

Shape = tuple[int, ...]


class AbstractStuck(AbstractFault):
    """Cells of a pair, one or both, stuck at one value."""

    sides: ClassVar[tuple[bool, bool]]  # whether the plus, the minus cell sticks
    value: StuckValue

    def __init__(self, value: Any = "on"):
        self.value = StuckValue(value, f"{type(self).__name__}.value")

    @classmethod
    def from_resistance(cls, r: Any) -> Any:
        """The fault with cells stuck at a resistance.

        Args:
            r: above 0, infinite for open cells, () or one that fits the pairs [ohm].

        Returns:
            The fault.

        Raises:
            ValueError: a concrete resistance is not above 0.
        """
        checked("r", r, "resistances > 0 [ohm], infinite for an open cell", lambda r: r > 0)
        return cls(1 / r if isinstance(r, float | int) or not is_concrete(r) else 1 / np.asarray(r))

    def stuck(
        self, shape: Shape, dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """The cells of the class, at the value."""
        pairs = pairs_of(type(self).__name__, shape)
        return jnp.array(self.sides)[:, None, None], self.value.draw(pairs, dtype, window, key)

    def describe(self) -> str:
        """The cells and their value."""
        sides = "both cells" if all(self.sides) else "plus cell" if self.sides[0] else "minus cell"
        return f"{sides} of a pair stuck: {self.value.describe()}"


@final
class StuckPair(AbstractStuck):
    """Both cells of a pair stuck at the same value, so that the weight is 0 where wires are ideal.

    ```python
    broken = net.with_fault(0, xb.Circle((0.5, 0.5), 0.3), xb.StuckPair("on"))
    ```

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S]; drawn once per pair.

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    sides: ClassVar[tuple[bool, bool]] = (True, True)

    if TYPE_CHECKING:  # type checkers give a class of fields a constructor of its own

        def __init__(self, value: Any = "on") -> None: ...


@final
class StuckPlus(AbstractStuck):
    """The plus cell of a pair stuck, the minus cell as programmed.

    ```python
    broken = net.with_fault(0, xb.Rows(0.5, 0.2), xb.StuckPlus(1 / 5e3))  # siemens
    ```

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S].

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    sides: ClassVar[tuple[bool, bool]] = (True, False)

    if TYPE_CHECKING:  # type checkers give a class of fields a constructor of its own

        def __init__(self, value: Any = "on") -> None: ...


@final
class StuckMinus(AbstractStuck):
    """The minus cell of a pair stuck, the plus cell as programmed.

    ```python
    broken = net.with_fault(0, xb.Rows(0.5, 0.2), xb.StuckMinus("off"))
    ```

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S].

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    sides: ClassVar[tuple[bool, bool]] = (False, True)

    if TYPE_CHECKING:  # type checkers give a class of fields a constructor of its own

        def __init__(self, value: Any = "on") -> None: ...


@final
class StuckUnequal(AbstractFault):
    """The two cells of a pair stuck at values drawn independently of each other.

    ```python
    broken = net.with_fault(0, xb.Rows(0.5, 0.2), xb.StuckUnequal("uniform"), key)
    ```

    Args:
        drawn: "random" (default) draws on or off with equal chance, "uniform" evenly in the window.
        per: "cell" (default) draws for each cell; "column" once for each physical column, so that
            the stuck value varies across columns and is the same down a bit line.

    Raises:
        ValueError: another word.
    """

    value: StuckValue
    per: str = eqx.field(static=True)

    def __init__(self, drawn: str = "random", per: str = "cell"):
        check_word("StuckUnequal.drawn", drawn, list(get_args(StuckDraw)))
        check_word("StuckUnequal.per", per, list(get_args(Per)))
        self.value = StuckValue(drawn, "StuckUnequal.drawn")
        self.per = per

    def stuck(
        self, shape: Shape, dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """Each cell, at its own draw."""
        rows, cols = pairs_of("StuckUnequal", shape)
        drawn = (2, 1 if self.per == "column" else rows, cols)
        return jnp.array(True), self.value.draw(drawn, dtype, window, key)

    def describe(self) -> str:
        """What is drawn."""
        alike = ", alike down a column" if self.per == "column" else ""
        return f"both cells of a pair stuck unequally: {self.value.describe()}{alike}"


@final
class StuckCells(AbstractFault):
    """Single cells stuck at random: each cell of the mask on, off or healthy, by itself.

    Use it with `Everywhere()` for faults scattered over the array. `StuckCells.published` has the
    rates of the literature.

    ```python
    chip = net.with_fault(0, xb.devices.Everywhere(), xb.StuckCells(0.01, 0.03), key)
    ```

    Args:
        rate_on: probability that a cell is stuck-on, ().
        rate_off: probability that a cell is stuck-off, (); the two add up to at most 1.

    Raises:
        ValueError: a concrete rate is outside 0..1, or their sum is.
    """

    rate_on: Float[Array, ""]
    rate_off: Float[Array, ""]

    def __init__(self, rate_on: Any, rate_off: Any):
        self.rate_on = checked("StuckCells.rate_on", rate_on, "a value in 0..1", within_unit, 0)
        self.rate_off = checked("StuckCells.rate_off", rate_off, "a value in 0..1", within_unit, 0)
        if is_concrete(rate_on, rate_off) and float(rate_on) + float(rate_off) > 1:
            raise ValueError(
                f"StuckCells.rate_off: got {rate_off}, needs at most 1 with rate_on, {rate_on}"
            )

    @staticmethod
    def published(polarity: str) -> "StuckCells":
        """The published rates 1.75 % and 9.04 %, with the polarity you believe in.

        Args:
            polarity: "mostly-off" (1.75 % on, 9.04 % off) or "mostly-on" (the reverse). Sources
                disagree, so results deserve both.

        Returns:
            The fault.

        Raises:
            ValueError: another word.
        """
        check_word("polarity", polarity, sorted(PUBLISHED_RATES))
        return StuckCells(**PUBLISHED_RATES[polarity])

    def stuck(
        self, shape: Shape, dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """Each cell by its own draw."""
        if key is None:
            raise ValueError("key: got None, needs a JAX key to draw which cells are stuck")
        window = needs_window("StuckCells", window)
        draw = jax.random.uniform(key, shape, dtype)
        on, off = draw < self.rate_on, draw >= 1 - self.rate_off
        return on | off, jnp.where(on, window.g_max.astype(dtype), window.g_min.astype(dtype))

    def describe(self) -> str:
        """The rates."""
        on, off = (shown(100 * rate, "%") for rate in (self.rate_on, self.rate_off))
        return f"{on} of the cells stuck-on, {off} stuck-off"


@final
class Defect(AbstractFault):
    """A fault where a mask is, as an effect of a device: `inject` with the device's own keys.

    Args:
        mask: a mask, or booleans (rows, cols) of pairs.
        fault: what happens there.
        window: of the stuck values; None takes the device's.
        include_bias_row: whether a mask's geometry includes the last row.
    """

    mask: Any
    fault: AbstractFault
    window: Window | None
    include_bias_row: bool = eqx.field(static=True)

    def __init__(
        self,
        mask: Any,
        fault: AbstractFault,
        window: Window | None = None,
        *,
        include_bias_row: bool = True,
    ):
        check_kind("Defect.fault", fault, AbstractFault, "a fault")
        self.mask, self.fault, self.window = mask, fault, window
        self.include_bias_row = flag("Defect.include_bias_row", include_bias_row)

    def stuck(
        self, shape: Shape, dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """The fault's cells, where the mask is."""
        hit = hit_pairs(self.mask, pairs_of("Defect", shape), self.include_bias_row)
        own = window if self.window is None else self.window
        sticks, value = self.fault.stuck(shape, dtype, own, key)
        return hit & sticks, value

    def describe(self) -> str:
        """The mask and the fault."""
        return f"where {type(self.mask).__name__} is, {self.fault.describe()}"


def pairs_of(fault: str, shape: Shape) -> tuple[int, int]:
    """Rows and columns of pairs whose cells have a shape, for a fault that needs pairs."""
    if len(shape) != 3 or shape[0] != 2:
        raise ValueError(
            f"{fault}: got cells {shape}, needs Pairs, or plus and minus cells (2, rows, cols)"
        )
    return shape[1], shape[2]


class FaultKind(NamedTuple):
    """A fault by name, for study files and the command line.

    Args:
        make: the fault for a stuck value: a word, or a conductance [S], which may be traced.
        what: the cells that stick, in words.
        default: the stuck value where none is given.
        values: words that it takes beside numbers; without "value" among them it takes no number.
    """

    make: Callable[[Any], AbstractFault]
    what: str
    default: str = "on"
    values: tuple[str, ...] = ("on", "off", "random", "uniform", "value")


def _unequal(per: str) -> Callable[[Any], AbstractFault]:
    return lambda drawn: StuckUnequal(drawn, per)


FAULTS: dict[str, FaultKind] = {
    "pair": FaultKind(StuckPair, "both cells of a pair"),
    "plus": FaultKind(StuckPlus, "the plus cell of a pair"),
    "minus": FaultKind(StuckMinus, "the minus cell of a pair"),
    "unequal": FaultKind(
        _unequal("cell"), "the two cells of a pair unequally", "random", get_args(StuckDraw)
    ),
    "unequal-columns": FaultKind(
        _unequal("column"),
        "the two cells of a pair unequally, alike down a column,",
        "random",
        get_args(StuckDraw),
    ),
}
"""Every fault that a mask can carry, by name."""
