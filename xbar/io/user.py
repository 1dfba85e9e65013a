"""A user's own network and data from NumPy's .npz or HDF5 files. Nothing is ever unpickled.

| file | holds |
|---|---|
| network | `weights_0` (inputs, outputs), `biases_0` (outputs,), `weights_1`, ... ; optionally the word `activation` |
| data | `x` (n, features), `y` (n,) integers 0..classes-1; optionally `part` (n,) words |
| data of a regression | `x` (n, features), `targets` (n,) or (n, outputs); optionally `part` |
| data in two parts | `x_train`, `y_train`, `x_test`, `y_test`, as Keras has them: images become rows |
| data in IDX files | `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same of `t10k`, or their `.gz` |

Without any `biases_*` the network has none. A row whose `part` is "test" trains nothing; "train" is
for the network and its corrector, or for the network alone where rows are marked "corrector".
Numbers may be of any real type; what JAX does not compute with becomes float64, with a warning.
Targets of a regression make a study one of a regression, of one output or of several: scored by how
far they are off (`score` of a study). The demo, sensitivity and the paper need classes, and say so.
"""  # noqa: E501

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xbar.io.dataset import Dataset
from xbar.io.files import StoreError, native, need, read_arrays, shaped
from xbar.io.mnist import read_idx_images

if TYPE_CHECKING:
    from xbar.learn.mlp import MLP

_PARAMETER = re.compile(r"(weights|biases)_(0|[1-9]\d*)")


def read_network(path: Path | str, activation: str | None = None) -> "MLP":
    """A trained network from a file.

    Args:
        path: .npz or .h5 file, as described above.
        activation: of the hidden layers; None takes the file's, or "relu" if it names none.

    Returns:
        The network.

    Raises:
        StoreError: the file cannot be read, lacks something, holds something else, or disagrees
            with `activation`.
    """
    from xbar.learn.mlp import MLP  # a data set needs no JAX

    arrays = read_arrays(path)
    try:
        named = arrays.pop("activation", None)
        if unknown := sorted(name for name in arrays if not _PARAMETER.fullmatch(name)):
            needs = "only weights_0, biases_0, weights_1, ... and activation"
            raise ValueError(f"got an array {unknown[0]!r}, needs {needs}")
        count = sum(name.startswith("weights_") for name in arrays)
        names = [f"weights_{k}" for k in range(max(count, 1))]
        if any(name.startswith("biases_") for name in arrays):
            names += [f"biases_{k}" for k in range(count)]
        need(arrays, *names)
        if extra := sorted(set(arrays) - set(names)):
            raise ValueError(f"got {extra[0]}, but {count} layers of weights")
        weights = [
            shaped(name, arrays[name], "inputs", "outputs").astype(float) for name in names[:count]
        ]
        biases = [
            shaped(f"biases_{k}", arrays.get(f"biases_{k}", np.zeros(w.shape[1])), "outputs")
            for k, w in enumerate(weights)
        ]
        biases = [each.astype(float) for each in biases]
        return MLP(tuple(weights), tuple(biases), _activation(named, activation))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def read_dataset(path: Path | str, test: Path | str | None = None) -> Dataset:
    """A labelled data set from a file.

    Args:
        path: .npz or .h5 file or images in IDX, as described above.
        test: a second file, all of whose rows are the test part; those of the first train.

    Returns:
        The data set, named after the file.

    Raises:
        StoreError: the file cannot be read, lacks x or y, or they are not a data set.
    """
    path = Path(path)
    if "images-idx3" in path.name and test is None:
        return read_idx_images(path)
    try:
        parts = _two_parts(read_arrays(path))
        if test is not None:
            parts = [parts[0], _two_parts(read_arrays(test))[0]]
        regression = "targets" in parts[0]
        target = "targets" if regression else "y"
        for arrays in parts:
            need(arrays, "x", target)
        mark = parts[0].get("part")
        if len(parts) == 2:
            mark = np.repeat(["train", "test"], [len(arrays["x"]) for arrays in parts])
        x, y = (
            native(n, parts[0][n]) if len(parts) == 1 else np.concatenate([p[n] for p in parts])
            for n in ("x", target)
        )
        name = path.name
        source = f"file {name}" + (f" and {Path(test).name}" if test else "")
        x = x.astype(float) if x.dtype.kind == "f" else x
        return Dataset.from_arrays(x, y, name=name, source=source, part=mark, regression=regression)
    except StoreError:
        raise
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def _two_parts(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Keras's four arrays as a part that trains and one that tests, or the arrays as they are."""
    names = ("x_train", "y_train", "x_test", "y_test")
    if not set(names) & set(arrays):
        return [arrays]
    need(arrays, *names)
    images = (arrays[name] for name in ("x_train", "x_test"))
    rows = [x.reshape(len(x), -1) if x.ndim > 1 and x.size else x for x in images]
    return [{"x": x, "y": arrays[y].ravel()} for x, y in zip(rows, names[1::2], strict=True)]


def _activation(named: Any, asked: str | None) -> str:
    from xbar.activations import ACTIVATIONS

    if named is None:
        return asked or "relu"
    if (count := np.size(named)) != 1:
        raise ValueError(f"activation: got {count} entries, needs one word")
    word = np.asarray(named).item()
    word = word.decode(errors="replace") if isinstance(word, bytes) else str(word)
    if asked not in (None, word):
        raise ValueError(f"activation: got {asked!r}, but the file says {word[:40]!r}")
    if word not in ACTIVATIONS:  # an MLP knows one more, which no circuit has
        raise ValueError(f"activation: got {word[:40]!r}, needs one of {list(ACTIVATIONS)}")
    return word
