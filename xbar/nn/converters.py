"""Converters: voltages on a grid of 2^bits levels.

    lsb = (high - low) / (2^bits - 1)       level n = lsb (n - z)       n = 0 .. 2^bits - 1

Where the range holds 0 V, z is the whole number nearest to -low / lsb, so that 0 V is a level;
no voltage within the range moves by more than lsb / 2. Beyond the range the converter saturates.

**Derivatives go straight through**: within the range a converter counts as the identity, beyond it
as a constant. The true derivative is 0 almost everywhere, and nothing could be trained with it.

A range that is not given comes from data (`calibrated`): from 0, or from -V where any voltage is
negative, to V, the 99.9th percentile of |v| over all calibration inputs (the largest |v| where that
is 0, and 1 V where all are 0).
"""

from functools import partial
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import as_real, checked, finite_from_0, flag, is_concrete, namespace
from xbar.fields import described
from xbar.nn.steps import AbstractStep, noisy, optional

MOST_BITS = 32


@jax.custom_jvp
def quantise(
    v: Float[Array, "..."], low: Float[Array, ""], high: Float[Array, ""], levels: Float[Array, ""]
) -> Float[Array, "..."]:
    """The nearest of evenly spaced levels [V]; see above."""
    lsb = (high - low) / (levels - 1)
    z = -low / lsb
    z = jnp.where((low <= 0) & (high >= 0), jnp.round(z), z)
    return lsb * (jnp.clip(jnp.round(v / lsb + z), 0, levels - 1) - z)


@quantise.defjvp
def _straight_through(primals: tuple, tangents: tuple) -> tuple:
    v, low, high, levels = primals
    return quantise(v, low, high, levels), jax.jvp(jnp.clip, primals[:3], tangents[:3])[1]


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _cycles(
    v: Float[Array, "..."], low: Float[Array, ""], high: Float[Array, ""], bits: int
) -> Float[Array, "cycles ..."]:
    """What drives a row in each cycle of a bit-serial input, the least bit first [V]."""
    full = jnp.maximum(-low, high)
    held = jnp.clip(v, low, high)
    code = largest_code(jnp.round(jnp.abs(held) / full * (2.0**bits - 1)), bits, jnp)
    place = (2.0 ** jnp.arange(bits, dtype=v.dtype)).reshape(-1, *(1,) * v.ndim)
    return jnp.sign(held) * full * jnp.mod(jnp.floor(code / place), 2)


@_cycles.defjvp
def _cycles_through(bits: int, primals: tuple, tangents: tuple) -> tuple:
    # Every cycle as the whole input: their weights sum to 1, so that the input counts once.
    found, slope = _cycles(*primals, bits), jax.jvp(jnp.clip, primals, tangents)[1]
    return found, jnp.broadcast_to(slope, found.shape)


def largest_code(code: Any, bits: int, xp: Any) -> Any:
    """Codes below 2^bits, which all ones round up to where a float holds fewer digits.

    Args:
        code: whole numbers, 0 to 2^bits - 1 but for rounding, of any shape and float dtype.
        bits: of a code.
        xp: NumPy or `jax.numpy`.
    """
    beyond = xp.asarray(2.0**bits, code.dtype)
    return xp.minimum(code, xp.nextafter(beyond, xp.zeros_like(beyond)))


class Range(eqx.Module):
    """From where to where a converter converts.

    Args:
        v_range: (low, high), or V for (-V, V) [V].
        name: of the converter, for messages.

    Raises:
        ValueError: a concrete number is not finite, or high is not above low.
    """

    low: Float[Array, ""] = eqx.field(metadata=described("V", (), "lowest level"))
    high: Float[Array, ""] = eqx.field(metadata=described("V", (), "highest level"))

    def __init__(self, v_range: Any, name: str):
        both = v_range if isinstance(v_range, tuple | list) else (-v_range, v_range)
        if len(both) != 2:
            raise ValueError(f"{name}.v_range: got {len(both)} values, needs V or (low, high) [V]")
        self.low, self.high = (
            checked(f"{name}.v_range", v, "finite values [V]", np.isfinite, 0) for v in both
        )
        if is_concrete(*both) and not np.asarray(both[1]) > np.asarray(both[0]):
            raise ValueError(f"{name}.v_range: got {both}, needs low below high [V]")

    def quantise(self, v: Float[Array, "..."], bits: int) -> Float[Array, "..."]:
        """Voltages on the converter's levels [V]."""
        low, high = self.low.astype(v.dtype), self.high.astype(v.dtype)
        return quantise(v, low, high, jnp.asarray(2.0**bits, v.dtype))


