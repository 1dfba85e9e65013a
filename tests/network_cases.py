"""A network for tests of files."""

import numpy as np

import xbar as xb
from xbar.devices.mapping import Window
from xbar.nn import Network


def network(seed=0):
    """Nothing of it is at its default, and its wires have every shape that they may have."""
    rng = np.random.default_rng(seed)
    return Network.from_weights(
        [rng.normal(size=(4, 3)), rng.normal(size=(3, 2))],
        [rng.normal(size=3), rng.normal(size=2)],
        activation="tanh",
        window=[Window.preset("chip"), Window.preset("neurosim")],
        wires=[
            xb.Wires(rng.random((5, 6)), rng.random((1, 6)), rng.random(5), rng.random(6)),
            xb.Wires(1.0, 2.0, 3.0, 4.0),
        ],
        mapping="balanced",
        v_bias=0.1,
        k=[0.1, 0.2, 0.3],
        open_loop_gain=1e3,
        v_min=-0.3,
        v_max=0.4,
    )
