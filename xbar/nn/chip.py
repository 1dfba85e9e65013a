"""One chip of a network: its cells programmed, aged and read as their devices do.

```python
net = xb.Network.from_weights(w, b, hardware=xb.Hardware(device=xb.devices.preset("wan2022")))
chip = xb.nn.program(net, key)             # this chip, as it was programmed
later = xb.nn.age(chip, key, 3600.0)       # an hour later
volts = xb.nn.read(later, key, 3600.0)(x)  # what one read sees then
```

The same key is one chip at every time; layer n takes `fold_in(key, n)`. Layers without a device
stay as they are. Models from `convert` are programmed by the same calls; they remember the key, and
draw their chip from it wherever they are called, so that gradients reach the software weights.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from xbar.devices.device import Device
from xbar.devices.mapping import Pairs
from xbar.nn.convert import with_chip
from xbar.nn.layer import Layer
from xbar.nn.network import Network


def program(net: Any, key: PRNGKeyArray, *, cycle: Any = 0) -> Any:
    """The network with its cells programmed; they were at their targets.

    Args:
        net: as mapped, or any model from `convert`.
        key: JAX key of the chip.
        cycle: number of the programming, an integer ().

    Returns:
        A new network, which remembers the targets.

    Raises:
        ValueError: a concrete target outside the range that a device holds for.
    """
    if not isinstance(net, Network):
        return with_chip(net, key, cycle=cycle)

    def programmed(layer: Layer, device: Device, own: PRNGKeyArray) -> Pairs:
        return device.program(targets_of(layer), own, cycle=cycle)

    return _each(net, key, programmed)


def age(net: Any, key: PRNGKeyArray, seconds: Any) -> Any:
    """The network at a time since its cells were programmed.

    Args:
        net: from `program`; always as programmed, never aged before.
        key: JAX key of the chip, that of `program`.
        seconds: since programming, () [s].

    Returns:
        A new network.

    Raises:
        ValueError: a concrete time that a device does not hold for.
    """
    if not isinstance(net, Network):
        return with_chip(net, key, seconds=seconds)

    def aged(layer: Layer, device: Device, own: PRNGKeyArray) -> Pairs:
        return device.age(layer.pairs, own, seconds, targets_of(layer))

    return _each(net, key, aged)


def read(net: Any, key: PRNGKeyArray, seconds: Any = 1.0, read: Any = 0) -> Any:
    """The network as one read sees it.

    Args:
        net: from `program` or `age`.
        key: JAX key of the chip, that of `program`.
        seconds: since programming, () [s].
        read: number of the read, an integer ().

    Returns:
        A new network.

    Raises:
        ValueError: as `age`.
    """
    if not isinstance(net, Network):
        return with_chip(net, key, seconds=seconds, read=read)

    def seen(layer: Layer, device: Device, own: PRNGKeyArray) -> Pairs:
        return device.read(layer.pairs, own, seconds, read, targets_of(layer))

    return _each(net, key, seen)


def targets_of(layer: Layer) -> Pairs:
    """What the cells of a layer were asked to have [S]."""
    return layer.pairs if layer.targets is None else layer.targets


def _each(
    net: Network, key: PRNGKeyArray, pairs_of: Callable[[Layer, Device, PRNGKeyArray], Pairs]
) -> Network:
    def changed(number: int, layer: Layer) -> Layer:
        if layer.device is None:
            return layer
        pairs = pairs_of(layer, layer.device, jax.random.fold_in(key, number))
        new = pairs, targets_of(layer)
        where = lambda layer: (layer.pairs, layer.targets)  # noqa: E731
        return eqx.tree_at(where, layer, new, is_leaf=lambda x: x is None)

    layers = tuple(changed(number, layer) for number, layer in enumerate(net.layers))
    return eqx.tree_at(lambda net: net.layers, net, layers)
