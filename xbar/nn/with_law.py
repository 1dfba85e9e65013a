"""Networks put on cells of a law, or taken off it: what they were mapped to stays.

A network's conductances and gains say all but the law, so that networks of several laws are stored
alike and get theirs back from a study's table.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool

from xbar.nn.array import Secant
from xbar.nn.network import Network
from xbar.nn.stuck import Mixed


def with_law(
    net: Network,
    cells: Callable[[Any], Any] | None,
    stuck: Mapping[int, Bool[Array, "rows columns"]] | None = None,
) -> Network:
    """The network with cells of a law that carry, at the bias voltage, what they carried before.

    Args:
        net: the network, in arrays as large as its layers, its bias rows at the read voltage.
        cells: from conductances to a law, as in `Hardware`; None for resistors.
        stuck: by layer, cells (inputs + 1, 2 * outputs) that are resistors all the same.

    Returns:
        A new network, its gains as they were.
    """
    laws = [None if cells is None else Secant(cells, layer.v_bias) for layer in net.layers]
    hit = {} if stuck is None else stuck
    mixed = [
        law if law is None or number not in hit else Mixed(law, hit[number])
        for number, law in enumerate(laws)
    ]
    where = lambda net: [layer.cells for layer in net.layers]  # noqa: E731
    return eqx.tree_at(where, net, mixed, is_leaf=lambda x: x is None)
