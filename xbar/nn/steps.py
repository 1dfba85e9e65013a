"""What a readout is made of: steps from column currents to voltages.

A step is a small module with `volts`, which JAX differentiates, and, where SPICE can have it, its
netlist. One of your own is a subclass and nothing else:

```python
class Compress(AbstractStep):
    linear = False

    def volts(self, x, key=None):
        return jnp.tanh(x)

readout = Readout(r_f=1e5).then(Compress())
```
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked

# How a netlist writes a number.
Number = Callable[[Any], str]


class Signal(NamedTuple):
    """A voltage within a netlist.

    Args:
        node: that has it; or, with `r`, the ammeter whose current times r it is.
        inverted: the node has the negative of it.
        r: transresistance as text [ohm]; None for a node.
    """

    node: str
    inverted: bool = False
    r: str | None = None


class AbstractStep(eqx.Module):
    """One step of a readout."""

    @property
    @abc.abstractmethod
    def linear(self) -> bool:
        """Whether volts(x) is linear in x, so that a transfer matrix may hold it."""

    @abc.abstractmethod
    def volts(
        self, x: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n out"]:
        """What the step makes of what comes in.

        Args:
            x: columns last [A] or [V]; any leading axes.
            key: JAX key of one read, for steps with noise.

        Returns:
            Voltages [V], as many columns or, behind a difference, half of them.
        """


class AbstractAmplifier(AbstractStep):
    """A first step: it takes currents, and the array sees its input resistance."""

    @property
    @abc.abstractmethod
    def r_in(self) -> Float[Array, "..."]:
        """Resistance at each input, () or (columns,) [ohm]."""


class AbstractSpiceStep(eqx.Module):
    """What a step has besides if SPICE can have it."""

    @property
    @abc.abstractmethod
    def acts(self) -> bool:
        """False where the step changes nothing, so that no circuit stands for it."""

    @abc.abstractmethod
    def remark(self, number: Number) -> str:
        """The step's numbers in words, for the netlist's comment; "" for none."""

    @abc.abstractmethod
    def netlist(
        self, tag: str, signals: list[Signal], nodes: list[str], number: Number
    ) -> tuple[list[str], list[Signal]]:
        """The step's circuit.

        Args:
            tag: what names begin with behind their first letter.
            signals: what comes in, one per column.
            nodes: where what comes out is wanted, one per output; an amplifier may leave it to the
                step behind it.
            number: how to write a number.

        Returns:
            Lines, and what comes out.
        """


def optional(
    name: str, value: Any, needs: str, ok: Callable[[Any], Any]
) -> Float[Array, "..."] | None:
    """As `checked`, of a number or one per column; None stays None."""
    return None if value is None else checked(name, value, needs, ok)


def noisy(
    v: Float[Array, "..."], noise: Float[Array, "..."] | None, key: PRNGKeyArray | None
) -> Float[Array, "..."]:
    """Voltages with normal noise of a given RMS [V].

    Raises:
        ValueError: there is noise and no key.
    """
    if noise is None:
        return v
    if key is None:
        raise ValueError("key: got None, needs a JAX key to draw the readout's noise")
    return v + noise.astype(v.dtype) * jax.random.normal(key, v.shape, v.dtype)
