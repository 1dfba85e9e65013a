"""Input checks of the public constructors and functions: one sentence each, before any work."""

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float


def as_real(name: str, value: Any) -> Array:
    """Turn `value` into a real floating array, or raise one sentence that names the argument.

    Python numbers stay weakly typed, so that ``Wires(word_line=1.0)`` does not turn a float32
    array into a float64 one.
    """
    if value is None or isinstance(value, str | bytes | dict | set):
        raise TypeError(f"{name}: got {type(value).__name__}, needs real numbers")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, needs plain numbers; use .filled(value)")
    if isinstance(value, bool | int | float) and not isinstance(value, np.ndarray):
        return on_device(float(value))
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: got rows of unequal length, needs a rectangular array") from None
    if array.dtype == object or not (
        jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    ):
        raise TypeError(f"{name}: got dtype {array.dtype}, needs real numbers")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        if isinstance(array, Tracer):
            return array.astype(float)
        return on_device(array, jnp.result_type(float))
    if isinstance(array, np.ndarray):
        array = array.astype(array.dtype.newbyteorder("="), copy=False)  # big-endian files
    if array.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(
            f"{name}: got dtype {array.dtype}, needs float32 or float64; convert it with "
            ".astype('float32') or .astype('float64')"
        )
    asks_for_64_bits = isinstance(value, np.ndarray) and array.dtype == np.float64
    if asks_for_64_bits and not jax.config.read("jax_enable_x64"):
        _warn_truncated(name)
    return array if isinstance(array, jax.Array) else on_device(array)


def on_device(value: Any, dtype: Any = None) -> Array:
    """A JAX array of known numbers: nothing is compiled, and under `jit` it stays known.

    Args:
        value: anything that NumPy takes, copied; a Python float stays weakly typed.
        dtype: of the result; None keeps that of the value.

    Returns:
        The array, in 32 bits while JAX's 64-bit mode is off.
    """
    known = value if isinstance(value, float) and dtype is None else np.array(value, dtype)
    with jax.ensure_compile_time_eval():
        return jax.device_put(known)


def cast(tree: Any, dtype: Any) -> Any:
    """A pytree of numbers as JAX arrays of one dtype; nothing is compiled for known ones."""
    return jax.tree.map(lambda x: on_device(x, dtype) if is_concrete(x) else x.astype(dtype), tree)


def namespace(*values: Any) -> Any:
    """NumPy where every value is known, so that nothing is compiled; else `jax.numpy`."""
    return np if is_concrete(*values) else jnp


_warned_about: list[str] = []  # one warning per process says it all


def _warn_truncated(name: str) -> None:
    if not _warned_about:
        _warned_about.append(name)
        warn_caller(
            f"{name}: got float64, computed in float32 because JAX's 64-bit mode is off; "
            'call jax.config.update("jax_enable_x64", True) first, or pass float32'
        )


_PASSED_THROUGH = ("xbar", "equinox", "jaxtyping", "beartype", "jax")


def warn_caller(message: str) -> None:
    """Warn at the line outside of xbar that led here: constructors are called by Equinox."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _PASSED_THROUGH:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def check_literal(name: str, value: Any, *, unit: str) -> None:
    """Raise for a Python number that can never be a resistance or conductance."""
    if isinstance(value, bool | int | float) and not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}: got {value}, needs a finite value >= 0 [{unit}]")


def flag(name: str, value: Any) -> bool:
    """The value of a yes or no, or raise one sentence: any text, "no" too, would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: got {value!r}, needs True or False")
    return bool(value)


def check_word(name: str, word: Any, known: Sequence[str]) -> None:
    """Raise unless a word is one of those that are known."""
    if word not in known:
        raise ValueError(f"{name}: got {word!r}, needs one of {known}")


