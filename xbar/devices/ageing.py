"""A circuit that ages: conductances drift by a power law, and more cells stick as time goes on.

    drift       g(t) = g(t0) (t / t0)^-nu            nu of each cell its own, 0 or more
    wear        P(cell not stuck by t) = (1 - rate)^log10(t / t0)

Both run on the logarithm of time and are effects of a device (`xbar.devices.effects`); `Ageing`
puts them together for the pairs of an array. A cell's exponent and the time at which it sticks
follow from the key and the shape alone, so that one key is one circuit at every time.
"""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, is_concrete
from xbar.devices.effects.drift import NU as NU
from xbar.devices.effects.drift import NU_SPREAD as NU_SPREAD
from xbar.devices.effects.drift import T0 as T0
from xbar.devices.effects.drift import Drift
from xbar.devices.effects.wear import RATE as RATE
from xbar.devices.effects.wear import Wear
from xbar.devices.mapping import Pairs, Window


@final
class Ageing(eqx.Module):
    """Drift and wear of an array from a time t0 on.

    Args:
        drift: of the cells that are not stuck.
        wear: how cells stick.
        t0: time at which the array is as it was programmed, () [s]: that of drift and wear,
            whatever they came with.

    Raises:
        ValueError: a concrete t0 is not above 0 and finite.
    """

    drift: Drift
    wear: Wear
    t0: Float[Array, ""]

    def __init__(self, drift: Drift | None = None, wear: Wear | None = None, t0: Any = T0):
        self.t0 = checked("Ageing.t0", t0, "a finite value > 0 [s]", finite_above_0, 0)
        from_t0 = [Drift() if drift is None else drift, Wear() if wear is None else wear]
        self.drift, self.wear = eqx.tree_at(lambda e: [x.t0 for x in e], from_t0, [self.t0] * 2)

    def apply(
        self,
        pairs: Pairs,
        t: Any,
        window: Window,
        key: PRNGKeyArray,
        *,
        held: Bool[Array, "*cells rows cols"] | None = None,
    ) -> Pairs:
        """The pairs at a time.

        Args:
            pairs: as they are at t0, (rows, cols).
            t: time, t0 or later, () [s]; a traced one that is earlier counts as t0.
            window: what newly stuck cells are stuck at, g_max or g_min.
            key: JAX key of this array: the same at every time.
            held: what is stuck from the start and keeps its conductances: pairs, (rows, cols), or
                plus and minus cells, (2, rows, cols); None for nothing.

        Returns:
            The pairs, in the dtype they came in.

        Raises:
            ValueError: a concrete t lies before a concrete t0, or `held` has another shape.
        """
        t_ = checked("t", t, "a finite time > 0 [s]", finite_above_0, 0)
        if is_concrete(t, self.t0) and np.asarray(t) < np.asarray(self.t0):
            raise ValueError(f"t: got {t}, needs at least t0, {float(self.t0)} [s]")
        g = jnp.stack([pairs.g_plus, pairs.g_minus])
        if held is not None and held.shape not in (g.shape, g.shape[1:]):
            raise ValueError(f"held: got {held.shape}, needs {g.shape[1:]} or {g.shape}")
        of_drift, of_wear = jax.random.split(key)
        aged = self.drift.age(g, of_drift, t_)
        aged = self.wear.age(aged, of_wear, t_, window=window)
        return Pairs(*(aged if held is None else jnp.where(held, g, aged)))
