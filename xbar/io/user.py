"""A user's own network and data from NumPy's .npz or HDF5 files. Nothing is ever unpickled.

| file | holds |
|---|---|
| network | `weights_0` (inputs, outputs), `biases_0` (outputs,), `weights_1`, ... ; optionally the word `activation` |
| data | `x` (n, features), `y` (n,) integers 0..classes-1 |

Without any `biases_*` the network has none. Numbers are taken in JAX's default precision.
"""  # noqa: E501

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import jax.numpy as jnp
import numpy as np

from xbar.activations import ACTIVATIONS
from xbar.checks import as_real
from xbar.io.digits import Dataset
from xbar.io.store import StoreError
from xbar.learn.mlp import MLP

_PARAMETER = re.compile(r"(weights|biases)_(0|[1-9]\d*)")


def read_network(path: Path | str, activation: str | None = None) -> MLP:
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
    arrays = _read(Path(path))
    named = arrays.pop("activation", None)
    if unknown := sorted(name for name in arrays if not _PARAMETER.fullmatch(name)):
        raise StoreError(
            f"{path}: got an array {unknown[0]!r}, needs only weights_0, biases_0, weights_1, ... "
            "and activation"
        )
    count = sum(name.startswith("weights_") for name in arrays)
    names = [f"weights_{k}" for k in range(max(count, 1))]
    if any(name.startswith("biases_") for name in arrays):
        names += [f"biases_{k}" for k in range(count)]
    _need(path, arrays, names)
    if extra := sorted(set(arrays) - set(names)):
        raise StoreError(f"{path}: got {extra[0]}, but {count} layers of weights")
    try:
        weights = [_finite(f"weights_{k}", arrays[f"weights_{k}"], 2) for k in range(count)]
        biases = [
            _finite(f"biases_{k}", arrays.get(f"biases_{k}", np.zeros(w.shape[1])), 1)
            for k, w in enumerate(weights)
        ]
        return MLP(tuple(weights), tuple(biases), _activation(named, activation))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def read_dataset(path: Path | str) -> Dataset:
    """A labelled data set from a file.

    Args:
        path: .npz or .h5 file, as described above.

    Returns:
        The data set, named after the file.

    Raises:
        StoreError: the file cannot be read, lacks x or y, or they are not a data set.
    """
    path = Path(path)
    arrays = _read(path)
    _need(path, arrays, ["x", "y"])
    try:
        x = jnp.asarray(as_real("x", _widest(arrays["x"])), jnp.result_type(float))
        return Dataset.from_arrays(x, arrays["y"], name=path.name, source=f"file {path.name}")
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def _activation(named: Any, asked: str | None) -> str:
    if named is None:
        return asked or "relu"
    if (count := np.size(named)) != 1:
        raise ValueError(f"activation: got {count} entries, needs one word")
    word = np.asarray(named).item()
    word = word.decode() if isinstance(word, bytes) else str(word)
    if asked not in (None, word):
        raise ValueError(f"activation: got {asked!r}, but the file says {word!r}")
    if word not in ACTIVATIONS:  # an MLP knows one more, which no circuit has
        raise ValueError(f"activation: got {word!r}, needs one of {list(ACTIVATIONS)}")
    return word


def _finite(name: str, values: Any, ndim: int) -> Any:
    array = as_real(name, _widest(values))
    if array.ndim != ndim or 0 in array.shape:
        needs = "(inputs, outputs)" if ndim == 2 else "(outputs,)"
        raise ValueError(f"{name}: got shape {array.shape}, needs {needs}, neither 0")
    if bad := int(np.count_nonzero(~np.isfinite(array))):
        raise ValueError(f"{name}: got {bad} NaN or infinite entries, needs finite ones")
    return jnp.asarray(array, jnp.result_type(float))


def _widest(values: Any) -> Any:
    """Real floats in JAX's default precision, so that any float type will do."""
    is_float = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return values.astype(jnp.result_type(float)) if is_float else values


def _need(path: Path | str, arrays: dict[str, Any], names: list[str]) -> None:
    if missing := [name for name in names if name not in arrays]:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise StoreError(f"{path}: got {found}, needs {missing[0]} too")


def _read(path: Path) -> dict[str, Any]:
    """The arrays in a file, by name."""
    readers = {".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5}
    if path.suffix not in readers:
        raise StoreError(f"{path}: got {path.suffix or 'no suffix'}, needs a .npz or .h5 file")
    if not path.is_file():
        raise StoreError(f"{path}: got {'a folder' if path.is_dir() else 'no file'}, needs a file")
    try:
        return readers[path.suffix](path)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason or "pickled" in reason:
            reason = "pickled objects, which are never read"
        raise StoreError(f"{path}: got a file that cannot be read ({reason})") from error


def _read_npz(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise ValueError("not NumPy's .npz format")
    with np.load(path, allow_pickle=False) as file:  # unpickling would run what the file says
        return {name: file[name] for name in file.files}


def _read_hdf5(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        words = {"activation": file.attrs["activation"]} if "activation" in file.attrs else {}
        return words | {name: item[()] for name, item in file.items() if hasattr(item, "shape")}
