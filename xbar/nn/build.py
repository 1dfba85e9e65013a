"""From a trained software network to what its layers are mapped with: checks, voltage scales.

All of it in NumPy where the numbers are known, so that nothing is compiled for it.
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.activations import ACTIVATIONS, Phi, check_activation, function_of, name_of
from xbar.checks import check_kind, checked, finite_above_0, is_concrete, namespace, on_device
from xbar.circuit import Wires
from xbar.devices.mapping import Window, share_of_window
from xbar.nn.array import with_last
from xbar.nn.hardware import Hardware
from xbar.nn.layer import Layer
from xbar.nn.tiling import Tiling
from xbar.programs import program

# Below this share of the window the median weight is said to be lost: of the 5 digits that currents
# have in float32, 3 are gone. Trained networks use 5 to 30 %.
LEAST_SHARE = 1e-3

# Calibration inputs that gains of cells which are not ohmic are fitted to.
FITTED = 256


class Software(NamedTuple):
    """A trained network, checked, in one dtype; NumPy arrays if they are `known`."""

    weights: list[Any]
    biases: list[Any]
    activation: Phi

    def activations(self, x: Any) -> tuple[list[Any], list[Any]]:
        """What enters each layer and the logits at the end; and each layer's z = a w + b."""
        inputs, sums = [x], []
        for number, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums.append(inputs[-1] @ w + b)
            last = number == len(self.weights) - 1
            inputs.append(sums[-1] if last else self._activated(sums[-1]))
        return inputs, sums

    def _activated(self, z: Any) -> Any:
        if isinstance(self.activation, str):
            return ACTIVATIONS[self.activation](z)
        found = jax.jit(function_of(self.activation))(z)
        return np.asarray(found) if isinstance(z, np.ndarray) else found


def volts_per_unit(
    weights: Sequence[Any],
    biases: Sequence[Any] | None,
    x: Any,
    *,
    activation: Phi = "relu",
    v_read: Any = 0.2,
) -> Float[Array, " layers_1"]:
    """The scales k that put a data set's activations into the range of the read voltage.

    k_0 = v_read / max|x|; k_{l+1} = v_read / (99.9th percentile of |activation| after layer l, of
    |logit| after the last). Where that percentile is 0 the maximum takes its place; where all are 0
    the scale is v_read.

    Args:
        weights: (inputs, outputs) per layer.
        biases: (outputs,) per layer; None for none.
        x: inputs, (n, inputs).
        activation: "relu", "tanh", "sigmoid", or an elementwise function.
        v_read: full-scale voltage, () [V].

    Returns:
        k, (layers + 1,) [V].

    Raises:
        TypeError, ValueError: as `Network.from_weights`, or x has another shape, is empty, or has
            a concrete value that is not finite.
    """
    software = software_of(weights, biases, activation)
    xp = namespace(software.weights, software.biases, x, v_read)
    inputs = software.activations(calibration_of(software, x))[0]
    k = scales_of(inputs, xp.asarray(v_read, dtype=software.weights[0].dtype))
    return on_device(k) if xp is np else k


def software_of(weights: Sequence[Any], biases: Sequence[Any] | None, activation: Phi) -> Software:
    """A trained network, checked."""
    check_activation(activation)
    xp = namespace(list(weights), biases)
    ws, bs = _parameters(weights, biases)
    return Software([xp.asarray(w) for w in ws], [xp.asarray(b) for b in bs], activation)


def calibration_of(software: Software, x: Any) -> Any:
    """Inputs (n, inputs) for the software network, checked, in its dtype."""
    first = software.weights[0]
    a = checked("calibration", x, "finite numbers", np.isfinite)
    if a.ndim != 2 or a.shape[1] != first.shape[0] or a.shape[0] == 0:
        raise ValueError(f"calibration: got shape {a.shape}, needs (n, {first.shape[0]})")
    return namespace(first, x).asarray(a).astype(first.dtype)


def scales_of(inputs: list[Any], v_read: Any) -> Any:
    """K from what enters each layer and the logits at the end, as `volts_per_unit` says."""
    xp = namespace(inputs, v_read)
    sizes = [xp.abs(a) for a in inputs]
    full = [xp.max(sizes[0]), *map(full_of, sizes[1:])]
    full = xp.stack(full).astype(sizes[0].dtype)
    return v_read / xp.where(full > 0, full, 1)


def full_of(size: Any) -> Any:
    """The size that counts as full scale: the 99.9th percentile, or the largest if that is 0."""
    xp = namespace(size)
    top = xp.percentile(size, 99.9)
    return xp.where(top > 0, top, xp.max(size))


class Scales(NamedTuple):
    """How a network is put on its hardware.

    Args:
        k: volts per unit at the input and after each layer, (layers + 1,) [V].
        hardware: of each layer, converters with their ranges.
        ideal: input and amplifier voltages of each layer in the ideal circuit, (n, ...) [V], for
            the calibration inputs; None without.
    """

    k: list[Any]
    hardware: list[Hardware]
    ideal: list[tuple[Any, Any]] | None


