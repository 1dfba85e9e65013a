"""A linear layer on arrays, as `equinox.nn.Linear`."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import flag
from xbar.nn.hardware import Hardware
from xbar.nn.on_arrays import AbstractOnArrays, Chip, Fixed


@final
class Linear(AbstractOnArrays):
    """A linear layer whose product is computed by arrays.

    ```python
    layer = xb.nn.Linear(784, 10, hardware=xb.Hardware(tile=(65, 128)), key=key)
    y = jax.vmap(layer)(x)
    ```

    Args:
        in_features: number of inputs, or "scalar".
        out_features: number of outputs, or "scalar".
        hardware: of its arrays; None is the ideal circuit.
        use_bias: whether there is a bias.
        k_in: volts per unit at the rows [V]; `xbar.nn.convert` finds it by calibration.
        k_out: volts per unit at the outputs [V].
        key: JAX key of the weights.
    """

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"] | None
    in_features: int | str = eqx.field(static=True)
    out_features: int | str = eqx.field(static=True)
    fixed: Fixed = eqx.field(static=True)
    chip: Chip | None = None
    known: tuple[Array, ...] | None = None

    def __init__(
        self,
        in_features: Any,
        out_features: Any,
        hardware: Hardware | None = None,
        *,
        use_bias: bool = True,
        k_in: float = 0.2,
        k_out: float = 0.2,
        key: PRNGKeyArray,
    ):
        layer = eqx.nn.Linear(in_features, out_features, flag("use_bias", use_bias), key=key)
        self.weight, self.bias = layer.weight, layer.bias
        self.in_features, self.out_features = in_features, out_features
        self.fixed = Fixed(Hardware() if hardware is None else hardware, k_in, k_out)

    @staticmethod
    def of(layer: eqx.nn.Linear, fixed: Fixed) -> "Linear":
        """A trained layer of Equinox on arrays."""
        made = object.__new__(Linear)
        sizes = {"in_features": layer.in_features, "out_features": layer.out_features}
        values = {"weight": layer.weight, "bias": layer.bias, "fixed": fixed, **sizes}
        for name, value in (values | {"chip": None, "known": None}).items():
            object.__setattr__(made, name, value)
        return made

    def matrices(self) -> list[tuple[Any, Any]]:
        """One."""
        bias = jnp.zeros(self.weight.shape[0]) if self.bias is None else self.bias
        return [(self.weight.T, bias.astype(self.weight.dtype))]

    def rows(self, x: Array) -> list[Array]:
        """The input itself."""
        x = jnp.asarray(x)
        return [x[None] if self.in_features == "scalar" else x]

    def outputs(self, found: list[Array], x: Array) -> Array:
        """The output itself."""
        return found[0][..., 0] if self.out_features == "scalar" else found[0]
