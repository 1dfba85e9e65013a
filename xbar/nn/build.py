"""From a trained software network to layers: checks, voltage scales, mapping."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.activations import ACTIVATIONS
from xbar.checks import checked, finite_above_0
from xbar.circuit import Wires
from xbar.devices.mapping import Window, map_weights
from xbar.nn.layer import Layer, Readout


def build_layers(
    weights: Sequence[Any],
    biases: Sequence[Any] | None,
    *,
    activation: str,
    window: Window | Sequence[Window] | None,
    wires: Wires | Sequence[Wires] | None,
    mapping: str,
    v_read: Any,
    v_bias: Any,
    calibration: Any,
    k: Any,
    amplifier: dict[str, Any],
) -> tuple[tuple[Layer, ...], Float[Array, ""]]:
    """Layers and input scale of a trained network; see `Network.from_weights`."""
    _check_activation(activation)
    ws, bs = _parameters(weights, biases)
    count, dtype = len(ws), ws[0].dtype
    windows = per_layer("window", window, Window, Window.preset, count)
    all_wires = per_layer("wires", wires, Wires, Wires, count)
    v_read_ = checked("v_read", v_read, "a finite value > 0 [V]", finite_above_0, 0).astype(dtype)
    v_bias_ = (
        v_read_
        if v_bias is None
        else checked("v_bias", v_bias, "a finite value != 0 [V]", _nonzero, 0).astype(dtype)
    )
    ks = _scales(ws, bs, activation, v_read_, calibration, k)
    layers = []
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        rows = jnp.concatenate([w, b[None] * (ks[i] / v_bias_)])
        pairs, s = map_weights(rows, windows[i], mapping)
        readout = Readout(ks[i + 1] / (s * ks[i]), **amplifier)
        lines = jax.tree.map(lambda r: r.astype(dtype), all_wires[i])
        phi = activation if i < count - 1 else None
        layers.append(Layer(pairs, windows[i], lines, readout, s, ks[i + 1], v_bias_, phi))
        layers[-1].array()  # raises now where the wires' shapes do not fit
    return tuple(layers), ks[0]


def unpack_mlp(mlp: Any) -> tuple[list[Array], list[Array], str]:
    """Weights (inputs, outputs), biases and activation of an MLP; see `Network.from_mlp`."""
    if not isinstance(mlp, eqx.nn.MLP):
        raise TypeError(f"mlp: got {type(mlp).__name__}, needs an equinox.nn.MLP")
    if _name_of(mlp.final_activation, {"identity": lambda x: x}) is None:
        raise ValueError(
            "mlp.final_activation: got one that changes its input, needs the identity (there is "
            "no activation after the last array)"
        )
    layers = [layer for block in mlp.layers for layer in _unstacked(block)]
    # Without hidden layers there is nothing for the activation to act on.
    name = "relu" if len(layers) == 1 else _name_of(mlp.activation, ACTIVATIONS)
    if name is None:
        raise ValueError(f"mlp.activation: got {mlp.activation}, needs one of {list(ACTIVATIONS)}")
    weights = [layer.weight.T for layer in layers]
    biases = [
        jnp.zeros_like(w[0]) if layer.bias is None else layer.bias
        for layer, w in zip(layers, weights, strict=True)
    ]
    return weights, biases, name


def volts_per_unit(
    weights: Sequence[Any],
    biases: Sequence[Any] | None,
    x: Any,
    *,
    activation: str = "relu",
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
        activation: "relu", "tanh" or "sigmoid".
        v_read: full-scale voltage, () [V].

    Returns:
        k, (layers + 1,) [V].

    Raises:
        TypeError, ValueError: as `Network.from_weights`, or x has another shape, is empty, or has
            a concrete value that is not finite.
    """
    _check_activation(activation)
    ws, bs = _parameters(weights, biases)
    a = checked("calibration", x, "finite numbers", np.isfinite).astype(ws[0].dtype)
    if a.ndim != 2 or a.shape[1] != ws[0].shape[0] or a.shape[0] == 0:
        raise ValueError(f"calibration: got shape {a.shape}, needs (n, {ws[0].shape[0]})")
    largest = [jnp.max(jnp.abs(a))]
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        a = a @ w + b
        a = a if i == len(ws) - 1 else ACTIVATIONS[activation](a)
        size = jnp.abs(a)
        top = jnp.percentile(size, 99.9)
        largest.append(jnp.where(top > 0, top, jnp.max(size)))
    full = jnp.stack(largest)
    return jnp.asarray(v_read, full.dtype) / jnp.where(full > 0, full, 1)


def _check_activation(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: got {activation!r}, needs one of {list(ACTIVATIONS)}")


def _scales(
    ws: list[Array], bs: list[Array], activation: str, v_read: Array, calibration: Any, k: Any
) -> Float[Array, " layers_1"]:
    if calibration is not None and k is not None:
        raise ValueError("k: got k and calibration, needs one of them or neither")
    if calibration is not None:
        return volts_per_unit(ws, bs, calibration, activation=activation, v_read=v_read)
    if k is None:
        return jnp.broadcast_to(v_read, (len(ws) + 1,))
    ks = checked("k", k, "finite values > 0 [V]", finite_above_0, 1)
    if ks.shape != (len(ws) + 1,):
        raise ValueError(f"k: got {ks.size} values, needs {len(ws) + 1}, layers + 1")
    return ks.astype(ws[0].dtype)


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
        biases = [jnp.zeros_like(w[0]) for w in ws]
    bs = [checked(f"biases[{i}]", b, "finite numbers", np.isfinite) for i, b in enumerate(biases)]
    if len(bs) != len(ws):
        raise ValueError(f"biases: got {len(bs)}, needs {len(ws)}, one per layer")
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        if b.shape != w.shape[1:]:
            raise ValueError(f"biases[{i}]: got shape {b.shape}, needs ({w.shape[1]},)")
    dtype = jnp.result_type(*ws, *bs)
    return [w.astype(dtype) for w in ws], [b.astype(dtype) for b in bs]


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


def _name_of(function: Any, known: dict[str, Callable[[Array], Array]]) -> str | None:
    """Which known function this is, told by its values, as each has several names and wrappers."""
    with jax.ensure_compile_time_eval():
        x = jnp.array([-30.0, -7.0, -1.3, -0.2, 0.0, 0.4, 1.1, 6.5, 30.0])
        y = jax.vmap(function)(x)
        if y.shape == x.shape:
            for name, phi in known.items():
                if bool(jnp.allclose(y, phi(x), rtol=1e-5, atol=1e-7)):
                    return name
    return None


def _unstacked(layer: eqx.nn.Linear) -> list[eqx.nn.Linear]:
    """The layers of a block that was built with scan=True, which stacks their weights."""
    if layer.weight.ndim == 2:
        return [layer]
    return [jax.tree.map(lambda p, i=i: p[i], layer) for i in range(layer.weight.shape[0])]


def _nonzero(x: Any) -> Any:
    return np.isfinite(x) & (x != 0)
