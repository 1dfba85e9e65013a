"""Any Equinox model on arrays: its linear and convolutional layers are replaced, all else stays."""

import dataclasses
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from xbar.checks import check_kind, checked
from xbar.nn.build import FITTED, converted, full_of, with_fitted_gain
from xbar.nn.conv import Conv
from xbar.nn.hardware import Hardware
from xbar.nn.linear import Linear
from xbar.nn.on_arrays import AbstractOnArrays, Chip, Fixed

# Rows that converters and gains are fitted to: patches are many.
MOST_ROWS = 4096

_CONVS = (eqx.nn.Conv, eqx.nn.Conv1d, eqx.nn.Conv2d, eqx.nn.Conv3d)
_KINDS: dict[type, Any] = {eqx.nn.Linear: Linear, **dict.fromkeys(_CONVS, Conv)}


def convert(
    model: Any,
    hardware: Hardware | None = None,
    *,
    calibration: Any = None,
    state: eqx.nn.State | None = None,
    run: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """An Equinox model whose linear and convolutional layers are computed by arrays.

    Batch normalisation behind such a layer in an `eqx.nn.Sequential` is folded into it. Pooling,
    activations and whatever else has no weights stay as they are; what has weights and stays in
    software is named in a warning.

    ```python
    hardware = xb.Hardware(tile=(65, 128), wires=xb.Wires(1.0, 1.0))
    on_arrays = xb.convert(lenet, hardware, calibration=x)
    logits = jax.vmap(on_arrays)(x)
    ```

    The software weights are the parameters: `equinox.filter_grad` of a loss trains them through
    the circuit.

    Args:
        model: any pytree of modules.
        hardware: of all layers; None is the ideal circuit.
        calibration: inputs, (n, ...), each as the model takes it: what is largest in each layer
            there is driven with v_read (the first 256 are looked at). None takes v_read volts per
            unit everywhere.
        state: of batch normalisations, as `eqx.nn.make_with_state` gives it; their running
            statistics are folded.
        run: how one input goes through the model, ``run(model, x)``; None calls it.

    Returns:
        The model on arrays.

    Raises:
        TypeError: hardware of another kind.
        ValueError: nothing to convert, a calibration that is not finite numbers, or one that does
            not reach a layer.
    """
    hardware = Hardware() if hardware is None else hardware
    check_kind("hardware", hardware, Hardware, "xbar.Hardware")
    shared = lambda x: isinstance(x, eqx.nn.Shared)  # noqa: E731
    if any(map(shared, jax.tree.leaves(model, is_leaf=shared))):
        raise ValueError("model: got eqx.nn.Shared, needs layers with weights of their own")
    model = jax.tree.map(
        lambda part: _folded(part, state), model, is_leaf=lambda x: type(x) is eqx.nn.Sequential
    )
    software = [layer for layer in _leaves(model) if _is_layer(layer)]
    if not software:
        kinds = ", ".join(f"eqx.nn.{kind.__name__}" for kind in _KINDS)
        raise ValueError(f"model: got no layer to convert, needs one of {kinds}")
    seen = [None] * len(software) if calibration is None else _recorded(model, calibration, run)
    made = iter(
        _on_arrays(layer, hardware, record) for layer, record in zip(software, seen, strict=True)
    )
    found = jax.tree.map(lambda x: next(made) if _is_layer(x) else x, model, is_leaf=_is_layer)
    if left := _left(found):
        warnings.warn(f"convert: stays in software: {', '.join(left)}", UserWarning, stacklevel=2)
    return found


def prepare(model: Any) -> Any:
    """A converted model with its transfer matrices kept, for inference: products do the rest.

    Its weights no longer count, nor receive gradients.
    """
    return on_layers(model, lambda _, layer: _with(layer, known=layer.transfers()))


def on_layers(model: Any, function: Callable[[int, AbstractOnArrays], AbstractOnArrays]) -> Any:
    """A model with each layer on arrays replaced, by its number.

    Raises:
        ValueError: there is none.
    """
    count = iter(range(10**9))
    here = lambda x: isinstance(x, AbstractOnArrays)  # noqa: E731
    if not any(map(here, jax.tree.leaves(model, is_leaf=here))):
        raise ValueError("model: got no layers on arrays, needs some: see xbar.nn.convert")
    return jax.tree.map(lambda x: function(next(count), x) if here(x) else x, model, is_leaf=here)


def with_chip(model: Any, key: PRNGKeyArray, **changes: Any) -> Any:
    """A model on a chip, which forgets its transfer matrices; layer n takes `fold_in(key, n)`."""

    def changed(number: int, layer: AbstractOnArrays) -> AbstractOnArrays:
        own = jax.random.fold_in(key, number)
        chip = Chip(own) if layer.chip is None else layer.chip._replace(key=own)
        return _with(layer, chip=chip._replace(**changes), known=None)

    return on_layers(model, changed)


def _with(layer: Any, **changes: Any) -> Any:
    """The layer with other fields; static ones and those of None, too, unlike `eqx.tree_at`."""
    made = object.__new__(type(layer))
    for field in dataclasses.fields(layer):
        object.__setattr__(made, field.name, changes.get(field.name, getattr(layer, field.name)))
    return made


class _Record(NamedTuple):
    """What went through a layer: inputs and outputs, each (n, ...)."""

    x: np.ndarray
    y: np.ndarray


class _Recorder(eqx.Module):
    """A layer that notes what goes through it."""

    layer: Any
    note: Callable[[Any, Any], None] = eqx.field(static=True)

    def __call__(self, x: Any, **options: Any) -> Any:
        y = self.layer(x, **options)
        jax.debug.callback(self.note, x, y)
        return y


def _recorded(model: Any, calibration: Any, run: Callable[[Any, Any], Any] | None) -> list[_Record]:
    samples = checked("calibration", calibration, "finite numbers", np.isfinite)
    if not samples.ndim or not len(samples):
        raise ValueError(f"calibration: got shape {samples.shape}, needs (n, ...)")
    kept: list[list[tuple[Any, Any]]] = []

    def watched(layer: Any) -> Any:
        kept.append([])
        own = kept[-1]
        return _Recorder(layer, lambda x, y: own.append((np.asarray(x), np.asarray(y))))

    watching = eqx.nn.inference_mode(
        jax.tree.map(lambda x: watched(x) if _is_layer(x) else x, model, is_leaf=_is_layer)
    )
    one = (lambda x: watching(x)) if run is None else (lambda x: run(watching, x))
    params = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    jax.block_until_ready(jax.vmap(one)(samples[:FITTED].astype(params[0].dtype)))
    jax.effects_barrier()
    for number, notes in enumerate(kept):
        if not notes:
            raise ValueError(
                f"calibration: got none through layer {number}, needs a model that uses it"
            )
    return [_Record(*(np.stack(part) for part in zip(*notes, strict=True))) for notes in kept]


def _on_arrays(layer: Any, hardware: Hardware, record: _Record | None) -> AbstractOnArrays:
    """One layer with scales, converters' ranges and gains as what went through it asks for."""
    v_read = float(hardware.v_read)
    kind = _kind(layer)
    if record is None:
        return kind.of(layer, Fixed(hardware, v_read, v_read))
    k_in = v_read / (float(np.abs(record.x).max()) or 1.0)
    k_out = v_read / (float(full_of(np.abs(record.y))) or 1.0)
    made = kind.of(layer, Fixed(hardware, k_in, k_out))
    converters = hardware.dac is not None or hardware.adc is not None
    if not converters and hardware.law() is None:
        return made
    each = jax.vmap(made.rows)(jnp.asarray(record.x))
    rows = [np.asarray(part).reshape(-1, part.shape[-1])[:MOST_ROWS] for part in each]
    parts = [(np.asarray(w), np.asarray(b)) for w, b in made.matrices()]
    sums = [
        converted(k_in * a, w, b, hardware, k_in, k_out)
        for a, (w, b) in zip(rows, parts, strict=True)
    ]
    whole = np.concatenate([part.ravel() for part in rows])
    ranged = hardware.calibrated(k_in * whole, np.concatenate([part.ravel() for part in sums]))
    made = kind.of(layer, Fixed(ranged, k_in, k_out))
    if hardware.law() is None:
        return made
    (w, b), plain = parts[0], made.layers()[0]
    fitted = with_fitted_gain(plain, k_in * rows[0], k_out * (rows[0] @ w + b))
    gain = float(np.mean(np.asarray(fitted.readout.r_f) / np.asarray(plain.readout.r_f)))
    return kind.of(layer, Fixed(ranged, k_in, k_out, gain))


def _leaves(model: Any) -> list[Any]:
    return jax.tree.leaves(model, is_leaf=_is_layer)


def _kind(layer: Any) -> Any:
    """What a layer becomes; None for what stays as it is."""
    kind = _KINDS.get(type(layer))
    # Stacked layers (scan) lead with a further axis.
    stacked = kind is Linear and layer.weight.ndim != 2
    return None if stacked else kind


def _is_layer(x: Any) -> bool:
    return _kind(x) is not None


def _folded(part: Any, state: eqx.nn.State | None) -> Any:
    """A `Sequential` with batch normalisation folded into the layer before it."""
    if type(part) is not eqx.nn.Sequential:
        return part
    layers = [_folded(layer, state) for layer in part.layers]
    for n, (one, norm) in enumerate(pairwise(layers)):
        if _is_layer(one) and isinstance(norm, eqx.nn.BatchNorm) and state is not None:
            layers[n : n + 2] = [_fold(one, norm, state), eqx.nn.Identity()]
    return eqx.nn.Sequential(layers)


def _fold(layer: Any, norm: eqx.nn.BatchNorm, state: eqx.nn.State) -> Any:
    mean, var = _statistics(norm, state)
    scale = 1 / jnp.sqrt(var + norm.eps)
    shift = -mean * scale
    if norm.weight is not None and norm.bias is not None:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    axes = (slice(None), *(None,) * (layer.weight.ndim - 1))
    weight = (layer.weight * scale[axes]).astype(layer.weight.dtype)
    old = 0 if layer.bias is None else layer.bias.reshape(-1)
    shape = (-1,) if layer.weight.ndim == 2 else (-1, *(1,) * (layer.weight.ndim - 2))
    bias = (old * scale + shift).reshape(shape).astype(layer.weight.dtype)
    return _with(layer, weight=weight, bias=bias, use_bias=True)


def _statistics(norm: eqx.nn.BatchNorm, state: eqx.nn.State) -> tuple[Any, Any]:
    if norm.ema_state_index is not None:
        return state.get(norm.ema_state_index)
    assert norm.batch_counter is not None
    assert norm.batch_state_index is not None
    count = state.get(norm.batch_counter)
    mean, var = state.get(norm.batch_state_index)
    scale = jnp.where(count == 0, 1, 1 - norm.momentum**count)
    return mean / scale, var / scale


def _left(model: Any) -> list[str]:
    """Paths of weights that no array holds."""
    here = lambda x: isinstance(x, AbstractOnArrays)  # noqa: E731
    paths = jax.tree_util.tree_flatten_with_path(model, is_leaf=here)[0]
    return [
        jax.tree_util.keystr(path)
        for path, leaf in paths
        if not here(leaf) and eqx.is_inexact_array(leaf)
    ]
