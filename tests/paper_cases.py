"""What the tests of `xbar paper` share: settings and data that take seconds."""

from dataclasses import replace

import numpy as np

from xbar.io.dataset import Dataset
from xbar.paper.settings import FULL

TINY = replace(
    FULL,
    seeds=2,
    hidden=(4,),
    shapes=("circle", "ring", "checkerboard", "circle-complement"),
    coverages=(0.35,),
    steps=30,
    size_defects=(("circle", 1, 0.35), ("column", 0, 0.35)),
    transfer_layers=(0, 1),
    pools=(1,),
    tested=1,
    option_shapes=("circle",),
    wires=(0.0, 1.0),
    windows=("mnsim", "stanford"),
    activations=("tanh",),
    referee_images=1,
)


def tiny_data() -> Dataset:
    """Three classes in four features, told apart with some errors."""
    rng = np.random.default_rng(1)
    y = np.arange(90) % 3
    return Dataset.from_arrays(np.maximum((3 * np.eye(3, 4))[y] + rng.normal(size=(90, 4)), 0), y)
