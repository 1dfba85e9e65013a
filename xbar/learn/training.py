"""Training of any model by any loss, in one compiled loop; through a circuit, if the loss has one.

It knows no circuit itself: `docs/training.md` says what a loss through one looks like.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from xbar.checks import flag

LEARNING_RATE = 1e-3

Model = TypeVar("Model")
BatchLoss = Callable[[Any, Array, Array, PRNGKeyArray], Array]


def train(
    model: Model,
    x: Any,
    y: Any,
    loss: BatchLoss,
    *,
    key: PRNGKeyArray,
    steps: int,
    batch_size: int = 64,
    optimiser: optax.GradientTransformation | None = None,
    remember: bool = True,
) -> tuple[Model, Float[Array, " steps"]]:
    """Minimise a loss over minibatches that are drawn anew for each step.

    ```python
    def loss(model, x, y, key):                   # a fresh chip a step
        chip = xb.nn.program(model, key)
        return cross_entropy(jax.vmap(chip)(x), y)

    model, losses = train(model, x, y, loss, key=key, steps=300)
    ```

    Args:
        model: any pytree; its floating-point arrays are trained.
        x: inputs, (n, ...).
        y: labels or targets, (n, ...).
        loss: of the model, a minibatch of x and of y, and a key of this step: a number (). A loss
            that is a module may hold arrays, such as a fault map, that change from call to call
            without compiling anew.
        key: JAX key.
        steps: number of updates.
        batch_size: samples per update; n or more takes all of them.
        optimiser: of optax; None takes `adam` with a cosine decay from 1e-3 to 0. Another object
            compiles anew: make one for all calls.
        remember: keep what the forward pass found for the backward pass; False computes it again,
            which takes less memory and more time.

    Returns:
        The trained model, and the loss of each step, (steps,). A loss that is not finite leaves
        the model of the step before, and shows.

    Raises:
        ValueError: x and y differ in length, or an option is below 1.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    if len(x) != len(y) or not len(x):
        raise ValueError(f"y: got {len(y)} of them, needs one for each of {len(x)} inputs")
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, needs at least 1")
    size = min(batch_size, len(x))
    return _train(model, x, y, loss, key, steps, size, optimiser, flag("remember", remember))


@eqx.filter_jit
def _train(
    model: Any,
    x: Array,
    y: Array,
    loss: BatchLoss,
    key: PRNGKeyArray,
    steps: int,
    size: int,
    optimiser: optax.GradientTransformation | None,
    remember: bool,
) -> tuple[Any, Array]:
    descent = optimiser or optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def judged(params: PyTree, x: Array, y: Array, key: PRNGKeyArray) -> Array:
        return loss(eqx.combine(params, static), x, y, key)

    slope = jax.value_and_grad(judged if remember else eqx.filter_checkpoint(judged))

    def step(carry: tuple[PyTree, PyTree], number: Array) -> tuple[Any, Array]:
        draw, own = jax.random.split(jax.random.fold_in(key, number))
        rows = jax.random.choice(draw, len(x), (size,), replace=False)
        value, gradient = slope(carry[0], x[rows], y[rows], own)
        updates, state = descent.update(gradient, carry[1], carry[0])
        moved = optax.apply_updates(carry[0], updates), state
        finite = [jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(gradient)]
        sound = jnp.isfinite(value) & jnp.all(jnp.stack(finite))
        keep = jax.tree.map(lambda new, old: jnp.where(sound, new, old), moved, carry)
        return keep, jnp.where(sound, value, jnp.nan)

    start = params, descent.init(params)
    (params, _), losses = jax.lax.scan(step, start, jnp.arange(steps))
    return eqx.combine(params, static), losses