def check_kind(name: str, value: Any, kind: type, needs: str) -> None:
    """Raise unless a value is of a kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: got {type(value).__name__}, needs {needs}")


def booleans(name: str, mask: Any, ndim: int) -> Array | None:
    """A mask of an array's lines (1 axis) or cells (2 axes) as booleans, or None."""
    if mask is None:
        return None
    array = jnp.asarray(mask)
    if array.dtype != jnp.bool_:
        raise TypeError(f"{name}: got dtype {array.dtype}, needs booleans")
    if array.ndim != ndim:
        needs = "(rows, cols)" if ndim == 2 else "one per line"
        raise ValueError(f"{name}: got shape {array.shape}, needs {needs}")
    return array


# No cell conducts as much; above it, numbers in siemens are most likely ohms.
LARGEST_CELL = 1.0


def warn_of_ohms(name: str, g: Any, cure: str) -> None:
    """Warn where concrete conductances are above what any cell has.

    Args:
        name: the argument's name, for the message.
        g: conductances [S].
        cure: what takes resistances, for the message.
    """
    if not is_concrete(g):
        return
    host = np.asarray(g)
    if host.size and LARGEST_CELL < np.max(host) < np.inf:
        warn_caller(
            f"{name}: got {np.max(host):g} S, more than any cell has; if it is in ohm, use {cure}"
        )


def check_shape(name: str, shape: tuple[int, ...], allowed: dict[str, tuple[int, ...]]) -> None:
    """Raise unless `shape` is one of the `allowed` shapes (written name -> shape)."""
    if shape not in allowed.values():
        needs = " or ".join(f"{text} = {size}" for text, size in allowed.items())
        raise ValueError(f"{name}: got shape {shape}, needs {needs}")


def check_fits(name: str, shape: tuple[int, ...], whole: tuple[int, ...]) -> None:
    """Raise unless a shape broadcasts to another one."""
    ends = zip(reversed(shape), reversed(whole), strict=False)
    if len(shape) > len(whole) or any(n not in (1, m) for n, m in ends):
        raise ValueError(f"{name}: got shape {shape}, needs one that fits {whole}")


def is_concrete(*values: Any) -> bool:
    """True where every value can be looked at now, that is, outside `jit` and `vmap`."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


# Checks of numbers that may be traced: only what is known now can be looked at. The rest is left
# to the solve, which marks what is wrong in its result.


def checked(
    name: str, value: Any, needs: str, ok: Callable[[Any], Any], ndim: int | None = None
) -> Float[Array, "..."]:
    """A floating-point array of the value, checked as far as it is concrete.

    Args:
        name: the argument's name, for the message.
        value: numbers, as `xbar.checks.as_real` takes them.
        needs: what the numbers need to be, for the message.
        ok: elementwise test on a NumPy array.
        ndim: number of axes it needs; None accepts any.

    Returns:
        The array.

    Raises:
        TypeError: not real numbers.
        ValueError: the wrong number of axes, or a concrete entry fails the test.
    """
    array = as_real(name, value)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name}: got shape {array.shape}, needs {_AXES[ndim]}")
    if is_concrete(value):
        host = np.asarray(value)
        if not np.all(good := ok(host)):
            bad = host if host.ndim == 0 else host[~np.broadcast_to(good, host.shape)][0]
            raise ValueError(f"{name}: got {bad}, needs {needs}")
    return array


_AXES = {0: "one number", 1: "one axis", 2: "two axes, (rows, cols)"}


def finite_from_0(x: Any) -> Any:
    """Elementwise 0 <= x < inf."""
    return np.isfinite(x) & (x >= 0)


def finite_above_0(x: Any) -> Any:
    """Elementwise 0 < x < inf."""
    return np.isfinite(x) & (x > 0)


def within_unit(x: Any) -> Any:
    """Elementwise 0 <= x <= 1."""
    return (x >= 0) & (x <= 1)


PREFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}  # of a resistance in text


def resistance(text: str) -> float:
    """A resistance [ohm] from text such as "1e4", "10k" or "1M"; NaN, which no range accepts."""
    number, factor = text.strip(), 1.0
    if number[-1:] in PREFIXES:
        number, factor = number[:-1], PREFIXES[number[-1]]
    try:
        return float(number) * factor
    except ValueError:
        return math.nan
