"""What a fault or a gradient is judged by: a number for the output voltages of a data set."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xbar.learn.mlp import class_logits, cross_entropy
from xbar.nn import Network

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