def scaled(software: Software, each: list[Hardware], calibration: Any, k: Any) -> Scales:
    """Scales from `k`, from calibration inputs or from the read voltages."""
    if calibration is not None and k is not None:
        raise ValueError("k: got k and calibration, needs one of them or neither")
    dtype, layers = software.weights[0].dtype, len(each)
    if k is not None:
        ks = checked("k", k, "finite values > 0 [V]", finite_above_0, 1)
        if ks.shape != (layers + 1,):
            raise ValueError(f"k: got {ks.size} values, needs {layers + 1}, layers + 1")
        return Scales(list(namespace(k).asarray(ks).astype(dtype)), each, None)
    full = [hardware.v_read for hardware in (*each, each[-1])]
    xp = namespace(full)
    v_read = xp.stack([xp.asarray(v) for v in full]).astype(dtype)
    if calibration is None:
        return Scales(list(v_read), each, None)
    inputs, sums = software.activations(calibration_of(software, calibration))
    ks = list(scales_of(inputs, v_read))
    ideal = [(ks[i] * inputs[i], ks[i + 1] * sums[i]) for i in range(layers)]
    known = [
        hardware.calibrated(k * a, converted(k * a, w, b, hardware, k, k_out))
        for a, w, b, hardware, k, k_out in zip(
            inputs, software.weights, software.biases, each, ks, ks[1:], strict=False
        )
    ]
    return Scales(ks, known, ideal)


def converted(v: Any, w: Any, b: Any, hardware: Hardware, k_in: Any, k: Any) -> Any:
    """Voltages that the ADCs of a layer see in the ideal circuit [V]; of tiles, partial sums'.

    Of bit-serial inputs those of every cycle, of sliced weights those of every slice.

    Args:
        v: on its rows, (n, inputs) [V].
        w: weights, (inputs, outputs).
        b: biases, (outputs,).
        hardware: of the layer.
        k_in: volts per unit at its input, () [V].
        k: volts per unit at its output, () [V].
    """
    a = hardware.driven(v) / k_in
    if hardware.slices is not None:
        xp, v_bias = namespace(w, hardware.v_bias), hardware.v_bias
        rows = hardware.columns(with_bias_row(w, b, k_in, v_bias))
        w, b = rows[:-1], rows[-1] * (xp.asarray(v_bias) / k_in)
    if hardware.tile is None or hardware.partial_sums != "digital":
        return k * (a @ w + b)
    xp, tiling = namespace(a, w, b), Tiling(*hardware.tile)
    a = tiling.by_rows(xp.concatenate([a, xp.ones_like(a[:, :1])], 1))
    w = tiling.by_rows(xp.concatenate([w, b[None]]).T)
    return k * xp.einsum("nrk,crk->nrc", a, w)


def with_fitted_gain(layer: Layer, v_in: Any, v_tia: Any) -> Layer:
    """A layer of cells that are not ohmic, its amplifiers fitted to the array without wires.

    R_f = sum(v_tia d) / sum(d^2) with d = i_plus - i_minus of each output; then what is left of the
    cells' law is its shape, not its size.

    Args:
        layer: as mapped.
        v_in: its inputs in the ideal circuit, (n, inputs) [V]; the first 256 are looked at.
        v_tia: amplifier voltages in the ideal circuit, (n, outputs) [V].
    """
    r_f = _fitted(layer, jnp.asarray(v_in[:FITTED]), jnp.asarray(v_tia[:FITTED]))
    return eqx.tree_at(lambda layer: layer.readout.r_f, layer, r_f)


@program(eqx.filter_jit)
def _fitted(layer: Layer, v_in: Array, v_tia: Array) -> Float[Array, "..."]:
    assert layer.cells is not None
    law, each = layer.cells(layer.pairs.interleave()), layer.readout.r_f.ndim > 0
    u = with_last(v_in, layer.v_bias)[:, :, None]
    i = jnp.sum(law.current(jnp.broadcast_to(u, (*u.shape[:2], law.shape[-1]))), axis=1)
    d = i[:, 0::2] - i[:, 1::2]
    axis = 0 if each else None
    size = jnp.sum(d * d, axis)
    fitted = jnp.sum(v_tia * d, axis) / jnp.where(size > 0, size, 1)
    return jnp.where((size > 0) & (fitted > 0), fitted, layer.readout.r_f)


def with_bias_row(w: Any, b: Any, k: Any, v_bias: Any) -> Any:
    """Weights with the bias as their last row, scaled for a row at v_bias: b k / v_bias."""
    xp = namespace(w, b, k, v_bias)
    scale = (xp.asarray(k) / xp.asarray(v_bias)).astype(w.dtype)
    return xp.concatenate([xp.asarray(w), xp.asarray(b)[None] * scale])


