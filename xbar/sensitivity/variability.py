"""Whose variability costs most: what each cell's spread adds to the loss, cell by cell.

Cells that vary independently by sigma_c about their conductances change the loss by

    mean       sum_c  curvature_c sigma_c^2 / 2
    variance   sum_c (slope_c sigma_c)^2

to second and first order: of independent errors all products of two cells average out. One solve
of each array gives every slope and curvature; sampled chips are needed to check alone.
"""

from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.batch import batch_map
from xbar.checks import check_kind, checked, finite_from_0
from xbar.nn import Network, age, program, read
from xbar.sensitivity.baseline import Baseline
from xbar.sensitivity.expansion import expansion
from xbar.sensitivity.inputs import Criterion


@final
class Variability(eqx.Module):
    """What the spread of each cell of a layer does to the loss.

    Args:
        sigma_g: standard deviation of the cell, (rows, cols) [S].
        mean: what it adds to the expected loss, (rows, cols) [loss]; negative where it helps.
        variance: what it adds to the variance of the loss between chips, (rows, cols) [loss^2].
    """

    sigma_g: Float[Array, "rows cols"]
    mean: Float[Array, "rows cols"]
    variance: Float[Array, "rows cols"]


def variability(
    base: Baseline,
    spread: Any = 0.05,
    loss: Criterion = "cross_entropy",
) -> tuple[Variability, ...]:
    """Maps of what each cell's spread costs, one `Variability` per layer.

    Rectifiers that switch are in no derivative (see `expansion`): where spreads are large, compare
    with a few drawn chips.

    ```python
    base = sens.baseline(net, x, labels)
    maps = sens.variability(base, 0.05)  # 5 % of each conductance
    maps = sens.variability(base, sens.cell_spreads(net, key, seconds=3600.0))  # of its devices
    sum(float(layer.variance.sum()) for layer in maps)  # of the loss, between chips
    ```

    Args:
        base: of the network, from `baseline`.
        spread: standard deviation of every cell: a fraction of its conductance, (); or [S] for each
            layer, (rows, cols) each.
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.

    Returns:
        One per layer, columns (+, -, +, -).

    Raises:
        TypeError: `base` is no `Baseline`.
        ValueError: another number of layers, another shape, negative numbers, or an unknown loss.
    """
    check_kind("base", base, Baseline, "what baseline() returns")
    found = []
    for number, sigma in enumerate(_sigmas(base, spread)):
        second = expansion(base, number, loss)
        mean, variance = second.curvature * sigma**2 / 2, (second.slope * sigma) ** 2
        found.append(Variability(sigma, mean, variance))
    return tuple(found)


def cell_spreads(
    net: Network, key: PRNGKeyArray, seconds: Any = 1.0, chips: int = 200
) -> tuple[Float[Array, "rows cols"], ...]:
    """Standard deviation of every cell between chips, from drawn ones.

    ```python
    sigma = sens.cell_spreads(net, key, seconds=86_400.0)[0]  # of the first layer, after a day
    ```

    Args:
        net: as mapped, with devices; layers without one have none.
        key: JAX key.
        seconds: since programming, () [s].
        chips: how many are drawn; each spread is off by about 1 / sqrt(2 chips) of itself.

    Returns:
        (rows, cols) per layer, columns (+, -, +, -) [S].

    Raises:
        TypeError: chips that are no whole number.
        ValueError: fewer than 2 chips, or as `xbar.nn.age`.
    """
    if not isinstance(chips, int | np.integer):
        raise TypeError(f"chips: got {chips!r}, needs a whole number")
    if chips < 2:
        raise ValueError(f"chips: got {chips}, needs at least 2")
    age(program(net, key), key, seconds)  # names targets and times that devices do not hold for
    drawn = batch_map(_cells, jax.random.split(key, chips), net, jnp.asarray(seconds, float))
    return tuple(jnp.std(g, axis=0, ddof=1) for g in drawn)


def _cells(key: PRNGKeyArray, net: Network, seconds: Array) -> tuple[Array, ...]:
    seen = read(age(program(net, key), key, seconds), key, seconds)
    return tuple(layer.pairs.interleave() for layer in seen.layers)


def _sigmas(base: Baseline, spread: Any) -> Sequence[Array]:
    cells = [layer.pairs.interleave() for layer in base.net.layers]
    if not isinstance(spread, tuple | list):
        share = checked("spread", spread, "a finite fraction >= 0", finite_from_0, 0)
        return [share.astype(g.dtype) * g for g in cells]
    if len(spread) != len(cells):
        raise ValueError(f"spread: got {len(spread)} layers, needs {len(cells)}")
    needs = "finite values >= 0 [S]"
    found = [checked(f"spread[{k}]", s, needs, finite_from_0, 2) for k, s in enumerate(spread)]
    for number, (sigma, g) in enumerate(zip(found, cells, strict=True)):
        if np.shape(sigma) != g.shape:
            got = np.shape(sigma)
            raise ValueError(f"spread[{number}]: got shape {got}, needs {g.shape}, (rows, cols)")
    return [jnp.asarray(sigma, g.dtype) for sigma, g in zip(found, cells, strict=True)]
