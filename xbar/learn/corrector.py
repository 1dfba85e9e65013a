"""The corrector: a small classifier from a circuit's output voltages to classes.

    z = (v - mean) / std        logits = head(z)        class = argmax logits

It sees voltages and labels, never the circuit. `mean` and `std` come from the training voltages
and stay with the model. Every array may lead with circuits or seeds; `train_correctors` trains one
corrector for each in one call:

    minimise  mean cross-entropy + L2 / 2 |weights|^2        (biases are not penalised)
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree, UInt32

from xbar.batch import batch_map
from xbar.fields import described
from xbar.learn.arguments import check_circuits, layer_sizes
from xbar.learn.converged import minimised
from xbar.learn.mlp import MLP, Loss, check_fit, class_logits, cross_entropy, fit
from xbar.learn.mlp import accuracy as accuracy
from xbar.learn.neighbours import floored, normalisation
from xbar.learn.neighbours import nearest_neighbour_accuracy as nearest_neighbour_accuracy
from xbar.programs import is_outermost

# Chosen on faulty circuits of the digits network, as benchmarks/correctors has them, by accuracy
# on their other 360 images: with 3e-4, 1e-3, 3e-3 and 1e-2 the linear map has 72.5, 72.5, 72.4 and
# 72.1 %, 10-8-10 71.9, 72.4, 72.8 and 72.5 %. The sweep is no script of the repository.
L2 = 3e-3

# Targets that spread less than half of this count as constant ones.
LEAST_UNIT = 1e-3

# AdamW's defaults, chosen by accuracy on held-out samples of the corrector part, never on the test
# part. 72 software networks with circles, rows, columns, unequal values or a random mixture
# injected in one layer (uncorrected 31 to 75 %), 3 splits each into 287 training and 72 held-out
# samples, ReLU, full batch, learning rate 0.03, 1,500 steps; held-out accuracy in %, its standard
# error about 0.2:
#
#     weight decay   linear  10-1-10  10-2-10  10-4-10  10-8-10  10-6-6-10  10-14-10  10-143-10
#     0.01            94.0    41.5     75.3     90.5     92.9*    90.1       92.7
#     0.3             94.2    45.6     79.8     92.3     93.7     92.5       93.5      93.9+
#     0.5             94.0    46.2     80.0     92.8     94.0     93.0       93.9
#     1               93.5    44.6     79.0     92.7     94.3     93.4       94.3      94.3+
#
# (* at learning rate 0.01; + 1,000 steps, a third of the circuits.) 0.5 is within half a point of
# the best for every size, and one setting for all sizes keeps a comparison of sizes fair. Tanh is
# 0.8 points below ReLU (10-8-10, decay 1). For 10-8-10, 600 steps cost 0.3 points and 3,000 gain
# none. The best of four starts by training loss gains 2.0 points for 10-1-10, 1.2 for 10-2-10 and
# nothing from four hidden units up.
STEPS, LEARNING_RATE, WEIGHT_DECAY = 1500, 3e-2, 0.5
_ADAMW = {
    "steps": STEPS,
    "batch_size": None,
    "learning_rate": LEARNING_RATE,
    "weight_decay": WEIGHT_DECAY,
}

# Circuits that AdamW trains side by side have about this many activations in all: 200 circuits of
# 359 samples at 10-8-10. It bounds the memory (below 1 GB); chunks down to 2^17 were as fast.
CHUNK = 2**21

Hidden = Sequence[int] | Literal["diagonal"] | None
"""Hidden layer sizes; () is the linear map, "diagonal" a scale and a bias for each output, None the
bias-only correction."""


@final
class BiasHead(eqx.Module):
    """Bias-only correction: logits = exp(log_scale) z + bias.

    The one scale, common to all outputs, is the temperature that the cross-entropy needs. It is
    fitted with the biases but counts for nothing: argmax(s z + b) = argmax(z + b / s), so it adds
    no decision that the biases alone could not take.

    Args:
        log_scale: logarithm of the scale, () or with leading axes.
        bias: (outputs,), with the same leading axes.
    """

    log_scale: Float[Array, "..."] = eqx.field(
        metadata=described("1", (), "logarithm of the common scale")
    )
    bias: Float[Array, "... outputs"] = eqx.field(
        metadata=described("1", ("output",), "added to the scaled voltages")
    )

    @property
    def parameter_count(self) -> int:
        """Number of biases."""
        return self.bias.shape[-1]

    def __call__(self, z: Float[Array, "... outputs"]) -> Float[Array, "... outputs"]:
        """Logits of the normalised voltages.

        Args:
            z: (outputs,) or (..., n, outputs).

        Returns:
            Logits in the same shape.
        """
        if z.ndim == 1:
            return self(z[None])[..., 0, :]
        return jnp.exp(self.log_scale)[..., None, None] * z + self.bias[..., None, :]


@final
class DiagonalHead(eqx.Module):
    """Each output corrected by itself: logits = scale z + bias.

    Args:
        scale: (outputs,), or with leading axes.
        bias: (outputs,), with the same leading axes.
    """

    scale: Float[Array, "... outputs"] = eqx.field(
        metadata=described("1", ("output",), "multiplies the normalised voltages")
    )
    bias: Float[Array, "... outputs"] = eqx.field(
        metadata=described("1", ("output",), "added to the scaled voltages")
    )

    @property
    def parameter_count(self) -> int:
        """Number of scales and biases."""
        return 2 * self.bias.shape[-1]

    def __call__(self, z: Float[Array, "... outputs"]) -> Float[Array, "... outputs"]:
        """Logits of the normalised voltages.

        Args:
            z: (outputs,) or (..., n, outputs).

        Returns:
            Logits in the same shape.
        """
        if z.ndim == 1:
            return self(z[None])[..., 0, :]
        return self.scale[..., None, :] * z + self.bias[..., None, :]


@final
class Corrector(eqx.Module):
    """A corrector with its normalisation; make one with `Corrector.init`, train it below.

    ```python
    correctors = xb.train_correctors(volts[None], labels[None], key[None], steps=10)
    logits = jax.tree.map(lambda leaf: leaf[0], correctors)(volts)
    ```

    Args:
        mean: of each output's training voltages, (outputs,) [V]; may lead with further axes.
        std: what the voltages are divided by, (outputs,) [V], above 0.
        head: from normalised voltages to logits.
        converged: whether its training got to where nothing is left to gain; None where it took a
            number of steps that was set beforehand, or none.
    """

    mean: Float[Array, "... outputs"] = eqx.field(
        metadata=described("V", ("output",), "subtracted from the voltages")
    )
    std: Float[Array, "... outputs"] = eqx.field(
        metadata=described("V", ("output",), "divides the voltages")
    )
    head: MLP | BiasHead | DiagonalHead
    converged: Bool[Array, "..."] | None = eqx.field(
        default=None, metadata=described("1", (), "whether its training has converged")
    )

    @staticmethod
    def init(
        key: PRNGKeyArray,
        voltages: Float[Array, "n outputs"],
        hidden: Hidden = (8,),
        activation: str = "relu",
    ) -> "Corrector":
        """An untrained corrector, normalised to the given voltages, in their dtype.

        Args:
            key: JAX key.
            voltages: the training voltages of one circuit, (n, outputs) [V].
            hidden: as `Hidden` has it.
            activation: of the hidden layers, "relu", "tanh", "sigmoid"; or "identity", which makes
                them a linear map of limited rank.

        Returns:
            The corrector; with 10 outputs it counts 21 h + 10 parameters for one hidden layer of
            h units, 110 for (), 20 for "diagonal" and 10 for None.

        Raises:
            ValueError: a hidden size below 1, or an unknown activation.
        """
        outputs = voltages.shape[-1]
        if hidden is None:  # one scale for all outputs, else it would be more than a bias
            mean, std = jnp.zeros_like(voltages[0]), _common_scale(voltages)
            zero = jnp.zeros((), voltages.dtype)
            return Corrector(mean, std, BiasHead(zero, jnp.zeros_like(mean)))
        sizes, (mean, std) = layer_sizes(hidden), normalisation(voltages)
        if sizes == "diagonal":
            return Corrector(mean, std, DiagonalHead(jnp.ones_like(mean), jnp.zeros_like(mean)))
        head = MLP.init(key, (outputs, *sizes, outputs), activation, voltages.dtype)
        return Corrector(mean, std, head)

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters of one corrector; the normalisation is not among them."""
        return self.head.parameter_count

    def __call__(self, voltages: Float[Array, "... outputs"]) -> Float[Array, "... outputs"]:
        """Logits of output voltages; a stacked corrector pairs its leading axes with theirs.

        Args:
            voltages: (outputs,) or (..., n, outputs) [V].

        Returns:
            Logits in the same shape.
        """
        if voltages.ndim == 1:
            return self(voltages[None])[..., 0, :]
        return self.head(self.normalise(voltages))

    def normalise(self, voltages: Float[Array, "... n outputs"]) -> Float[Array, "... n outputs"]:
        """Voltages as the head sees them, z = (v - mean) / std.

        Args:
            voltages: (..., n, outputs) [V].

        Returns:
            z in the same shape.
        """
        return (voltages - self.mean[..., None, :]) / self.std[..., None, :]


