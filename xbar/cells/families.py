"""From conductances to laws: what all cells of an array have beside their conductance.

For `Hardware(cells=...)`. A plain function does as well, ``lambda g: cells.Sinh(g, v_0=0.25)``; in
these the parameters are arrays, which may be traced, batched and differentiated.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, cast, final

import equinox as eqx
from jax import Array

from xbar.cells.base import FINITE, NOT_NEGATIVE, POSITIVE, AbstractCell, parameter
from xbar.cells.compound import Series
from xbar.cells.laws import Ohmic, Selector, Sinh
from xbar.cells.transistor import Transistor
from xbar.fields import described


@final
class SinhCells(eqx.Module):
    """Cells of a hyperbolic sine, `Sinh`.

    Args:
        v_0: a scalar or (rows, cols) [V], > 0.
    """

    v_0: Array = eqx.field(metadata=described("V", (), "voltage beyond which currents grow fast"))

    def __init__(self, v_0: Any):
        self.v_0 = parameter("SinhCells.v_0", v_0, POSITIVE, "V")

    def __call__(self, g: Any) -> Sinh:
        """The law of cells with these small-signal conductances [S]."""
        return Sinh(g, self.v_0)


@final
class SelectorCells(eqx.Module):
    """Resistors, each in series with an exponential `Selector` (1S1R).

    Args:
        i_s: current scale, a scalar or (rows, cols) [A], >= 0.
        v_s: voltage over which the current grows by e, a scalar or (rows, cols) [V], > 0.
    """

    i_s: Array = eqx.field(metadata=described("A", (), "current scale of selectors"))
    v_s: Array = eqx.field(metadata=described("V", (), "voltage over which a selector grows by e"))

    def __init__(self, i_s: Any, v_s: Any):
        self.i_s = parameter("SelectorCells.i_s", i_s, NOT_NEGATIVE, "A")
        self.v_s = parameter("SelectorCells.v_s", v_s, POSITIVE, "V")

    def __call__(self, g: Any) -> Series:
        """The law of cells whose resistors have these conductances [S]."""
        return Series(Ohmic(g), Selector(self.i_s, self.v_s))


@final
class TransistorCells(eqx.Module):
    """Resistors, each in series with a `Transistor` of given overdrive (1T1R).

    Args:
        beta: transconductance parameter, a scalar or (rows, cols) [A / V^2], >= 0.
        v_ov: gate overdrive, a scalar or (rows, cols) [V].
    """

    beta: Array = eqx.field(metadata=described("A/V^2", (), "transconductance of transistors"))
    v_ov: Array = eqx.field(metadata=described("V", (), "gate overdrive of transistors"))

    def __init__(self, beta: Any, v_ov: Any):
        self.beta = parameter("TransistorCells.beta", beta, NOT_NEGATIVE, "A/V^2")
        self.v_ov = parameter("TransistorCells.v_ov", v_ov, FINITE, "V")

    def __call__(self, g: Any) -> Series:
        """The law of cells whose resistors have these conductances [S]."""
        return Series(Ohmic(g), Transistor(self.beta, self.v_ov))


FAMILIES: Mapping[str, type] = {
    "sinh": SinhCells,
    "selector": SelectorCells,
    "transistor": TransistorCells,
}
"""Families by the names that studies have for them, beside "ohmic"."""

OHMIC = "ohmic"


def parameters_of(law: str) -> dict[str, Mapping[str, Any]]:
    """The parameters of a family by name, with unit and meaning; none of "ohmic"."""
    kind = FAMILIES.get(law)
    return {} if kind is None else {f.name: f.metadata for f in dataclasses.fields(kind)}


def bent(law: str, v_0: float = math.inf) -> str:
    """The law that circuits are computed with: a hyperbolic sine of no bend at all is ohmic."""
    return OHMIC if law == "sinh" and v_0 == math.inf else law


def family(law: str, parameters: Mapping[str, Any]) -> Callable[[Any], AbstractCell] | None:
    """A family by its name.

    Args:
        law: a key of `FAMILIES`, or "ohmic".
        parameters: by name; others than the law's are left aside.

    Returns:
        From conductances to cells; None for ohmic ones.

    Raises:
        TypeError, ValueError: as the family's.
    """
    if law == OHMIC:
        return None
    return FAMILIES[law](**{name: parameters[name] for name in parameters_of(law)})


@final
class _Function(eqx.Module):
    """A plain function as a module, of which JAX sees no array."""

    function: Callable[[Any], AbstractCell] = eqx.field(static=True)

    def __call__(self, g: Any) -> AbstractCell:
        return self.function(g)

    @property
    def name(self) -> str:
        """Of the function, for people."""
        return getattr(self.function, "__name__", "own law")


def as_module(family: Any) -> Any:
    """A function from conductances to a law as a module; modules and None as they are.

    Raises:
        TypeError: neither.
    """
    if family is None or isinstance(family, eqx.Module):
        return family
    if not callable(family):
        raise TypeError(
            f"cells: got {type(family).__name__}, needs a function from conductances to a law of "
            "xbar.cells, or None"
        )
    return _Function(cast(Callable[[Any], AbstractCell], family))
