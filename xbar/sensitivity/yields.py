"""How many circuits will do: accuracy over circuits with random single-cell faults.

Every cell is stuck-on with probability `rate_on`, stuck-off with `rate_off`, by itself. The exact
single-fault map has the change d_on, d_off that each fault makes alone. If effects added up,

    A = A_0 + sum_c X_c        X_c = d_on[c], d_off[c] or 0
    E A = A_0 + sum_c m_c      m_c = rate_on d_on[c] + rate_off d_off[c]
    Var A = sum_c (rate_on d_on[c]^2 + rate_off d_off[c]^2 - m_c^2)

They do not add up where faults meet: on one word line, in one decision, near the accuracy of
guessing. `drawn_circuits` draws circuits to be solved exactly, which says where that starts.

The yield against a requirement, `chip_yield`, assumes nothing to add up: every chip is drawn and
solved. Chips of one key are nested: a higher rate has the faults of a lower one and more.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.stats import binomtest

from xbar.batch import batch_map
from xbar.devices import StuckCells
from xbar.nn import Network
from xbar.programs import program
from xbar.sensitivity.all_cells import conductances, solve_all, stuck_conductances


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


STEPS = 12  # halvings of the interval of rates, in their logarithm: 0.2 % of 1e-5 .. 1


class Yield(NamedTuple):
    """Share of chips that meet a requirement.

    ```python
    found = sens.chip_yield(net, x, labels, 0.5, sens.Rates(0.02, 0.02), key, chips=20)
    print(found.share, found.low, found.high)
    ```

    Args:
        share: of the chips drawn.
        low: lower end of its 95 % interval (Clopper and Pearson).
        high: upper end.
        accuracy: of each chip, (chips,); NaN where it could not be solved, which meets nothing.
    """

    share: float
    low: float
    high: float
    accuracy: np.ndarray


def chip_yield(
    net: Network,
    x: Any,
    labels: Any,
    at_least: float,
    rates: Rates,
    key: PRNGKeyArray,
    chips: int = 200,
) -> Yield:
    """Share of chips with random stuck cells whose accuracy is at least a given one.

    ```python
    sens.chip_yield(net, x, labels, 0.5, sens.Rates(on=0.01, off=0.03), key, chips=20).share
    ```

    Args:
        net: the network; faults that it has stay where no new one hits.
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        at_least: required accuracy, 0 to 1.
        rates: probabilities that a cell is stuck-on and stuck-off.
        key: JAX key of the chips.
        chips: how many are drawn and solved.

    Returns:
        The `Yield`.

    Raises:
        ValueError: a number out of its range.
    """
    _check_shares(at_least=at_least)
    if chips < 1:
        raise ValueError(f"chips: got {chips}, needs 1 or more")
    on, off = (stuck_conductances(net, kind) for kind in ("on", "off"))
    g = drawn_circuits(conductances(net), on, off, rates, jax.random.split(key, chips))
    accuracy = np.asarray(solve_all(net, g, x, jax.numpy.asarray(labels)).accuracy)
    good = int(np.sum(accuracy >= at_least))
    interval = binomtest(good, chips).proportion_ci()
    return Yield(good / chips, float(interval.low), float(interval.high), accuracy)


def largest_fault_rate(
    net: Network,
    x: Any,
    labels: Any,
    at_least: float,
    key: PRNGKeyArray,
    share: float = 0.95,
    on: float = 0.5,
    chips: int = 200,
) -> float:
    """The fault rate up to which a share of the chips meets a required accuracy.

    "95 % of chips above 90 %: which fault rate?" By halving an interval of rates from 1e-5 to 1,
    each with the same chips, solved exactly; the answer has the statistical error of these chips.

    ```python
    rate = sens.largest_fault_rate(net, x, labels, at_least=0.5, key=key, share=0.9, chips=20)
    ```

    Args:
        net: the network.
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        at_least: required accuracy, 0 to 1.
        key: JAX key of the chips.
        share: of chips that must meet it, 0 to 1.
        on: share of the faults that are stuck-on, 0 to 1; the others are stuck-off.
        chips: how many are drawn and solved for each rate.

    Returns:
        Probability that a cell is stuck; 0 where chips with one stuck cell in 100,000 already fail,
        1 where all may be stuck.

    Raises:
        ValueError: a number out of its range.
    """
    _check_shares(at_least=at_least, share=share, on=on)

    def met(rate: float) -> bool:
        rates = Rates(rate * on, rate * (1 - on))
        return chip_yield(net, x, labels, at_least, rates, key, chips).share >= share

    low, high = 1e-5, 1.0
    if met(high):
        return high
    if not met(low):
        return 0.0
    for _ in range(STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if met(middle) else (low, middle)
    return low


def _check_shares(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: got {value}, needs 0 to 1")
