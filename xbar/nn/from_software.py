"""Trained networks of other libraries -> arrays, each in its own layout.

PyTorch stores a layer's weights as (outputs, inputs), scikit-learn and xbar as (inputs, outputs):
for square layers nobody can see from the numbers which it is, so take them from here. Neither
library is imported; arrays are all that is read.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from xbar.activations import Phi
from xbar.nn.network import Network

# scikit-learn's names of hidden activations.
_SKLEARN: dict[str, Phi] = {
    "relu": "relu",
    "tanh": "tanh",
    "logistic": "sigmoid",
    "identity": lambda z: z,
}


def from_torch(state_dict: Any, *, activation: Phi = "relu", **options: Any) -> Network:
    """A network of PyTorch's linear layers, from its `state_dict()`.

    ```python
    net = xb.nn.from_torch(model.state_dict(), activation="tanh", calibration=x)
    ```

    Args:
        state_dict: names to tensors (or arrays), in the order of the layers: `*.weight`
            (outputs, inputs) and `*.bias` (outputs,) of each; a layer without a bias has none.
        activation: between the layers, which a state_dict does not say; none behind the last.
        options: of `Network.from_weights`: calibration, hardware and so on.

    Returns:
        The network, in the tensors' dtype.

    Raises:
        TypeError: no mapping, or something that is not numbers.
        ValueError: an entry that belongs to no linear layer, by its name; or as
            `Network.from_weights`.
    """
    if not isinstance(state_dict, Mapping):
        got = type(state_dict).__name__
        raise TypeError(f"state_dict: got {got}, needs a mapping, model.state_dict()")
    arrays = {name: _array(tensor) for name, tensor in state_dict.items()}
    names = [name for name in arrays if name.split(".")[-1] == "weight"]
    layers = [name.removesuffix("weight") for name in names]
    for name, array in arrays.items():
        layer, _, kind = name.rpartition(".")
        linear = arrays.get(f"{layer}.weight" if layer else "weight")
        fits = kind in ("weight", "bias") and linear is not None and linear.ndim == 2
        if not fits:
            raise ValueError(
                f"state_dict[{name!r}]: got an array {array.shape} that belongs to no linear "
                "layer, needs weight (outputs, inputs) and bias (outputs,) alone"
            )
    weights = [arrays[name].T for name in names]
    biases = [
        arrays.get(f"{layer}bias", np.zeros(w.shape[1], w.dtype))
        for layer, w in zip(layers, weights, strict=True)
    ]
    return Network.from_weights(weights, biases, activation=activation, **options)


def from_sklearn(estimator: Any, **options: Any) -> Network:
    """A trained network or linear model of scikit-learn.

    `MLPClassifier`, `MLPRegressor`, and linear models such as `LogisticRegression` or `Ridge`. The
    outputs are logits (a regressor's predictions) times `net.output_scale`; a binary classifier
    has one output, above 0 for its second class.

    ```python
    net = xb.nn.from_sklearn(MLPClassifier((24, 12)).fit(x, y), calibration=x)
    ```

    Args:
        estimator: fitted.
        options: of `Network.from_weights`: calibration, hardware and so on.

    Returns:
        The network.

    Raises:
        TypeError: another kind of estimator.
        ValueError: not fitted; what it predicts is not ``x @ coef_.T + intercept_`` (a logarithmic
            link, a vote of pairs of classes); or as `Network.from_weights`.
    """
    kind = type(estimator).__name__
    if hasattr(estimator, "coefs_"):
        weights, biases = list(estimator.coefs_), list(estimator.intercepts_)
        return Network.from_weights(
            weights, biases, activation=_SKLEARN[estimator.activation], **options
        )
    if hasattr(estimator, "coef_"):
        w = np.atleast_2d(estimator.coef_).T
        b = np.broadcast_to(estimator.intercept_, w.shape[1:])
        _check_linear(estimator, w, b)
        return Network.from_weights([w], [b], **options)
    if hasattr(estimator, "fit"):
        raise ValueError(
            f"estimator: got a {kind} without coefs_ or coef_, needs a fitted MLP or linear model"
        )
    raise TypeError(f"estimator: got {kind}, needs a fitted MLP or linear model of scikit-learn")


def _check_linear(estimator: Any, w: np.ndarray, b: np.ndarray) -> None:
    """Raise for an estimator whose coefficients are not all there is to it."""
    x = np.random.default_rng(0).normal(size=(8, len(w)))
    told = getattr(estimator, "decision_function", None) or estimator.predict
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # x has no names of features
        theirs = np.asarray(told(x), float)
    ours = x @ w + b
    scale = max(1.0, float(np.abs(ours).max()))
    if theirs.size != ours.size or np.abs(theirs.reshape(ours.shape) - ours).max() > 1e-4 * scale:
        raise ValueError(
            f"estimator: got a {type(estimator).__name__}, whose predictions are not those of "
            "coef_ and intercept_ alone; needs a linear model without a link, one output a class"
        )


def _array(tensor: Any) -> np.ndarray:
    """A tensor's numbers; it may live on another device and be part of a graph."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().numpy()
    return np.asarray(tensor)
