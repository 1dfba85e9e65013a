"""Masks with soft edges, so that the place of a defect can be differentiated.

    m = sigmoid(level / temperature)        g = (1 - m) g_healthy + m g_stuck

`level` is the mask's own (see `xbar.devices.masks`): for circle, ring, rows, columns, scratch and
checkerboard the distance to the nearest edge in array sides, so the temperature is the width of the
soft edge there. As it goes to 0, m becomes the mask. All numbers of these masks then have
derivatives: centre, radius, angle, width, phase. `RowLines` and `ColumnLines` have none, since a
line's index is an integer; `Scattered` has one in its rate alone, at places that its key fixes.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0
from xbar.devices import AbstractFault, AbstractMask
from xbar.devices.mapping import Pairs, Window
from xbar.devices.masks import cell_centres
from xbar.nn import Network
from xbar.nn.layer import layer_index


def membership(
    mask: AbstractMask, shape: tuple[int, int], temperature: Any
) -> Float[Array, "rows cols"]:
    """How much each pair belongs to a mask, m = sigmoid(level / temperature).

    Args:
        mask: the mask; `mask.mask(shape)` is where m > 1/2.
        shape: (rows, cols) of the array in pairs, bias row included.
        temperature: width of the soft edge, () [array side].

    Returns:
        m, (rows, cols), 0 to 1.

    Raises:
        ValueError: a concrete temperature is not above 0.
    """
    width = checked("temperature", temperature, "a finite value > 0", finite_above_0, 0)
    y, x = cell_centres(*shape)
    return jax.nn.sigmoid(jnp.broadcast_to(mask.level(y, x), shape) / width)


def blend(
    pairs: Pairs,
    share: Float[Array, "rows cols"],
    fault: AbstractFault,
    window: Window,
    key: PRNGKeyArray | None = None,
) -> Pairs:
    """Pairs that are partly stuck, g = (1 - m) g_healthy + m g_stuck.

    Args:
        pairs: healthy pairs, (rows, cols).
        share: how much of each is stuck, m, (rows, cols); 0 and 1 are `inject`'s healthy and hit.
        fault: what happens where m is 1.
        window: of the stuck values.
        key: JAX key, for faults that draw.

    Returns:
        The pairs, (rows, cols) [S].

    Raises:
        ValueError: the fault draws and there is no key.
    """
    stuck = fault.apply(pairs, jnp.ones(pairs.shape, bool), window, key)
    m = share.astype(pairs.g_plus.dtype)

    def mixed(healthy: Array, g: Array) -> Array:
        return (1 - m) * healthy + m * g

    return Pairs(mixed(pairs.g_plus, stuck.g_plus), mixed(pairs.g_minus, stuck.g_minus))


def with_smooth_fault(
    network: Network,
    layer: int,
    mask: AbstractMask,
    fault: AbstractFault,
    temperature: Any,
    key: PRNGKeyArray | None = None,
) -> Network:
    """The network with a soft-edged fault in one layer; the limit is `Network.with_fault`.

    Args:
        network: healthy.
        layer: index; -1 is the last.
        mask: which pairs.
        fault: what happens to them.
        temperature: width of the soft edge, () [array side].
        key: JAX key, for faults that draw.

    Returns:
        A new network, differentiable with respect to the mask's numbers.

    Raises:
        ValueError: no such layer, or as `membership` and `blend`.
    """
    layer = layer_index(layer, len(network.layers))
    old = network.layers[layer]
    share = membership(mask, old.pairs.shape, temperature)
    pairs = blend(old.pairs, share, fault, old.window, key)
    return eqx.tree_at(lambda net: net.layers[layer].pairs, network, pairs)
