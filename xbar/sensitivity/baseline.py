"""Where exact maps start from: a network on a data set, every array's answers known."""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xbar.checks import flag, is_concrete
from xbar.circuit import RESULTS
from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import Layer, Network
from xbar.nn.layer import layer_index
from xbar.nn.network import behind, forward
from xbar.programs import program
from xbar.sensitivity.arrays import Arrays, crossbars_of
from xbar.sensitivity.inputs import Criterion, cells_of, conductances, labelled, loss_of
from xbar.sensitivity.response import Response, response


@final
class FaultMap(eqx.Module):
    """What each fault of a map leaves of the network, exactly; NaN where that is not known.

    Args:
        loss: of the data set with the fault, one per fault.
        accuracy: share of inputs that are then classified right, one per fault.
    """

    loss: Float[Array, "..."]
    accuracy: Float[Array, "..."]


@final
class Stage(eqx.Module):
    """One layer at the baseline.

    Args:
        response: its array's; of tiles, those of all of them.
        v_in: row voltages of the data set, the bias row last, (n, rows) [V].
        w: volts behind the readout's linear steps per row volt, gain (T_plus - T_minus) for the
            usual one, (outputs, rows).
        v_lin: voltages behind those steps, ``v_in w^T``, (n, outputs) [V]; of digital partial sums
            those of each row of tiles, (n, R, outputs).
    """

    response: Response
    v_in: Float[Array, "n rows"]
    w: Float[Array, "outputs rows"]
    v_lin: Float[Array, "n *R outputs"]


@final
class Baseline(eqx.Module):
    """A network on a data set, healthy or with the faults that it has already.

    Args:
        net: the network.
        labels: the class of each input, (n,).
        stages: its layers on this data set.
        voltages: output voltages, (n, classes) [V].
    """

    net: Network
    labels: Int[Array, " n"]
    stages: tuple[Stage, ...]
    voltages: Float[Array, "n classes"]

    @property
    def responses(self) -> tuple[Response, ...]:
        """Each layer's response; of tiles, its arrays lead with their rows and columns."""
        return tuple(stage.response for stage in self.stages)

    @property
    def v_in(self) -> tuple[Array, ...]:
        """Row voltages of each array, (n, rows) [V]."""
        return tuple(stage.v_in for stage in self.stages)

    def arrays(self, layer: int) -> Arrays:
        """The arrays of a layer, with a leading axis whether they are tiles or one."""
        stage = self.stages[layer]
        return Arrays.of(self.net.layers[layer], stage.response, stage.v_in, stage.v_lin)

    def scores(self, loss: Criterion = "cross_entropy") -> FaultMap:
        """Loss and accuracy of the baseline itself, ()."""
        return scores_of(self, self.voltages, loss)


def baseline(net: Network, x: Any, labels: Any, *, throw: bool = True) -> Baseline:
    """Solve a network for everything that exact maps of its faults need.

    Args:
        net: the network; with faults in it, maps are of one more fault.
        x: inputs in the software network's unit, (n, inputs).
        labels: the class of each, (n,).
        throw: raise where an array missed its tolerance; else what depends on it is NaN.

    Returns:
        The `Baseline`.

    Raises:
        TypeError, ValueError: shapes or labels that do not fit.
        ValueError, RuntimeError: (with `throw`) as `response`.
    """
    x, labels = labelled(net, x, labels)
    # One by one: what is compiled for an array serves every network that has one of its size.
    each = tuple(
        tuple(response(array, throw=False) for array in crossbars_of(layer)) for layer in net.layers
    )
    found = _baseline(net, x, labels, each)
    if flag("throw", throw) and is_concrete(x, found):
        for number, arrays in enumerate(each):
            for answers in arrays:
                result = answers.result
                if result != RESULTS.successful:
                    kind = RuntimeError if result == RESULTS.tolerance_missed else ValueError
                    raise kind(f"net.layers[{number}]: {RESULTS[result]}")
    return found


@program()
def _baseline(
    net: Network, x: Array, labels: Array, each: tuple[tuple[Response, ...], ...]
) -> Baseline:
    responses = [_stacked(*part) for part in zip(net.layers, each, strict=True)]
    weights = [
        layer.fold(transfer_of(layer, answers))
        for layer, answers in zip(net.layers, responses, strict=True)
    ]
    layers = [layer.folded for layer in net.layers]
    arrays = [layer.circuit().prepared(w) for layer, w in zip(layers, weights, strict=True)]
    volts = forward(layers, arrays, net.input_volts(x))
    parts = zip(responses, volts, weights, arrays, strict=True)
    stages = [Stage(answers, v.v_in, w, array.currents(v.v_in)) for answers, v, w, array in parts]
    return Baseline(net, labels, tuple(stages), volts[-1].v_out)


