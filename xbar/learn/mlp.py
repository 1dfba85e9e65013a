"""The plain software multilayer perceptron and its training. It knows no circuit.

    a_0 = x        z_l = a_l W_l + b_l        a_{l+1} = phi(z_l)        logits = z_{L-1}

There is no activation after the last layer. Every array may lead with further axes (seeds,
circuits): models are stacked by `jax.vmap`, trained together by `fit_many` and called as one model.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import dtypes
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree, UInt32

from xbar.activations import ACTIVATIONS
from xbar.checks import check_word, checked, finite_from_0, is_concrete
from xbar.fields import described

# Standard deviation of a new weight times sqrt(inputs): He et al. 2015 for ReLU, LeCun for tanh;
# a sigmoid's slope at 0 is a quarter of tanh's, hence 4.
_GAIN = {"relu": 2.0**0.5, "tanh": 1.0, "sigmoid": 4.0, "identity": 1.0}

# No circuit has the identity, so it is not among `ACTIVATIONS`; here, it makes hidden layers a
# linear map of limited rank.
_PHI: dict[str, Callable[[Array], Array]] = ACTIVATIONS | {"identity": lambda a: a}

# Defaults of `fit`, chosen on 16 seeds of 64-50-20-8-10 with 1,078 digits each by the accuracy on
# the 359 images of the corrector part (ReLU, float64): 97.3 % with these. One changed at a time:
# learning rate 3e-3 97.2 %, 3e-2 91.9 % (one network collapsed); weight decay 0.05 97.5 %, 0.3
# 97.2 %; batches of 16 97.0 %, 64 97.5 %; 2,000 steps 97.0 %, 8,000 97.6 %. Tanh 97.4 %, sigmoid
# 97.1 %. All of it lies within noise except the large learning rate and the few steps.
STEPS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 4000, 32, 1e-2, 0.1

Model = TypeVar("Model", bound=eqx.Module)
Loss = Callable[[Array, Array], Array]
"""Of outputs (n, outputs) and what they should be, labels (n,) or targets like them: ()."""


@final
class MLP(eqx.Module):
    """A multilayer perceptron: linear layers with `activation` between them, none at the end.

    Args:
        weights: one (inputs, outputs) per layer; stacked models lead with further axes.
        biases: one (outputs,) per layer, with the same leading axes.
        activation: "relu", "tanh", "sigmoid" or "identity".

    Raises:
        ValueError: a shape does not follow from the one before, or the activation is unknown.
    """

    weights: tuple[Float[Array, "... _ _"], ...] = eqx.field(
        converter=lambda weights: tuple(jnp.asarray(w) for w in weights),
        metadata=described("1", ("input", "output"), "weights of each layer"),
    )
    biases: tuple[Float[Array, "... _"], ...] = eqx.field(
        converter=lambda biases: tuple(jnp.asarray(b) for b in biases),
        metadata=described("1", ("output",), "biases of each layer"),
    )
    activation: str = eqx.field(static=True, default="relu")

    def __check_init__(self) -> None:
        check_word("activation", self.activation, list(_PHI))
        if not self.weights or len(self.weights) != len(self.biases):
            raise ValueError(
                f"MLP.biases: got {len(self.biases)} for {len(self.weights)} layers of weights, "
                "needs one per layer and at least one layer"
            )
        for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            if b.shape != w.shape[:-2] + w.shape[-1:]:
                raise ValueError(
                    f"MLP.biases[{layer}]: got shape {b.shape} beside weights of {w.shape}, needs "
                    "(outputs,) beside (inputs, outputs)"
                )
        for layer, (left, right) in enumerate(pairwise(self.weights), start=1):
            if left.shape[-1] != right.shape[-2]:
                raise ValueError(
                    f"MLP.weights[{layer}]: got {right.shape[-2]} inputs, needs the "
                    f"{left.shape[-1]} outputs of the layer before"
                )

    @staticmethod
    def init(
        key: PRNGKeyArray,
        sizes: Sequence[int],
        activation: str = "relu",
        dtype: Any = None,
    ) -> "MLP":
        """Draw a new network: weights normal with variance gain^2 / inputs, biases 0.

        Args:
            key: JAX key.
            sizes: units per layer, inputs first, such as (64, 50, 20, 8, 10).
            activation: "relu", "tanh", "sigmoid" or "identity".
            dtype: floating dtype; None takes JAX's default.

        Returns:
            The network.

        Raises:
            ValueError: fewer than two sizes, a size below 1, or an unknown activation.
        """
        check_word("activation", activation, list(_PHI))
        if len(sizes) < 2 or any(size != int(size) or size < 1 for size in sizes):
            raise ValueError(
                f"MLP.init sizes: got {tuple(sizes)}, needs two or more layers of at least 1 unit"
            )
        dtype = dtypes.canonicalize_dtype(float if dtype is None else dtype)
        shapes = list(pairwise(sizes))
        gains = [_GAIN[activation]] * (len(shapes) - 1) + [1.0]  # nothing follows the last layer
        # One draw for all layers: each draw would cost about a second of compilation.
        counts = np.array([n_in * n_out for n_in, n_out in shapes])
        draws = jnp.split(jax.random.normal(key, (counts.sum(),), dtype), counts.cumsum()[:-1])
        weights = [
            gain * shape[0] ** -0.5 * draw.reshape(shape)
            for draw, gain, shape in zip(draws, gains, shapes, strict=True)
        ]
        return MLP(tuple(weights), tuple(jnp.zeros(n, dtype) for n in sizes[1:]), activation)

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases of one network (of each, when stacked)."""
        return sum((w.shape[-2] + 1) * w.shape[-1] for w in self.weights)

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        """Logits of the inputs; a stacked model pairs its leading axes with those of x.

        Args:
            x: inputs, (inputs,) or (..., n, inputs).

        Returns:
            Logits, (outputs,) or (..., n, outputs).

        Raises:
            ValueError: x has another number of inputs than the first layer.
        """
        if x.shape[-1] != (need := self.weights[0].shape[-2]):
            raise ValueError(f"MLP x: got {x.shape[-1]} inputs per sample, needs {need}")
        if x.ndim == 1:
            return self(x[None])[..., 0, :]
        act, a = _PHI[self.activation], x
        for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            a = (act(a) if layer else a) @ w + b[..., None, :]
        return a


