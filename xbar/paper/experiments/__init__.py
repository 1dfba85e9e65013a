"""The experiments, one module each, in the order in which they are computed and reported."""

from importlib import import_module

from xbar.paper.experiment import Experiment

STUDY = ("severity", "sizes", "overlap", "transfer", "stuck", "options")
BEYOND = (
    "devices",
    "mixes",
    "side_information",
    "labels",
    "remedies",
    "ageing",
    "deeper",
    "simulator",
)

EXPERIMENTS: tuple[Experiment, ...] = tuple(
    import_module(f"{__name__}.{name}").EXPERIMENT for name in STUDY + BEYOND
)