def _stacked(layer: Layer, each: tuple[Response, ...]) -> Response:
    """The responses of a layer's arrays as one."""
    if layer.tiling is None:
        return each[0]
    grid = layer.tiling.grid(layer.pairs.shape)
    return jax.tree.map(lambda *xs: jnp.stack(xs).reshape(*grid, *xs[0].shape), *each)


def transfer_of(layer: Layer, answers: Response) -> Float[Array, "columns rows"]:
    """The transfer matrices of a layer's arrays in their places [S]."""
    if layer.tiling is None:
        return answers.t
    return layer.tiling.joined(answers.t, layer.pairs.shape)


def onwards(
    base: Baseline, layer: int, v_lin: Float[Array, "*faults_n outputs"]
) -> Float[Array, "*faults n classes"]:
    """Output voltages for other voltages in one layer's readout, the later arrays unchanged.

    Args:
        base: the baseline.
        layer: whose readout.
        v_lin: voltages behind its linear steps, each as `Stage` has it [V].
    """
    first, *later = [part.folded for part in base.net.layers[layer:]]
    known = zip(later, base.stages[layer + 1 :], strict=True)
    arrays = [part.circuit().prepared(stage.w) for part, stage in known]
    return behind(later, arrays, first.read(v_lin)[1])


def scores_of(
    base: Baseline, voltages: Float[Array, "*faults n classes"], loss: Criterion
) -> FaultMap:
    """Loss and accuracy of output voltages."""
    judge, labels = loss_of(loss, base.net), base.labels

    def one(v: Array) -> FaultMap:
        return FaultMap(judge(v, labels), accuracy(v, labels))

    return one(voltages) if voltages.ndim == 2 else jax.vmap(one)(voltages)


# Bytes of temporary arrays: enough for matrix products, few enough to stay near the cache.
MEMORY = 2**24
# Arrays of the widest layer's size that may live at once.
ALIVE = 3


def members_at_once(base: Baseline, layer: int, memory: int) -> int:
    """How many faults of a layer fit a memory bound [byte], at least one."""
    widest = max(stage.v_lin.size for stage in base.stages[layer:])
    each = ALIVE * widest * base.voltages.dtype.itemsize
    return max(1, memory // each)


def stuck_values(base: Baseline, layer: int, stuck: Any) -> Float[Array, "rows cols"]:
    """The conductances that a `stuck` argument stands for.

    Args:
        base: the baseline.
        layer: index of the layer.
        stuck: "on" or "off", the ends of the layer's window; or a conductance, a number or one that
            fits (rows, cols) [S].

    Returns:
        (rows, cols) [S].

    Raises:
        ValueError: another word, another shape, or a concrete value that is negative or not finite.
    """
    layer = layer_index(layer, len(base.stages))
    g, window = base.net.layers[layer].pairs.interleave(), base.net.layers[layer].window
    if isinstance(stuck, str):
        ends = {"on": window.g_max, "off": window.g_min}
        if stuck not in ends:
            raise ValueError(f'stuck: got {stuck!r}, needs "on", "off" or a conductance [S]')
        stuck = ends[stuck]
    return conductances("stuck", stuck, g.shape).astype(g.dtype)


def with_cells(net: Network, layer: int, cells: Any, g_new: Any) -> Network:
    """The network with some cells at other conductances; its gains stay as they were.

    Args:
        net: the network.
        layer: index of the layer.
        cells: (row, column) each, (k, 2); column 2p is the plus cell of pair p, 2p + 1 its minus.
        g_new: their conductances, () or (k,) [S].

    Returns:
        A new network.

    Raises:
        ValueError: no such layer or cell, or a concrete conductance that is negative or not finite.
    """
    layer = layer_index(layer, len(net.layers))
    g = net.layers[layer].pairs.interleave()
    at = cells_of(cells, g.shape)
    values = conductances("g_new", g_new, at.shape[:1]).astype(g.dtype)
    pairs = Pairs.from_interleaved(g.at[at[:, 0], at[:, 1]].set(values))
    return eqx.tree_at(lambda net: net.layers[layer].pairs, net, pairs)
