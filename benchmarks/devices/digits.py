"""The digits, trained networks for them, and correctors, as all questions here have them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from benchmarks.cells.digits import trained
from xbar.learn.corrector import Corrector, train_correctors
from xbar.learn.mlp import MLP, accuracy

WIRES = xb.Wires(1.0, 1.0)  # ohm per segment


class Case(NamedTuple):
    """One seed: a trained network, and images of which it saw the base part alone.

    Args:
        seed: its number.
        model: the software network.
        base: images that trained it, (n, 64).
        seen: those that train correctors, then those that test, (n, 64).
        labels: of `seen`, (n,).
        trained: how many of `seen` train correctors.
        software: accuracy of the software network on the test part.
    """

    seed: int
    model: MLP
    base: jax.Array
    seen: jax.Array
    labels: jax.Array
    trained: int
    software: float

    def network(self, **hardware: Any) -> xb.Network:
        """The network on arrays with wires of 1 ohm per segment."""
        return xb.Network.from_weights(
            self.model.weights,
            self.model.biases,
            calibration=self.base,
            hardware=xb.Hardware(wires=WIRES, **hardware),
        )

    def keys(self, question: int, count: int) -> jax.Array:
        """Keys of chips, others for each seed and question."""
        key = jax.random.fold_in(jax.random.key(question), self.seed)
        return jax.random.split(key, count)

    def tested(self, logits: jax.Array) -> np.ndarray:
        """Accuracy on the test part, of logits or volts (..., images of `seen`, 10)."""
        rest = logits[..., self.trained :, :]
        truth = jnp.broadcast_to(self.labels[self.trained :], rest.shape[:-1])
        return np.asarray(accuracy(rest, truth))


def cases(seeds: int) -> list[Case]:
    """All seeds, their networks trained together."""
    x, labels, parts, models = trained(seeds)
    found = []
    for seed, (first, second, test) in enumerate(parts):
        model = jax.tree.map(lambda leaf, seed=seed: leaf[seed], models)
        both = np.concatenate([second, test])
        seen, own = jnp.asarray(x[both]), jnp.asarray(labels[both])
        case = Case(seed, model, jnp.asarray(x[first]), seen, own, len(second), 0.0)
        found.append(case._replace(software=float(case.tested(model(seen)))))
    return found


def linear_correctors(volts: jax.Array, labels: jax.Array) -> Corrector:
    """Linear correctors (110 parameters) trained to convergence, one for each circuit.

    Args:
        volts: (..., n, 10) [V], the labelled images of each circuit.
        labels: (n,), or (..., n).

    Returns:
        Correctors, stacked as the circuits are.
    """
    batch, n = volts.shape[:-2], volts.shape[-2]
    flat = volts.reshape(-1, n, volts.shape[-1])
    own = jnp.broadcast_to(labels, (*batch, n)).reshape(-1, n)
    keys = jax.random.split(jax.random.key(3), len(flat))
    trained = train_correctors(flat, own, keys, hidden=())
    assert trained.converged is not None
    if not bool(trained.converged.all()):
        raise RuntimeError(f"{int((~trained.converged).sum())} correctors did not converge")
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), trained)
