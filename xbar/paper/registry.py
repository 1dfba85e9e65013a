"""The experiments, in the order in which they are computed and reported."""

from xbar.paper import options, recovery, referee, sensitivity, sizes, stuck, transfer
from xbar.paper.beyond import ageing, images, mixes, remedies, told
from xbar.paper.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    recovery.EXPERIMENT,
    sensitivity.EXPERIMENT,
    sizes.EXPERIMENT,
    transfer.EXPERIMENT,
    stuck.EXPERIMENT,
    options.EXPERIMENT,
    mixes.EXPERIMENT,
    told.EXPERIMENT,
    ageing.EXPERIMENT,
    remedies.EXPERIMENT,
    images.EXPERIMENT,
    referee.EXPERIMENT,  # last: it counts what all the others solved
)
"""Those of the study first, then what goes beyond it."""