def classes_of(outputs: int) -> int:
    """How many classes so many outputs tell apart: as many, but one output two, by its sign."""
    return max(2, outputs)


def class_logits(outputs: Float[Array, "*n outputs"]) -> Float[Array, "*n classes"]:
    """A logit for each class: of one output z, as of logistic regression, 0 and z.

    Args:
        outputs: (..., outputs).

    Returns:
        (..., classes_of(outputs)).
    """
    if outputs.shape[-1] > 1:
        return outputs
    return jnp.concatenate([jnp.zeros_like(outputs), outputs], -1)


def cross_entropy(
    logits: Float[Array, "*batch n classes"], labels: Int[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Mean over samples of -log softmax(logits)[label].

    Args:
        logits: (..., n, classes); of one output, which tells two classes apart by its sign, it is
            the logistic loss.
        labels: (..., n), integers 0..classes-1.

    Returns:
        (...,) [nat].
    """
    logits = class_logits(logits)
    # The label's logit by selection: what gathering it makes of a gradient is a loop over samples.
    own = labels[..., None] == jnp.arange(logits.shape[-1])
    picked = jnp.where(own, logits, 0).sum(-1)
    picked = jnp.where(own.any(-1), picked, jnp.nan)  # a label that there is no class for
    return (jax.nn.logsumexp(logits, axis=-1) - picked).mean(-1)


def accuracy(
    logits: Float[Array, "*batch n classes"], labels: Int[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Share of the samples whose largest logit is the label's.

    Args:
        logits: logits or output voltages, (..., n, classes), or one output (..., n, 1), which is
            above 0 for the second of two classes.
        labels: (..., n), integers 0..classes-1.

    Returns:
        (...,), 0 to 1; NaN where a logit is NaN, so that a circuit which failed to solve never
        passes for a bad one.
    """
    right = jnp.mean(jnp.argmax(class_logits(logits), -1) == labels, -1, dtype=logits.dtype)
    return jnp.where(jnp.isnan(logits).any((-2, -1)), jnp.nan, right)


def fit(
    model: Model,
    x: Float[Array, "n inputs"],
    labels: Int[Array, " n"] | Float[Array, "n outputs"],
    *,
    key: PRNGKeyArray,
    steps: int = STEPS,
    batch_size: int | None = BATCH_SIZE,
    learning_rate: float | int | Float[Array, ""] = LEARNING_RATE,
    weight_decay: float | int | Float[Array, ""] = WEIGHT_DECAY,
    trainable: PyTree | None = None,
    loss: Loss = cross_entropy,
) -> Model:
    """Minimise a loss with AdamW and a cosine decay to 0, in one compiled loop.

    Works for any module that maps (n, inputs) to logits. All its floating-point arrays are
    trained; weight decay acts on matrices, not on biases. Vmaps over everything that is an array.

    Args:
        model: where training starts.
        x: inputs, (n, inputs), in the model's dtype.
        labels: (n,), integers 0..outputs-1; or targets (n, outputs), where the loss takes them.
        key: JAX key, shuffles the samples (unused when a batch is all of them).
        steps: number of updates.
        batch_size: samples per update; the samples are shuffled once and visited in that order,
            the batches of a pass overlapping slightly where they do not divide n; None (or more
            than n) uses all.
        learning_rate: of the first step.
        weight_decay: AdamW's, times the learning rate per step.
        trainable: None, or a pytree like `eqx.filter(model, eqx.is_inexact_array)` of arrays of
            0 and 1 (or booleans): an entry with 0 keeps its value to the last bit.
        loss: the cross-entropy, or one of `xbar.learn.scores`.

    Returns:
        The trained model.

    Raises:
        ValueError: the lengths differ, or a label or an option is out of range.
    """
    logits = eqx.filter_eval_shape(lambda model, x: model(x), model, x)
    rates = (learning_rate, weight_decay)
    check_fit(logits.shape, labels, steps, batch_size, rates, loss)
    return _fit(model, x, labels, key, steps, batch_size, rates, trainable, loss)


def fit_many(
    models: Model,
    x: Float[Array, "models n inputs"],
    labels: Int[Array, "models n"] | Float[Array, "models n outputs"],
    *,
    keys: Key[Array, " models"] | UInt32[Array, "models 2"],
    steps: int = STEPS,
    batch_size: int | None = BATCH_SIZE,
    learning_rate: float | int | Float[Array, ""] = LEARNING_RATE,
    weight_decay: float | int | Float[Array, ""] = WEIGHT_DECAY,
    trainable: PyTree | None = None,
    loss: Loss = cross_entropy,
) -> Model:
    """`fit`, once per leading index of every array, in one compiled call.

    Args:
        models: stacked models, as from `eqx.filter_vmap(lambda k: MLP.init(k, sizes))(keys)`.
        x: inputs, (models, n, inputs).
        labels: (models, n), or targets (models, n, outputs).
        keys: JAX keys, (models,).
        steps: as for `fit`; so are batch_size, learning_rate and weight_decay.
        batch_size: the same for all.
        learning_rate: the same for all.
        weight_decay: the same for all.
        trainable: as for `fit`, stacked like the models.
        loss: as for `fit`.

    Returns:
        The stacked trained models.

    Raises:
        ValueError: as `fit`.
    """
    forward = eqx.filter_vmap(lambda model, x: model(x))
    logits = eqx.filter_eval_shape(forward, models, x).shape
    rates = (learning_rate, weight_decay)
    check_fit(logits, labels, steps, batch_size, rates, loss)
    return _fit_many(models, x, labels, keys, steps, batch_size, rates, trainable, loss)


@eqx.filter_jit
def _fit(
    model: Model,
    x: Array,
    labels: Array,
    key: PRNGKeyArray,
    steps: int,
    batch_size: int | None,
    rates: tuple[Any, Any],
    trainable: PyTree | None,
    judge: Loss,
) -> Model:
    learning_rate, weight_decay = rates
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimiser = optax.adamw(
        optax.cosine_decay_schedule(learning_rate, steps),
        weight_decay=weight_decay,
        mask=jax.tree.map(lambda p: p.ndim > 1, params),
    )

    def loss(params: PyTree, x: Array, labels: Array) -> Array:
        return judge(eqx.combine(params, static)(x), labels)

    def step(carry: tuple[PyTree, PyTree], start: Array | None) -> tuple[Any, None]:
        params, state = carry
        batch = data
        if start is not None:
            batch = [jax.lax.dynamic_slice_in_dim(a, start, size) for a in data]
        updates, state = optimiser.update(jax.grad(loss)(params, *batch), state, params)
        if trainable is not None:  # selects, so that a NaN gradient cannot pass a 0
            updates = jax.tree.map(lambda u, m: jnp.where(m != 0, u, 0), updates, trainable)
        return (optax.apply_updates(params, updates), state), None

    n, data, starts = len(x), [x, labels], None
    size = n if batch_size is None else batch_size
    if size < n:
        # Shuffled once, then cut: a slice at an index that all models share is several times
        # cheaper than gathering each model's own samples in each step.
        order = jax.random.permutation(key, n)
        data, starts = [a[order] for a in data], _starts(n, steps, size)
    carry = (params, optimiser.init(params))
    (params, _), _ = jax.lax.scan(step, carry, starts, length=steps)
    return eqx.combine(params, static)


_fit_many = eqx.filter_jit(
    eqx.filter_vmap(
        _fit, in_axes=(*(eqx.if_array(0),) * 4, None, None, None, eqx.if_array(0), None)
    )
)


def _starts(n: int, steps: int, size: int) -> Int[Array, " steps"]:
    """First row of each step's minibatch: evenly spread, so that a pass misses no sample."""
    one_pass = np.linspace(0, n - size, -(-n // size)).round().astype(np.int32)
    return jnp.asarray(np.resize(one_pass, steps))


def check_fit(
    logits: tuple[int, ...],
    labels: Array,
    steps: int,
    batch_size: int | None,
    rates: tuple[Any, Any],
    loss: Loss,
) -> None:
    """Raise one sentence unless the labels and options can train a model with these logits."""
    if not callable(loss):
        raise TypeError(f"loss: got {loss!r}, needs a function, such as those of xbar.learn.scores")
    if loss is cross_entropy or not jnp.issubdtype(labels.dtype, jnp.floating):
        check_labels(logits, labels)
    elif labels.shape != logits or 0 in logits:
        raise ValueError(f"targets: got shape {labels.shape}, needs that of the outputs, {logits}")
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise ValueError(f"{name}: got {value!r}, needs a whole number, at least 1")
    for name, rate in zip(("learning_rate", "weight_decay"), rates, strict=True):
        checked(name, rate, "a finite rate >= 0", finite_from_0)


def check_labels(logits: tuple[int, ...], labels: Array) -> None:
    """Raise one sentence unless the labels can train a model with these logits."""
    *samples, outputs = logits
    if labels.shape != tuple(samples) or 0 in samples:
        raise ValueError(
            f"labels: got shape {labels.shape}, needs one per sample of x, {tuple(samples)}, "
            "and at least one"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels: got dtype {labels.dtype}, needs integers")
    if is_concrete(labels):
        least, largest = int(labels.min()), int(labels.max())
        classes = classes_of(outputs)
        if least < 0 or largest >= classes:
            each = "one per output" if outputs > 1 else "which one output tells apart"
            raise ValueError(f"labels: got {least} to {largest}, needs 0 to {classes - 1}, {each}")
