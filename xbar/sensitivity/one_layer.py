"""A network as a function of one layer's conductances; everything else is solved once."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import Layer, Network, forward
from xbar.nn.layer import layer_index
from xbar.sensitivity.losses import Criterion, loss_of


@final
class OneLayer(eqx.Module):
    """What becomes of a data set when the pairs of one layer change; make one with `of`.

    Args:
        network: whose layer changes.
        index: of the layer, 0 the first.
        v: voltages that drive the layer, without the bias row, (n, inputs) [V].
        transfers: transfer matrices of the layers behind it [S].
        labels: classes of the inputs, (n,).
        loss: of the output voltages.
    """

    network: Network
    index: int = eqx.field(static=True)
    v: Float[Array, "n inputs"]
    transfers: tuple[Array, ...]
    labels: Int[Array, " n"]
    loss: Criterion = eqx.field(static=True)

    @staticmethod
    def of(
        network: Network,
        layer: int,
        x: Any,
        labels: Int[Array, " n"],
        loss: Criterion = "cross_entropy",
    ) -> "OneLayer":
        """Solve the other layers.

        Args:
            network: healthy, or with defects that stay.
            layer: the layer whose pairs change; -1 is the last.
            x: inputs of the network, (n, inputs).
            labels: their classes, (n,).
            loss: what counts as bad, a key of `LOSSES` or a function of voltages and labels.

        Returns:
            The layer within its network.

        Raises:
            ValueError: no such layer or loss, or as `Network.__call__`.
        """
        layer = layer_index(layer, len(network.layers))
        loss_of(loss, network)  # raises now what is wrong
        network = network.without_noise()
        transfers = network.transfers()
        v = network.voltages(transfers, x)[layer].v_in[..., :-1]
        return OneLayer(network, layer, v, transfers[layer + 1 :], jnp.asarray(labels), loss)

    @property
    def layer(self) -> Layer:
        """The layer, with its healthy pairs."""
        return self.network.layers[self.index]

    def voltages(self, pairs: Pairs) -> Float[Array, "n classes"]:
        """Output voltages with other pairs in the layer, (n, classes) [V]: one exact solve.

        NaN where the array could not be solved within the solver's tolerance.
        """
        layer = eqx.tree_at(lambda part: part.pairs, self.layer, pairs)
        layers = [layer, *self.network.layers[self.index + 1 :]]
        known = zip(layers, (layer.transfer(), *self.transfers), strict=True)
        return forward(layers, [part.circuit().prepared(t) for part, t in known], self.v)[-1].v_out

    def scores(self, pairs: Pairs) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Loss and accuracy of the data set with other pairs in the layer; NaN as `voltages`."""
        volts = self.voltages(pairs)
        found = loss_of(self.loss, self.network)(volts, self.labels)
        return found, accuracy(volts, self.labels)
