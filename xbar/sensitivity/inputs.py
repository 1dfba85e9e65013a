"""What the functions of this package are given: checks, one sentence each; and losses by name.

A loss is what a fault or a gradient is judged by: a number for the output voltages of a data set.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.checks import (
    cast,
    check_fits,
    check_kind,
    checked,
    finite_from_0,
    is_concrete,
    on_device,
    warn_of_ohms,
)
from xbar.learn.mlp import class_logits, classes_of, cross_entropy
from xbar.nn import Network


def labelled(net: Network, x: Any, labels: Any) -> tuple[Float[Array, "n inputs"], Array]:
    """Inputs and labels of a network, checked as far as they are concrete.

    Raises:
        TypeError: `net` is no network, or x is not real numbers.
        ValueError: shapes that do not fit each other or the network, or labels that are no
            integers from 0 to classes - 1.
    """
    check_kind("net", net, Network, "xbar.Network")
    inputs = net.layers[0].pairs.shape[0] - 1
    outputs = net.layers[-1].outputs
    classes = classes_of(outputs)
    x_ = checked("x", x, "finite numbers", np.isfinite)
    if x_.ndim != 2 or x_.shape[1] != inputs or x_.shape[0] == 0:
        raise ValueError(f"x: got shape {x_.shape}, needs (n, {inputs}), n at least 1")
    labels_ = _integers(labels)
    if labels_.shape != x_.shape[:1] or not jnp.issubdtype(labels_.dtype, jnp.integer):
        raise ValueError(
            f"labels: got {labels_.dtype} {labels_.shape}, needs integers ({len(x_)},), one per "
            "row of x"
        )
    if is_concrete(labels_):
        host = np.asarray(labels_)
        if len(wrong := host[(host < 0) | (host >= classes)]):
            each = "one per output" if outputs > 1 else "which one output tells apart"
            raise ValueError(f"labels: got {wrong[0]}, needs 0..{classes - 1}, {each}")
    return cast(x_, net.k_in.dtype), labels_


def cells_of(cells: Any, shape: tuple[int, ...]) -> Int[Array, "*sets k 2"]:
    """Cells as pairs (row, column) of an array.

    Raises:
        ValueError: no integers, no pairs, or a concrete index that is out of range.
    """
    array = _integers(cells)
    if not jnp.issubdtype(array.dtype, jnp.integer) or array.ndim < 2 or array.shape[-1] != 2:
        raise ValueError(
            f"cells: got {array.dtype} {array.shape}, needs integers (k, 2), row and column each"
        )
    if is_concrete(array):
        host = np.asarray(array).reshape(-1, 2)
        if len(wrong := host[np.any((host < 0) | (host >= np.array(shape)), axis=1)]):
            raise ValueError(
                f"cells: got ({wrong[0][0]}, {wrong[0][1]}), needs rows 0..{shape[0] - 1} and "
                f"columns 0..{shape[1] - 1}"
            )
    return array


def conductances(name: str, value: Any, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Conductances that fit a shape, each finite and >= 0 [S].

    Raises:
        TypeError: not real numbers.
        ValueError: another shape, or a concrete value that is negative, infinite or NaN.
    """
    g = checked(name, value, "finite conductances >= 0 [S]", finite_from_0)
    check_fits(name, g.shape, shape)
    warn_of_ohms(name, value, "1 / resistance")
    return jnp.broadcast_to(g, shape)


def _integers(values: Any) -> Array:
    """As a JAX array, without compiling anything for known ones."""
    return values if isinstance(values, jax.Array) else on_device(values)


Criterion = str | Callable[[Array, Array], Array]
"""A key of `LOSSES`, or a function of voltages (n, classes) [V] and labels (n,), returning ()."""


def margin(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Float[Array, ""]:
    """Mean over the inputs of (largest other logit - logit of the label); larger is worse.

    Args:
        logits: (n, classes), or (n, 1), which tells two classes apart.
        labels: the class of each input, (n,).

    Returns:
        ().
    """
    logits = class_logits(logits)
    own = labels[:, None] == jnp.arange(logits.shape[1])
    others = jnp.max(jnp.where(own, -jnp.inf, logits), axis=1)
    return jnp.mean(others - jnp.sum(jnp.where(own, logits, 0), axis=1))


LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
}
"""Losses by name; they see logits, the output voltages divided by `Network.output_scale`."""


def loss_of(loss: Criterion, net: Network) -> Callable[[Array, Array], Array]:
    """The function of voltages and labels that a `loss` argument stands for.

    Raises:
        ValueError: no loss has that name.
        TypeError: neither a name nor a function.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss: got {loss!r}, needs one of {sorted(LOSSES)} or a function")
        named = LOSSES[loss]
        return lambda voltages, labels: named(voltages / net.output_scale, labels)
    if not callable(loss):
        raise TypeError(f"loss: got {type(loss).__name__}, needs a name or a function")
    return loss