@final
class DAC(eqx.Module):
    """A digital-to-analog converter at each row: input voltages take one of 2^bits levels.

    The bias row is driven by a constant source, not by a converter.

    ```python
    hardware = xb.Hardware(dac=xb.DAC(8), adc=xb.ADC(8))
    net = xb.Network.from_weights(weights, biases, calibration=x, hardware=hardware)
    ```

    **Bit-serial**: with `serial` a row is driven by one bit of its input in each of `bits` cycles,
    at 0 or at full scale (negative inputs at its negative). Each cycle is read, rails, converters
    and noise included, and what is read adds up with weights 2^b / (2^bits - 1) in digital logic;
    the bias row is driven in all cycles. Levels are then full scale times m / (2^bits - 1) of
    either sign. Without an ADC, cells that are linear give what one cycle of the same levels would.

    Args:
        bits: 1 to 32; of a serial one, those of the size.
        v_range: (low, high), or V for (-V, V) [V]; None to calibrate it.
        serial: one bit in each cycle instead of a voltage for each level.

    Raises:
        TypeError: serial is neither True nor False.
        ValueError: bits or a concrete range is out of range.
    """

    bits: int = eqx.field(static=True)
    v_range: Range | None
    serial: bool = eqx.field(static=True)

    def __init__(self, bits: int, v_range: Any = None, *, serial: bool = False):
        self.bits, self.serial = _bits("DAC", bits), flag("DAC.serial", serial)
        self.v_range = None if v_range is None else Range(v_range, "DAC")

    def volts(self, v: Any) -> Float[Array, "..."]:
        """Row voltages [V] of any shape, derivatives straight through; over cycles, their mean.

        Raises:
            ValueError: the range is not known.
        """
        if self.serial:
            return jnp.tensordot(self.weights(v), self.cycles(v), axes=1)
        return _known(self).quantise(as_real("v", v), self.bits)

    def cycles(self, v: Any) -> Float[Array, "cycles ..."]:
        """Row voltages of each cycle, the least bit first [V]; of one that is not serial, one.

        Raises:
            ValueError: the range is not known.
        """
        if not self.serial:
            return self.volts(v)[None]
        v, known = as_real("v", v), _known(self)
        return _cycles(v, known.low.astype(v.dtype), known.high.astype(v.dtype), self.bits)

    def weights(self, v: Any) -> Float[Array, " cycles"]:
        """What each cycle counts, adding up to 1, in the dtype of v."""
        if not self.serial:
            return jnp.ones(1, v.dtype)
        return 2.0 ** jnp.arange(self.bits, dtype=v.dtype) / (2.0**self.bits - 1)

    def calibrated(self, v: Any) -> "DAC":
        """With a range from voltages [V], if it has none; by the rule above."""
        return self if self.v_range is not None else DAC(self.bits, range_of(v), serial=self.serial)


