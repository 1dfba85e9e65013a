"""Convolutions on arrays, as those of Equinox: every patch of the input drives the same array."""

from functools import partial
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.nn.hardware import Hardware
from xbar.nn.on_arrays import AbstractOnArrays, Chip, Fixed

_MODES = {"REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


@final
class Conv(AbstractOnArrays):
    """A convolution whose products are computed by arrays, one set of them for each group.

    The kernel is a matrix (inputs of a patch, outputs); a patch is one input vector, and the array
    is found once for all patches. What is padded with zeros is driven with 0 V.

    Args:
        num_spatial_dims: 1, 2, ...
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: one, or one for each dimension.
        hardware: of its arrays; None is the ideal circuit.
        k_in: volts per unit at the rows [V]; `xbar.nn.convert` finds it by calibration.
        k_out: volts per unit at the outputs [V].
        key: JAX key of the weights.
        options: of `equinox.nn.Conv`: stride, padding, dilation, groups, use_bias, padding_mode.
    """

    weight: Float[Array, "out in *kernel"]
    bias: Float[Array, "out *ones"] | None
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: Any = eqx.field(static=True)
    dilation: tuple[int, ...] = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    padding_mode: str = eqx.field(static=True)
    fixed: Fixed = eqx.field(static=True)
    chip: Chip | None = None
    known: tuple[Array, ...] | None = None

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        hardware: Hardware | None = None,
        *,
        k_in: float = 0.2,
        k_out: float = 0.2,
        key: PRNGKeyArray,
        **options: Any,
    ):
        sizes = num_spatial_dims, in_channels, out_channels, kernel_size
        layer = eqx.nn.Conv(*sizes, key=key, **options)
        self._take(layer, Fixed(Hardware() if hardware is None else hardware, k_in, k_out))

    @staticmethod
    def of(layer: eqx.nn.Conv, fixed: Fixed) -> "Conv":
        """A trained layer of Equinox on arrays."""
        made = object.__new__(Conv)
        made._take(layer, fixed)
        return made

    def _take(self, layer: eqx.nn.Conv, fixed: Fixed) -> None:
        same = ("weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode")
        values = {name: getattr(layer, name) for name in same}
        for name, value in (values | {"fixed": fixed, "chip": None, "known": None}).items():
            object.__setattr__(self, name, value)

    def matrices(self) -> list[tuple[Any, Any]]:
        """One for each group: (in_channels / groups * cells of the kernel, outputs)."""
        w = self.weight.reshape(self.weight.shape[0], -1)
        b = jnp.zeros(len(w), w.dtype) if self.bias is None else self.bias.reshape(-1)
        size = len(w) // self.groups
        cuts = [slice(n * size, (n + 1) * size) for n in range(self.groups)]
        return [(w[cut].T, b[cut].astype(w.dtype)) for cut in cuts]

    def rows(self, x: Array) -> list[Array]:
        """The patches, (positions, inputs) for each group."""
        if x.ndim != self.weight.ndim - 1:
            raise ValueError(f"x: got shape {x.shape}, needs {self.weight.ndim - 1} axes")
        x, padding = self._padded(jnp.asarray(x))
        kernel = self.weight.shape[2:]
        patches = jax.lax.conv_general_dilated_patches(
            x[None], kernel, self.stride, padding, rhs_dilation=self.dilation
        )[0]
        each = patches.reshape(self.groups, -1, int(np.prod(patches.shape[1:])))
        return [part.T for part in each]

    def outputs(self, found: list[Array], x: Array) -> Array:
        """(out_channels, ...) from one (positions, outputs) for each group."""
        kernel = jax.ShapeDtypeStruct(self.weight.shape, self.weight.dtype)
        given = jax.ShapeDtypeStruct(x.shape, self.weight.dtype)
        shape = jax.eval_shape(self._convolved, given, kernel).shape
        return jnp.concatenate(found, -1).T.reshape(shape)

    def _convolved(self, x: Array, kernel: Array) -> Array:
        """As in software; for its shape."""
        x, padding = self._padded(x)
        return jax.lax.conv_general_dilated(
            x[None],
            kernel,
            self.stride,
            padding,
            rhs_dilation=self.dilation,
            feature_group_count=self.groups,
        )[0]

    def _padded(self, x: Array) -> tuple[Array, Any]:
        """The input, and the zeros that it still needs at its edges."""
        pads = self.padding
        if self.padding_mode == "ZEROS":
            return x, pads
        if isinstance(pads, str):
            reach = [
                d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)
            ]
            pads = jax.lax.padtype_to_pads(x.shape[1:], reach, self.stride, pads)
        return jnp.pad(x, ((0, 0), *pads), mode=_MODES[self.padding_mode]), "VALID"


Conv1d = partial(Conv, 1)
"""A convolution of (channels, length), as `equinox.nn.Conv1d`; further arguments as for `Conv`."""

Conv2d = partial(Conv, 2)
"""A convolution of (channels, height, width), as `equinox.nn.Conv2d`; arguments as for `Conv`."""
