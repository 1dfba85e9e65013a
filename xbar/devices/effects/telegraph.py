"""Random telegraph noise: a trap that takes a share of the conductance while it is filled."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, finite_from_0, within_unit
from xbar.devices.effects.base import AbstractReading, G
from xbar.devices.words import shown


@final
class Telegraph(AbstractReading):
    """Random telegraph noise, g (1 - d b) with b = 1 while a trap is filled, else 0.

    b is 1 with probability p, the occupancy. Mean g (1 - p d), variance g^2 p (1 - p) d^2. The trap
    is filled after t_capture and empty again after t_emission on average, p = t_emission /
    (t_capture + t_emission), and two states t apart are correlated by exp(-t / t_corr) with
    1 / t_corr = 1 / t_capture + 1 / t_emission. Reads by number (`read`) count as far apart:
    independent. `series` follows a cell through reads that are close.

    Derivatives with respect to conductance and depth are exact. **That with respect to the
    occupancy passes straight through** the draw: right where the loss is linear in the conductance.

    Args:
        depth: share of the conductance that the filled trap takes, () in 0..1. The literature has
            lognormal depths and no agreed number.
        occupancy: probability that the trap is filled, () in 0..1.
        depth_sigma_ln: spread of the depth between devices, the standard deviation of its
            natural logarithm, (); None for equal depths. `depth` is then the median.
        t_corr: correlation time, () [s]; `series` needs it.

    Raises:
        ValueError: a concrete number outside its range.
    """

    depth: Float[Array, ""]
    occupancy: Float[Array, ""]
    depth_sigma_ln: Float[Array, ""] | None
    t_corr: Float[Array, ""] | None

    def __init__(
        self, depth: Any, occupancy: Any = 0.5, depth_sigma_ln: Any = None, t_corr: Any = None
    ):
        self.depth = checked("Telegraph.depth", depth, "a share in 0..1", within_unit, 0)
        self.occupancy = checked(
            "Telegraph.occupancy", occupancy, "a value in 0..1", within_unit, 0
        )
        self.depth_sigma_ln = (
            None
            if depth_sigma_ln is None
            else checked(
                "Telegraph.depth_sigma_ln", depth_sigma_ln, "a finite value >= 0", finite_from_0, 0
            )
        )
        self.t_corr = (
            None
            if t_corr is None
            else checked("Telegraph.t_corr", t_corr, "a time > 0 [s]", finite_above_0, 0)
        )

    @staticmethod
    def from_times(
        depth: Any, t_capture: Any, t_emission: Any, depth_sigma_ln: Any = None
    ) -> "Telegraph":
        """The noise of a trap with these mean times.

        Args:
            depth: share of the conductance that the filled trap takes, ().
            t_capture: mean time until an empty trap is filled, () [s].
            t_emission: mean time until a filled trap is empty, () [s].
            depth_sigma_ln: spread of the depth between devices.

        Returns:
            The noise, with its occupancy and correlation time.

        Raises:
            ValueError: a concrete time is not above 0, or as the class.
        """
        times = {"t_capture": t_capture, "t_emission": t_emission}
        fill, free = (checked(n, t, "a time > 0 [s]", finite_above_0, 0) for n, t in times.items())
        return Telegraph(depth, free / (fill + free), depth_sigma_ln, fill * free / (fill + free))

    def read(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any = 1.0,
        read: Any = 0,
        target: G | None = None,
    ) -> G:
        """The conductances that one read sees, independent of every other."""
        filled = self._drawn(jax.random.fold_in(key, read), g)
        return self._taken(g, key, filled)

    def series(self, g: G, key: PRNGKeyArray, seconds: Float[Array, " n"]) -> G:
        """The conductances that reads at given times see, correlated as the trap is.

        Args:
            g: conductances [S].
            key: the effect's own key.
            seconds: times of the reads, rising, (n,).

        Returns:
            Conductances, (n, ...) [S].

        Raises:
            ValueError: there is no `t_corr`.
        """
        if self.t_corr is None:
            raise ValueError("Telegraph.t_corr: got None, needs a time for a series of reads [s]")
        # Two states with rates: over a time t the state stays with probability exp(-t / t_corr),
        # else it is drawn anew with the occupancy; this is the chain's transition matrix exactly.
        stays = jnp.exp(-jnp.diff(seconds, prepend=-jnp.inf) / self.t_corr).astype(g.dtype)

        def step(filled: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
            number, stay = at
            anew, keep = jax.random.split(jax.random.fold_in(key, number))
            kept = jax.random.uniform(keep, g.shape, g.dtype) < stay
            filled = jnp.where(kept, filled, self._drawn(anew, g))
            return filled, self._taken(g, key, filled)

        return lax.scan(step, jnp.zeros_like(g), (jnp.arange(len(seconds)), stays))[1]

    def _drawn(self, key: PRNGKeyArray, g: G) -> G:
        """1 where the trap is filled; the derivative is that of the occupancy."""
        occupancy = self.occupancy.astype(g.dtype)
        filled = jax.random.uniform(key, g.shape, g.dtype) < occupancy
        return filled.astype(g.dtype) + (occupancy - lax.stop_gradient(occupancy))

    def _taken(self, g: G, key: PRNGKeyArray, filled: G) -> G:
        depth = self.depth.astype(g.dtype)
        if self.depth_sigma_ln is not None:
            spread = self.depth_sigma_ln.astype(g.dtype)
            depth = depth * jnp.exp(spread * jax.random.normal(key, g.shape, g.dtype))
            depth = jnp.minimum(depth, 1)
        return g * (1 - depth * filled)

    def describe(self) -> str:
        """Depth, occupancy and correlation."""
        own = ""
        if self.depth_sigma_ln is not None:
            own = f" (median; sigma_ln = {shown(self.depth_sigma_ln, '')} between devices)"
        apart = "" if self.t_corr is None else f", correlated over {shown(self.t_corr, 's')}"
        depth, filled = shown(self.depth, ""), shown(self.occupancy, "")
        return f"telegraph noise of each read: {depth} of g{own}, {filled} of the time{apart}"
