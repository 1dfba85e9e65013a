"""What the tests of `xbar paper` share: settings and data that take seconds."""

from dataclasses import replace

import numpy as np

from xbar.io.dataset import Dataset
from xbar.paper.settings import AREA, FULL

TINY = replace(
    FULL,
    seeds=2,
    hidden=(4,),
    shapes=("circle", "ring", "checkerboard", "circle-complement"),
    coverages=(0.35,),
    steps=30,
    brief_steps=20,
    size_shapes=("circle",),
    size_coverages=(AREA,),
    transfer_layers=(0, 1),
    transfer_coverages=(0.35,),
    pools=(1,),
    tested=1,
    radii=(0.3,),
    option_defects=(("circle", AREA), ("circle", 0.35)),
    wires=(0.0, 1.0),
    windows=("mnsim", "stanford"),
    activations=("tanh",),
    simulator_images=1,
    hidden_layer=0,
    hidden_coverage=0.3,
    label_counts=(6,),
    pool_coverages=(0.35,),
    pool_places=4,
    pool_tested=1,
    pool=4,
    pool_sizes=(4, 8),
    side_pool=8,
    side_images=(1, 2),
    side_hidden=(5,),
    laws=FULL.laws[:2],
    ages=3,
    live=(2,),
    spares=(2,),
    retrain_steps=20,
    devices=("programming=0.05",),
    deep_networks=("4-6-5-3",),
    deep_defects=(("layer", "circle", 0.35), ("tile", "circle", 0.7)),
    deep_seeds=2,
)


def tiny_data() -> Dataset:
    """Three classes in four features, told apart with some errors."""
    rng = np.random.default_rng(1)
    y = np.arange(90) % 3
    return Dataset.from_arrays(np.maximum((3 * np.eye(3, 4))[y] + rng.normal(size=(90, 4)), 0), y)