def warn_of_outliers(rows: Sequence[Any], layers: Sequence[Layer]) -> None:
    """Warn once if in some layer one weight leaves the others next to nothing of the window.

    Args:
        rows: weights of each layer's pairs with the scaled bias row.
        layers: what they were mapped to.
    """
    if not is_concrete(rows, [(layer.s, layer.window) for layer in layers]):
        return
    shares = [
        share_of_window(w, layer.s, layer.window) for w, layer in zip(rows, layers, strict=True)
    ]
    if (least := min(shares)) < LEAST_SHARE:
        warnings.warn(
            f"weights[{shares.index(least)}]: the median weight uses {least:.2g} of the window, "
            "beside a weight or bias that large; give every column its own scale, "
            "Hardware(scale='column'), or clip it, Hardware(clip=0.999)",
            UserWarning,
            stacklevel=4,
        )


def unpack_mlp(mlp: Any) -> tuple[list[Array], list[Array], Phi]:
    """Weights (inputs, outputs), biases and activation of an MLP; see `Network.from_mlp`."""
    check_kind("mlp", mlp, eqx.nn.MLP, "an equinox.nn.MLP")
    if name_of(mlp.final_activation, {"identity": lambda x: x}) is None:
        raise ValueError(
            "mlp.final_activation: got one that changes its input, needs the identity (there is "
            "no activation after the last array)"
        )
    layers = [layer for block in mlp.layers for layer in _unstacked(block)]
    # Without hidden layers there is nothing for the activation to act on.
    name = "relu" if len(layers) == 1 else name_of(mlp.activation, dict(ACTIVATIONS))
    weights = [layer.weight.T for layer in layers]
    biases = [
        jnp.zeros_like(w[0]) if layer.bias is None else layer.bias
        for layer, w in zip(layers, weights, strict=True)
    ]
    return weights, biases, mlp.activation if name is None else name


def per_layer(
    name: str, value: Any, kind: type, default: Callable[[], Any], count: int
) -> list[Any]:
    """One value of the kind for each layer, from none, one, or one per layer."""
    value = default() if value is None else value
    values = [value] * count if isinstance(value, kind) else value
    if not isinstance(values, list | tuple) or not all(isinstance(v, kind) for v in values):
        got = type(value).__name__ if isinstance(values, list | tuple) else repr(value)
        raise TypeError(f"{name}: got {got}, needs one {kind.__name__}, or a list of one per layer")
    if len(values) != count:
        raise ValueError(f"{name}: got {len(values)}, needs one, or one per layer, {count}")
    return list(values)


def hardware_of(hardware: Any, given: dict[str, Any], count: int) -> list[Hardware]:
    """The hardware of each layer, from one object or from the keywords of `from_weights`.

    Raises:
        ValueError: both, or as `Hardware`.
    """
    usual = {"mapping": "unipolar", "v_read": 0.2, "open_loop_gain": np.inf}
    if hardware is None:
        windows = per_layer("window", given["window"], Window, Window.preset, count)
        wires = per_layer("wires", given["wires"], Wires, Wires, count)
        rest = {name: value for name, value in given.items() if name not in ("window", "wires")}
        return [Hardware(*both, **rest) for both in zip(windows, wires, strict=True)]
    for name, value in given.items():
        if value is not usual.get(name) and not (name in usual and value == usual[name]):
            raise ValueError(f"{name}: got one beside hardware, which has its own")
    return per_layer("hardware", hardware, Hardware, Hardware, count)


def _parameters(
    weights: Sequence[Any], biases: Sequence[Any] | None
) -> tuple[list[Array], list[Array]]:
    """Weights and biases checked, in one dtype."""
    ws = [checked(f"weights[{i}]", w, "finite numbers", np.isfinite) for i, w in enumerate(weights)]
    if not ws:
        raise ValueError("weights: got no layers, needs at least one")
    for i, w in enumerate(ws):
        if w.ndim != 2 or 0 in w.shape:
            raise ValueError(f"weights[{i}]: got shape {w.shape}, needs (inputs, outputs)")
    for i, (a, b) in enumerate(pairwise(ws)):
        if a.shape[1] != b.shape[0]:
            raise ValueError(
                f"weights[{i + 1}]: got {b.shape[0]} inputs, needs {a.shape[1]}, the outputs of "
                f"weights[{i}]"
            )
    if biases is None:
        biases = [np.zeros(w.shape[1], w.dtype) for w in ws]
    bs = [checked(f"biases[{i}]", b, "finite numbers", np.isfinite) for i, b in enumerate(biases)]
    if len(bs) != len(ws):
        raise ValueError(f"biases: got {len(bs)}, needs {len(ws)}, one per layer")
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        if b.shape != w.shape[1:]:
            raise ValueError(f"biases[{i}]: got shape {b.shape}, needs ({w.shape[1]},)")
    dtype = jnp.result_type(*ws, *bs)
    return _in(dtype, ws), _in(dtype, bs)


def _in(dtype: Any, arrays: list[Array]) -> list[Any]:
    return [
        (np.asarray(a) if is_concrete(a) else a).astype(dtype) if a.dtype != dtype else a
        for a in arrays
    ]


def _unstacked(layer: eqx.nn.Linear) -> list[eqx.nn.Linear]:
    """The layers of a block that was built with scan=True, which stacks their weights."""
    if layer.weight.ndim == 2:
        return [layer]
    return [jax.tree.map(lambda p, i=i: p[i], layer) for i in range(layer.weight.shape[0])]
