"""What the networks of a study are trained by and scored by."""

from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.io.dataset import Dataset
from xbar.learn.mlp import class_logits
from xbar.learn.scores import LOSSES, SCORES


@final
class Task(eqx.Module):
    """What networks and correctors have to give, and how well they do.

    Classes have an output each; two may have one, above 0 for the second (`class_logits`).

    Targets of a regression are learnt in units of their own spread over the data set, from their
    mean on, and scored in their own unit.

    Args:
        score: a key of `xbar.learn.scores.SCORES`.
        loss: a key of `xbar.learn.scores.LOSSES`.
        mean: of the targets, (outputs,); (1,) and 0 for classes.
        unit: their spread, (outputs,), or 1 where they have none; (1,) and 1 for classes.
    """

    score: str = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    mean: Float[Array, " outputs"]
    unit: Float[Array, " outputs"]

    @staticmethod
    def of(dataset: Dataset, score: str | None, loss: str | None) -> "Task":
        """The task of a data set; None takes its usual score, and the score's usual loss.

        Raises:
            ValueError: the score or the loss is not one of such data.
        """
        regression = dataset.is_regression
        fitting = [n for n, s in SCORES.items() if s.classes != regression]
        losses = [n for n in LOSSES if (n == "cross-entropy") != regression]
        what = f"one of {dataset.name}'s {'targets' if regression else 'classes'}"
        score = fitting[0] if score is None else score
        if score not in fitting:
            raise ValueError(f"score: got {score!r}, needs {what}: {', '.join(fitting)}")
        loss = SCORES[score].loss if loss is None else loss
        if loss not in losses:
            raise ValueError(f"loss: got {loss!r}, needs {what}: {', '.join(losses)}")
        if not regression:
            return Task(score, loss, jnp.zeros(1), jnp.ones(1))
        spread = dataset.labels.std(0)
        unit = np.where(spread > 0, spread, 1)
        return Task(score, loss, jnp.asarray(dataset.labels.mean(0)), jnp.asarray(unit))

    @property
    def classes(self) -> bool:
        """Whether the outputs stand for classes."""
        return SCORES[self.score].classes

    def wanted(self, dataset: Dataset) -> Array:
        """What outputs should be: labels (n,), or targets (n, outputs) in units of their spread."""
        labels = jnp.asarray(dataset.labels)
        return labels if self.classes else (labels - self.mean) / self.unit

    def scored(self, outputs: Array, wanted: Array) -> Array:
        """The score of outputs (..., n, outputs) in the unit of `wanted`, (...,)."""
        if not self.classes:
            outputs, wanted = outputs * self.unit, wanted * self.unit
        return SCORES[self.score].of(outputs, wanted)

    def read(self, outputs: Array) -> dict[str, Array]:
        """What outputs say, by name: `classes` (..., n), or `targets` (..., n, outputs)."""
        if self.classes:
            return {"classes": jnp.argmax(class_logits(outputs), -1).astype(jnp.int16)}
        return {"targets": outputs * self.unit + self.mean}
