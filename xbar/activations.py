"""Activation functions by name, the same for software networks, for circuits and for SPICE."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Activation(NamedTuple):
    """One function in three languages; called, it answers in that of its argument.

    Args:
        jax: of JAX arrays.
        numpy: of NumPy arrays.
        spice: as ngspice writes it, `{v}` for the argument.
        homogeneous: whether phi(a x) = a phi(x) for a > 0: it acts on volts of any scale.
    """

    jax: Callable[[Any], Any]
    numpy: Callable[[Any], Any]
    spice: str
    homogeneous: bool = False

    def __call__(self, x: Any) -> Any:
        """Elementwise."""
        return self.numpy(x) if isinstance(x, np.ndarray) else self.jax(x)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(jax.nn.relu, lambda x: np.maximum(x, 0), "max({v}, 0)", homogeneous=True),
    "tanh": Activation(jnp.tanh, np.tanh, "tanh({v})"),
    # As a tanh, the sigmoid cannot overflow.
    "sigmoid": Activation(
        jax.nn.sigmoid, lambda x: 0.5 + 0.5 * np.tanh(0.5 * x), "0.5 + 0.5 * tanh(0.5 * {v})"
    ),
}

Phi = str | Callable[[Any], Any]
"""A key of `ACTIVATIONS`, or any elementwise function in JAX."""


def function_of(phi: Phi) -> Callable[[Any], Any]:
    """The function of arrays that this is; one's own acts on each number by itself."""
    return ACTIVATIONS[phi] if isinstance(phi, str) else jnp.vectorize(phi)


def check_activation(phi: Any) -> None:
    """Raise unless this is an activation.

    Raises:
        ValueError: no activation has that name, or a function that is not elementwise.
        TypeError: neither a name nor a function.
    """
    if isinstance(phi, str):
        if phi not in ACTIVATIONS:
            raise ValueError(
                f"activation: got {phi!r}, needs one of {list(ACTIVATIONS)}, or an elementwise "
                "function"
            )
        return
    if not callable(phi):
        raise TypeError(f"activation: got {type(phi).__name__}, needs a name or a function")
    if not elementwise(phi):
        raise ValueError("activation: got a function that is not elementwise, such as a softmax")


def elementwise(phi: Callable[[Any], Any]) -> bool:
    """Whether a function of arrays acts on each number by itself, tried on some."""
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    return _same(lambda x: jax.vmap(phi)(x[:, None])[:, 0], phi, x)


def name_of(phi: Callable[[Any], Any], known: dict[str, Callable[[Any], Any]]) -> str | None:
    """Which known function this is, told by its values, as each has several names and wrappers."""
    x = np.array([-30.0, -7.0, -1.3, -0.2, 0.0, 0.4, 1.1, 6.5, 30.0], np.float32)
    return next((name for name, other in known.items() if _same(jax.vmap(phi), other, x)), None)


def _same(one: Callable[[Any], Any], other: Callable[[Any], Any], x: np.ndarray) -> bool:
    """Whether two functions have the same values, of the shape of x."""
    with jax.ensure_compile_time_eval():
        y, z = jax.jit(lambda x: (one(x), other(x)))(x)
    return y.shape == z.shape == x.shape and np.allclose(y, z, rtol=1e-5, atol=1e-7)