@final
class ADC(AbstractStep):
    """An analog-to-digital converter at each output, behind the rails.

    It converts (1 + gain_error) v + offset + noise, bent by its integral nonlinearity, a bow of
    `inl` lsb at mid-range and 0 at the ends.

    ```python
    adc = xb.ADC(bits=8, v_range=(-0.5, 0.5))  # volt
    ```

    Args:
        bits: 1 to 32.
        v_range: (low, high), or V for (-V, V) [V]; None to calibrate it.
        offset: () or one per output, (outputs,) [V]; None for none.
        gain_error: relative, () or (outputs,); None for none.
        noise: RMS at the input, drawn anew for each read, () or (outputs,) [V]; None for none.
        inl: largest integral nonlinearity, () or (outputs,) [lsb]; None for none.

    Raises:
        ValueError: bits or a concrete number is out of range.
    """

    bits: int = eqx.field(static=True)
    v_range: Range | None
    offset: Float[Array, "..."] | None = eqx.field(
        metadata=described("V", ("output",), "of the converters")
    )
    gain_error: Float[Array, "..."] | None = eqx.field(
        metadata=described("1", ("output",), "relative, of the converters")
    )
    noise: Float[Array, "..."] | None = eqx.field(
        metadata=described("V", ("output",), "RMS at the converters' inputs")
    )
    inl: Float[Array, "..."] | None = eqx.field(
        metadata=described("lsb", ("output",), "integral nonlinearity at mid-range")
    )

    def __init__(
        self,
        bits: int,
        v_range: Any = None,
        *,
        offset: Any = None,
        gain_error: Any = None,
        noise: Any = None,
        inl: Any = None,
    ):
        self.bits = _bits("ADC", bits)
        self.v_range = None if v_range is None else Range(v_range, "ADC")
        self.offset = optional("ADC.offset", offset, "finite values [V]", np.isfinite)
        self.gain_error = optional("ADC.gain_error", gain_error, "finite values", np.isfinite)
        self.noise = optional("ADC.noise", noise, "values >= 0 [V]", finite_from_0)
        self.inl = optional("ADC.inl", inl, "finite values [lsb]", np.isfinite)

    @property
    def linear(self) -> bool:
        """No."""
        return False

    def volts(self, x: Any, key: PRNGKeyArray | None = None) -> Float[Array, "..."]:
        """What the codes stand for [V], of any shape, derivatives straight through.

        Raises:
            ValueError: the range is not known, or there is noise and no key.
        """
        v_range, x = _known(self), as_real("x", x)
        v = x
        if self.gain_error is not None:
            v = v * (1 + self.gain_error.astype(x.dtype))
        if self.offset is not None:
            v = v + self.offset.astype(x.dtype)
        v = noisy(v, self.noise, key)
        if self.inl is not None:
            low, high = v_range.low.astype(x.dtype), v_range.high.astype(x.dtype)
            place = jnp.clip((v - low) / (high - low), 0, 1)
            lsb = (high - low) / (2.0**self.bits - 1)
            v = v + self.inl.astype(x.dtype) * lsb * 4 * place * (1 - place)
        return v_range.quantise(v, self.bits)

    def calibrated(self, v: Any) -> "ADC":
        """With a range from voltages [V], if it has none; by the rule above."""
        if self.v_range is not None:
            return self
        found = Range(range_of(v), "ADC")
        return eqx.tree_at(lambda adc: adc.v_range, self, found, is_leaf=lambda x: x is None)


def range_of(v: Any) -> tuple[Any, Any]:
    """(low, high) of a converter for voltages like these [V]; see above."""
    xp = namespace(v)
    v = xp.asarray(v)
    size = xp.abs(v)
    top, most = xp.percentile(size, 99.9), xp.max(size)
    high = xp.where(top > 0, top, xp.where(most > 0, most, 1.0))
    return xp.where(xp.min(v) < 0, -high, 0.0), high


def _known(converter: DAC | ADC) -> Range:
    if converter.v_range is None:
        name = type(converter).__name__
        raise ValueError(f"{name}.v_range: got None, needs a range [V], or calibration inputs")
    return converter.v_range


def _bits(name: str, bits: Any) -> int:
    if not isinstance(bits, int | np.integer) or not 1 <= bits <= MOST_BITS:
        raise ValueError(f"{name}.bits: got {bits!r}, needs a whole number, 1 to {MOST_BITS}")
    return int(bits)
