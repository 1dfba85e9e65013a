"""Yield against a requirement: how many chips are good enough, and up to which fault rate.

Every chip is drawn and solved exactly; nothing is assumed to add up. Chips of one key are nested: a
higher rate has the faults of a lower one and more.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy.stats import binomtest

from xbar.nn import Network
from xbar.sensitivity.all_cells import conductances, solve_all, stuck_conductances
from xbar.sensitivity.yields import Rates, drawn_circuits

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
    _check(at_least=at_least)
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
    _check(at_least=at_least, share=share, on=on)

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


def _check(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: got {value}, needs 0 to 1")
