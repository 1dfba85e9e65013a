"""Sorted remapping: neurons change places, so that important weights avoid stuck pairs.

A permutation of the neurons between two layers permutes the columns of one weight matrix and the
rows of the next, and leaves the network's function alone. What a stuck pair (r, q) takes away if
weight (i, j) sits there is taken to be its importance

    d_ij = w_ij^2 <a_i^2> s_j      s_j = sum_k w'_jk^2 of the next layer, 1 in the last

(to first order the mean square error behind the next weights, slopes of the activation left out),
and the sum of that over stuck pairs is minimised over the rows with the columns fixed and the
other way round, each exactly as an assignment problem, until it stops falling.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from xbar.activations import ACTIVATIONS
from xbar.learn.mlp import MLP

ROUNDS = 50  # far more than it ever takes: each lowers the sum or is the last


class Assignment(NamedTuple):
    """Which input sits at each row of a layer, which output at each column; what is lost there.

    The bias row is left out of the rows.
    """

    rows: Int[np.ndarray, " inputs"]
    columns: Int[np.ndarray, " outputs"]
    lost: float


def importance(
    model: MLP, images: Float[np.ndarray, "n features"], layer: int
) -> Float[np.ndarray, "inputs_1 outputs"]:
    """What is lost with each weight of a layer, d, the biases as the last row.

    The images show which neurons are active.
    """
    a = np.asarray(images)
    for w, b in list(zip(model.weights, model.biases, strict=True))[:layer]:
        a = np.asarray(ACTIVATIONS[model.activation](jnp.asarray(a @ w + b)))
    power = np.append(np.mean(a**2, axis=0), 1)
    rows = np.concatenate([model.weights[layer], model.biases[layer][None]])
    last = layer == len(model.weights) - 1
    behind = 1 if last else np.sum(np.asarray(model.weights[layer + 1]) ** 2, axis=1)
    return rows**2 * power[:, None] * behind


def places(
    d: Float[np.ndarray, "inputs_1 outputs"], hit: Bool[np.ndarray, "rows cols"]
) -> Assignment:
    """Places of a layer's neurons that lose little, given which pairs are stuck.

    Never worse than leaving everything where it is; the bias row stays the last.

    Raises:
        ValueError: the shapes differ.
    """
    if d.shape != hit.shape:
        raise ValueError(f"hit: got shape {hit.shape}, needs that of the weights, {d.shape}")
    stuck = hit.astype(float)
    rows, columns = np.arange(d.shape[0]), np.arange(d.shape[1])
    lost = float(np.sum(d * stuck))
    for _ in range(ROUNDS):
        # cost of putting input i on row r, then of putting output j on column q
        _, best = linear_sum_assignment(stuck[:-1] @ d[:-1][:, columns].T)
        new_rows = np.append(best, d.shape[0] - 1)
        _, new_columns = linear_sum_assignment(stuck.T @ d[new_rows])
        new = float(np.sum(d[new_rows][:, new_columns] * stuck))
        if not new < lost:
            break
        rows, columns, lost = new_rows, new_columns, new
    return Assignment(rows[:-1], columns, lost)


def permuted(model: MLP, layer: int, at: Assignment) -> MLP:
    """The network with the neurons around a layer moved; its function is the same.

    Inputs of the first layer then have to come in the order `rows`, and outputs of the last come
    in the order `columns`.
    """
    weights, biases = list(model.weights), list(model.biases)
    if layer:
        weights[layer - 1] = weights[layer - 1][:, at.rows]
        biases[layer - 1] = biases[layer - 1][at.rows]
    weights[layer] = weights[layer][at.rows][:, at.columns]
    biases[layer] = biases[layer][at.columns]
    if layer + 1 < len(weights):
        weights[layer + 1] = weights[layer + 1][at.columns]
    return MLP(tuple(weights), tuple(biases), model.activation)
