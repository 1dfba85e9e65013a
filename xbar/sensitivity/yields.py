"""How many circuits will do: accuracy over circuits with random single-cell faults.

Every cell is stuck-on with probability `rate_on`, stuck-off with `rate_off`, by itself. The exact
single-fault map has the change d_on, d_off that each fault makes alone. If effects added up,

    A = A_0 + sum_c X_c        X_c = d_on[c], d_off[c] or 0
    E A = A_0 + sum_c m_c      m_c = rate_on d_on[c] + rate_off d_off[c]
    Var A = sum_c (rate_on d_on[c]^2 + rate_off d_off[c]^2 - m_c^2)

They do not add up where faults meet: on one word line, in one decision, near the accuracy of
guessing. `drawn_circuits` draws circuits to be solved exactly, which says where that starts.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.batch import batch_map
from xbar.devices import StuckCells
from xbar.programs import program


class Rates(NamedTuple):
    """Probabilities that a cell is stuck-on and stuck-off."""

    on: float
    off: float


class Effects(NamedTuple):
    """What each single fault changes, as the exact map has it.

    Args:
        healthy: the quantity without faults, such as the accuracy, ().
        on: its change when a cell alone is stuck-on, (cells,).
        off: its change when a cell alone is stuck-off, (cells,).
    """

    healthy: Float[Array, ""]
    on: Float[Array, " cells"]
    off: Float[Array, " cells"]


class Moments(NamedTuple):
    """Mean and variance over circuits."""

    mean: Float[Array, ""]
    variance: Float[Array, ""]


def predicted_moments(effects: Effects, rates: Rates) -> Moments:
    """Mean and variance of the quantity over circuits, if effects add up; see above.

    Args:
        effects: of every cell.
        rates: fault rates.

    Returns:
        The moments, exact for the additive model.

    Raises:
        ValueError: a rate is outside 0..1, or their sum is.
    """
    _check(rates)
    each = rates.on * effects.on + rates.off * effects.off
    squares = rates.on * effects.on**2 + rates.off * effects.off**2
    return Moments(effects.healthy + jnp.sum(each), jnp.sum(squares - each**2))


def predicted_sample(
    effects: Effects, rates: Rates, key: PRNGKeyArray, circuits: int
) -> Float[Array, " circuits"]:
    """The quantity in circuits drawn at random, if effects add up; for quantiles.

    Args:
        effects: of every cell.
        rates: fault rates.
        key: JAX key.
        circuits: how many.

    Returns:
        The sums, (circuits,); as the model has them, not clipped to what is possible.

    Raises:
        ValueError: as `predicted_moments`.
    """
    _check(rates)
    return batch_map(_sum, jax.random.split(key, circuits), effects, rates)


def _sum(key: PRNGKeyArray, effects: Effects, rates: Rates) -> Array:
    nothing = jnp.zeros_like(effects.on)
    return effects.healthy + jnp.sum(_drawn(key, rates, effects.on, effects.off, nothing))


def _drawn(key: PRNGKeyArray, rates: Rates, on: Array, off: Array, healthy: Array) -> Array:
    """Each cell on, off or healthy, by one draw: higher rates contain the faults of lower ones."""
    draw = jax.random.uniform(key, healthy.shape, healthy.dtype)
    return jnp.where(draw < rates.on, on, jnp.where(draw >= 1 - rates.off, off, healthy))


def drawn_circuits(
    g: Float[Array, " cells"],
    g_on: Float[Array, " cells"],
    g_off: Float[Array, " cells"],
    rates: Rates,
    keys: Array,
) -> Float[Array, "circuits cells"]:
    """Conductances of circuits with random faults, to be solved by `solve_all`.

    Args:
        g: healthy cells, (cells,) [S].
        g_on: what each has when stuck-on [S].
        g_off: when stuck-off [S].
        rates: fault rates.
        keys: JAX keys, one for each circuit; the same key at other rates draws nested faults.

    Returns:
        (circuits, cells) [S].

    Raises:
        ValueError: as `predicted_moments`.
    """
    _check(rates)
    return _circuits(keys, rates, g_on, g_off, g)


@program(eqx.filter_jit)
def _circuits(keys: Array, rates: Rates, *cells: Array) -> Float[Array, "circuits cells"]:
    return jax.vmap(lambda key: _drawn(key, rates, *cells))(keys)


def _check(rates: Rates) -> None:
    StuckCells(rates.on, rates.off)  # raises what is wrong
