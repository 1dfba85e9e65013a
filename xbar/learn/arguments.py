"""Checks of what correctors are trained with: one sentence each."""

from operator import index
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def check_circuits(voltages: Array, keys: Array) -> None:
    """Raise one sentence unless there are voltages and a key for each circuit."""
    if voltages.ndim != 3:
        raise ValueError(
            f"voltages: got shape {voltages.shape}, needs (circuits, n, outputs); for one circuit "
            "use voltages[None]"
        )
    if not jnp.issubdtype(voltages.dtype, jnp.floating):
        raise ValueError(f"voltages: got dtype {voltages.dtype}, needs floating-point numbers")
    # A key alone, of either kind, has one axis less.
    alone = keys.ndim == (0 if jnp.issubdtype(keys.dtype, jax.dtypes.prng_key) else 1)
    if alone or len(keys) != len(voltages):
        got = "one key without a leading axis" if alone else len(keys)
        raise ValueError(f"keys: got {got}, needs one per circuit, {len(voltages)}")


def layer_sizes(hidden: Any) -> Any:
    """Hidden layers as a program is known by, or one sentence."""
    if hidden is None or (isinstance(hidden, str) and hidden == "diagonal"):
        return hidden
    try:
        sizes: Any = hidden
        return tuple(index(size) for size in sizes)
    except TypeError:
        needs = 'whole numbers such as (8,) or (), "diagonal" or None'
        raise ValueError(f"hidden: got {hidden!r}, needs {needs}") from None
