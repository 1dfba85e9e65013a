"""What networks are trained by and scored by: classes, or numbers that they have to come close to.

A loss and a score are functions of outputs (..., n, outputs) and of labels (..., n), or of targets
like the outputs, and give (...,).
"""

from collections.abc import Callable, Container
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.learn.mlp import accuracy, cross_entropy

Outputs = Float[Array, "*batch n outputs"]
Scores = Float[Array, "*batch"]


def squared(outputs: Outputs, targets: Outputs) -> Scores:
    """Mean over samples and outputs of ``(output - target)^2``.

    Args:
        outputs: (..., n, outputs).
        targets: in the same shape and unit.

    Returns:
        (...,), in the square of their unit.

    Raises:
        ValueError: the targets are not of each sample and output.
    """
    return jnp.mean(_missed(outputs, targets) ** 2, (-2, -1))


def absolute(outputs: Outputs, targets: Outputs) -> Scores:
    """Mean over samples and outputs of ``|output - target|``.

    Args:
        outputs: (..., n, outputs).
        targets: in the same shape and unit.

    Returns:
        (...,), in their unit.

    Raises:
        ValueError: the targets are not of each sample and output.
    """
    return jnp.mean(jnp.abs(_missed(outputs, targets)), (-2, -1))


def rmse(outputs: Outputs, targets: Outputs) -> Scores:
    """Root of the mean over samples and outputs of ``(output - target)^2``.

    Args:
        outputs: (..., n, outputs).
        targets: in the same shape and unit.

    Returns:
        (...,), in their unit; NaN where an output is.
    """
    return jnp.sqrt(squared(outputs, targets))


def _missed(outputs: Outputs, targets: Outputs) -> Outputs:
    """By how much; one target a sample, (n,), would be spread over all pairs of samples."""
    if targets.shape[-2:] != outputs.shape[-2:]:
        raise ValueError(
            f"targets: got shape {targets.shape}, needs that of the outputs, {outputs.shape}"
        )
    return outputs - targets


class Score(NamedTuple):
    """How well outputs do.

    Args:
        of: of outputs and labels or targets.
        loss: what is minimised for it, a key of `LOSSES`.
        classes: whether it is of labels, and more is better; else of targets, and less is.
    """

    of: Callable[[Array, Array], Array]
    loss: str
    classes: bool


LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "cross-entropy": cross_entropy,
    "squared": squared,
    "absolute": absolute,
}

SCORES: dict[str, Score] = {
    "accuracy": Score(accuracy, "cross-entropy", True),
    "rmse": Score(rmse, "squared", False),
    "mae": Score(absolute, "absolute", False),
}


def score_among(names: Container[str]) -> str:
    """The score that a results file has, by the names of its groups."""
    return next((name for name in SCORES if name in names), "accuracy")