def train_correctors(
    voltages: Float[Array, "circuits n outputs"],
    labels: Int[Array, "circuits n"] | Float[Array, "circuits n outputs"],
    keys: Key[Array, " circuits"] | UInt32[Array, "circuits 2"],
    *,
    hidden: Hidden = (8,),
    activation: str = "relu",
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | int | None = None,
    weight_decay: float | int | None = None,
    loss: Loss = cross_entropy,
) -> Corrector:
    """Train one corrector per circuit (or seed), all of them in one compiled call.

    Each is normalised to its own circuit and trained on its own labels, from its own key: until it
    has converged, by L-BFGS in float32 (`xbar.learn.converged`); or, if any of AdamW's four options
    is given, as `xbar.learn.mlp.fit` does; `jax.grad` goes back through the training of the latter
    alone. One circuit alone gives the same corrector.

    ```python
    # One corrector for each circuit; here there is one.
    correctors = xb.train_correctors(volts[None], labels[None], key[None], hidden=(8,))
    assert correctors.converged.all()
    ```

    Args:
        voltages: output voltages of labelled inputs, (circuits, n, outputs) [V]; a circuit with a
            NaN gives a corrector of NaN, not converged, and leaves the others alone.
        labels: classes of those inputs, (circuits, n), integers 0..outputs-1; or targets
            (circuits, n, outputs), of mean 0 and spread 1 or so, where the loss takes them.
        keys: JAX keys, (circuits,); hidden layers start from random weights.
        hidden: as `Hidden` has it.
        activation: of the hidden layers, as `Corrector.init` takes it.
        steps: number of AdamW's updates; None is 1,500, as the next three are its options.
        batch_size: samples per update; None uses all. 64 takes a third of the time; by the
            measurements above it costs 10-1-10 5 points, the linear map 0.3 and larger ones less.
        learning_rate: of the first step, decaying to 0; None is 0.03.
        weight_decay: AdamW's, on weights; None is 0.5.
        loss: as for `xbar.learn.mlp.fit`.

    Returns:
        The stacked correctors; each array leads with `circuits`.

    Raises:
        ValueError: the shapes do not fit, a label or an option is out of range.
    """
    check_circuits(voltages, keys)
    given = {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
    }
    given = {name: option for name, option in given.items() if option is not None}
    options = _ADAMW | given
    rates = options["learning_rate"], options["weight_decay"]
    check_fit(voltages.shape, labels, options["steps"], batch_size, rates, loss)
    head, devices = layer_sizes(hidden), _devices(voltages, labels, keys)
    adamw, chunk = options if given else None, 1
    # On a processor, circuits side by side would all take as many turns as the slowest.
    if given or jax.default_backend() != "cpu":
        units = 2 * voltages.shape[-1] + (sum(head) if isinstance(head, tuple) else 0)
        share = -(-len(voltages) // len(devices))
        chunk = min(share, max(1, CHUNK // (voltages.shape[1] * units)))
    return _train(voltages, labels, keys, head, activation, loss, adamw, chunk, devices)


def _devices(*arrays: Array) -> tuple[Any, ...]:
    """Those that may share the circuits: all, unless a program or the caller has chosen."""
    every = jax.local_devices()

    def fixed(x: Any) -> bool:
        return getattr(x, "committed", False) and x.sharding.device_set != {*every}

    return tuple(every if is_outermost(*arrays) and not any(map(fixed, arrays)) else every[:1])


@eqx.filter_jit
def _train(
    voltages: Array,
    labels: Array,
    keys: Array,
    hidden: Hidden,
    activation: str,
    loss: Loss,
    adamw: dict[str, Any] | None,
    chunk: int,
    devices: tuple[Any, ...],
) -> Corrector:
    def one(circuit: tuple[Array, Array, PRNGKeyArray]) -> Corrector:
        v, y, key = circuit
        init, shuffle = jax.random.split(key)
        start = Corrector.init(init, v, hidden, activation)
        z, converged = start.normalise(v), None
        if adamw is None:
            judged = partial(penalised, x=_halved(z), labels=_halved(y), loss=loss)
            head, converged = minimised(judged, _halved(start.head))
            head = jax.tree.map(lambda new, old: new.astype(old.dtype), head, start.head)
        else:
            head = fit(start.head, z, y, key=shuffle, loss=loss, **adamw)
        return Corrector(start.mean, start.std, head, converged)

    return batch_map(one, (voltages, labels, keys), chunk=chunk, devices=devices)


def penalised(head: PyTree, x: Array, labels: Array, loss: Loss = cross_entropy) -> Array:
    """What is minimised where correctors train until they have converged."""
    weights = [w for w in jax.tree.leaves(head) if eqx.is_inexact_array(w) and w.ndim > 1]
    size = sum((jnp.sum(w * w) for w in weights), jnp.zeros((), x.dtype))
    judged = loss(head(x), labels) + L2 / 2 * size
    if jnp.issubdtype(labels.dtype, jnp.floating):
        # Small targets have small slopes everywhere, which would pass for those of the bottom.
        judged = judged / jnp.clip(2 * jnp.std(labels), LEAST_UNIT, 1)
    return judged


def _halved(tree: PyTree) -> PyTree:
    """In float32: half the time, and far below what convergence asks for."""
    return jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, tree)


def predict(corrector: Corrector, voltages: Float[Array, "*batch outputs"]) -> Int[Array, "*batch"]:
    """The class with the largest logit; of one output, the second of two where it is above 0.

    Args:
        corrector: one, or stacked.
        voltages: (outputs,) or (..., n, outputs) [V].

    Returns:
        Classes, () or (..., n).
    """
    return jnp.argmax(class_logits(corrector(voltages)), -1)


def _common_scale(voltages: Float[Array, "n outputs"]) -> Float[Array, " outputs"]:
    spread = floored(jnp.std(voltages), jnp.abs(voltages).max())
    return jnp.full_like(voltages[0], spread)
