"""What a failed result leaves of the numbers: the one place that decides what is shown."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from xbar.circuit import RESULTS
from xbar.solvers.derivatives import marked


def also(result: RESULTS, ok: Bool[Array, ""], otherwise: RESULTS) -> RESULTS:
    """Keep the first failure; a success also has to be `ok`."""
    return RESULTS.where((result == RESULTS.successful) & ~ok, otherwise, result)


def possible(drives: Sequence[Array], volts: Sequence[Array]) -> Bool[Array, ""]:
    """Whether node voltages are of the order of the drives, as those of any bad answer are.

    Exactly, none is beyond the drives at all. Numbers that are no answer, not even a bad one, are
    not shown.
    """

    def largest(parts: Sequence[Array]) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(part)) for part in parts]))

    return largest(volts) <= 100 * largest(drives)


def may_be_shown(result: RESULTS) -> Bool[Array, ""]:
    """Whether numbers of a failed result may be looked at: bad answers, but answers."""
    return (result == RESULTS.tolerance_missed) | (result == RESULTS.cells_out_of_range)


def filled(numbers: PyTree, result: RESULTS, fill: bool | Bool[Array, ""]) -> PyTree:
    """NaN in place of numbers that must not be used, and NaN as their derivatives in any case.

    Args:
        numbers: any arrays of one solution.
        result: of the solve. `RESULTS.floating` is a mark that neither fills nor fails.
        fill: whether numbers that missed their tolerance must not be used either.
    """
    failed = (result != RESULTS.successful) & (result != RESULTS.floating)
    unusable = failed & (fill | ~may_be_shown(result))
    return jax.tree.map(lambda x: marked(x, failed, jnp.where(unusable, jnp.nan, x)), numbers)
