"""A circuit that ages: conductances drift by a power law, and more cells stick as time goes on.

    drift       g(t) = g(t0) (t / t0)^-nu            nu of each cell its own, 0 or more
    wear        P(cell not stuck by t) = (1 - rate)^log10(t / t0)

Both run on the logarithm of time. For drift that is measured; for wear nothing published fixes a
law, and one probability per decade is the plainest that spreads faults over the whole life: with
one per second nearly all would come in the last decade. A cell's exponent and the time at which it
sticks follow from the key and the shape alone, so that one key is one circuit at every time.
"""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, finite_from_0, is_concrete
from xbar.devices.mapping import Pairs, Window

NU, NU_SPREAD, T0 = 0.05, 0.02, 20.0
"""Defaults of the drift, from phase-change memory, where it is measured best: mean exponents of
0.049 to 0.1, a spread of 0.008 to 0.045 between devices, and 20 s from programming to the first
reading (V. Joshi et al., Nature Communications 11, 2473, 2020, in the form that aihwkit's
PCMLikeNoiseModel gives them). For ReRAM we know of no agreed law: retention losses differ by
material, and these are an option, not a fact."""

RATE = 0.0005
"""Default share of the healthy cells that stick-on, and as many that stick-off, in each decade of
time. Nothing published fixes it: after seven decades 0.7 % of the cells are stuck."""


@final
class Drift(eqx.Module):
    """Power-law drift, g(t) = g(t0) (t / t0)^-nu, nu = max(0, Normal(mean, spread)) for each cell.

    Args:
        nu: mean exponent, (); 0 for none.
        spread: standard deviation of the exponent between cells, ().

    Raises:
        ValueError: a concrete number is negative or not finite.
    """

    nu: Float[Array, ""]
    spread: Float[Array, ""]

    def __init__(self, nu: Any = NU, spread: Any = NU_SPREAD):
        self.nu = checked("Drift.nu", nu, "a finite value >= 0", finite_from_0, 0)
        self.spread = checked("Drift.spread", spread, "a finite value >= 0", finite_from_0, 0)

    def exponents(
        self, shape: tuple[int, ...], dtype: Any, key: PRNGKeyArray
    ) -> Float[Array, "*cells"]:
        """The exponent of each cell.

        Args:
            shape: of the cells.
            dtype: floating dtype.
            key: JAX key.

        Returns:
            nu, 0 or more, in the shape.
        """
        drawn = self.nu.astype(dtype) + self.spread * jax.random.normal(key, shape, dtype)
        return jnp.maximum(drawn, 0).astype(dtype)


@final
class Wear(eqx.Module):
    """Cells that stick as time goes on, each with the same probability in every decade.

    Args:
        rate_on: share of the cells not yet stuck that stick-on in a decade of time, ().
        rate_off: share that sticks-off, (); the two add up to less than 1.

    Raises:
        ValueError: a concrete rate is outside 0..1, or their sum is not below 1.
    """

    rate_on: Float[Array, ""]
    rate_off: Float[Array, ""]

    def __init__(self, rate_on: Any = RATE, rate_off: Any = RATE):
        def fits(rate: Any) -> Any:
            return (rate >= 0) & (rate < 1)

        self.rate_on = checked("Wear.rate_on", rate_on, "a value in 0..1, 1 excluded", fits, 0)
        self.rate_off = checked("Wear.rate_off", rate_off, "a value in 0..1, 1 excluded", fits, 0)
        if is_concrete(rate_on, rate_off) and not float(rate_on) + float(rate_off) < 1:
            raise ValueError(
                f"Wear.rate_off: got {rate_off}, needs less than 1 with rate_on, {rate_on}"
            )

    def stuck(
        self, decades: Float[Array, ""], shape: tuple[int, ...], key: PRNGKeyArray
    ) -> tuple[Bool[Array, "*cells"], Bool[Array, "*cells"]]:
        """Which cells are stuck by a time; with one key, those of an earlier time are among them.

        Args:
            decades: log10(t / t0), ().
            shape: of the cells.
            key: JAX key.

        Returns:
            Cells stuck-on and cells stuck-off, in the shape.
        """
        when, how = jax.random.split(key)
        rate = self.rate_on + self.rate_off
        # A uniform draw u is what is left of the cells when this one sticks: stuck once S(t) <= u.
        stuck = (1 - rate) ** decades <= jax.random.uniform(when, shape, rate.dtype)
        share_on = self.rate_on / jnp.where(rate > 0, rate, 1)
        on = jax.random.uniform(how, shape, rate.dtype) < share_on
        return stuck & on, stuck & ~on


@final
class Ageing(eqx.Module):
    """Drift and wear of an array from a time t0 on.

    Args:
        drift: of the cells that are not stuck.
        wear: how cells stick.
        t0: time at which the array is as it was programmed, () [s].

    Raises:
        ValueError: a concrete t0 is not above 0 and finite.
    """

    drift: Drift
    wear: Wear
    t0: Float[Array, ""]

    def __init__(self, drift: Drift | None = None, wear: Wear | None = None, t0: Any = T0):
        self.drift = Drift() if drift is None else drift
        self.wear = Wear() if wear is None else wear
        self.t0 = checked("Ageing.t0", t0, "a finite value > 0 [s]", finite_above_0, 0)

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
        ratio = jnp.maximum(t_ / self.t0, 1).astype(g.dtype)
        of_drift, of_wear = jax.random.split(key)
        aged = g * ratio ** -self.drift.exponents(g.shape, g.dtype, of_drift)
        on, off = self.wear.stuck(jnp.log10(ratio), g.shape, of_wear)
        g_min, g_max = window.g_min.astype(g.dtype), window.g_max.astype(g.dtype)
        aged = jnp.where(on, g_max, jnp.where(off, g_min, aged))
        return Pairs(*(aged if held is None else jnp.where(held, g, aged)))
