"""What `xbar paper` is asked to do: one object for everything, in full or quick."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from xbar.devices import SHAPES
from xbar.devices.ageing import NU, NU_SPREAD, RATE

SIX = ("circle", "ring", "row", "column", "checkerboard", "circle-complement")
"""The shapes of the study; `xbar.devices.SHAPES` may know more."""

RADIUS, AREA = 0.2, 0.126
"""The circle that the study names, and the share of an array that it covers."""


@dataclass(frozen=True)
class Settings:
    """Everything that fixes the numbers of the experiments.

    Args:
        seed: of all randomness.
        seeds: repetitions: split, base network, places and correctors of each their own.
        hidden: hidden layers of the base network.
        shapes: of defects.
        coverages: severities, shares of the array; each shape takes those that fit it.
        coverage: the one severity where severity is not the question.
        steps: updates of each corrector.
        brief_steps: updates of a corrector that is trained briefly.
        size_shapes: of the circuits that correctors of all sizes read.
        size_coverages: their severities.
        transfer_layers: layers for transfers between shapes.
        transfer_coverages: severities there.
        pools: numbers of circuits of a shape that train one corrector.
        tested: places of each shape that test it.
        radii: of the circles whose place a training shape shares.
        stuck_shapes: of the circuits for kinds of stuck cells.
        stuck_placements: their places; with the seeds at least 20 masks.
        option_defects: shape and severity of the circuits for options that the paper leaves open.
        option_seeds: at most so many of the seeds there.
        wires: resistances of wire segments [ohm].
        windows: device windows, keys of `xbar.devices.mapping.WINDOWS`.
        activations: of the networks beside ReLU.
        devices: programmed in the place of exact cells, presets or effects of `xbar.devices`.
        simulator_images: that ngspice solves in each circuit; one with the largest array.
        hidden_layer: the layer that is broken where it is not the last.
        hidden_coverage: share of it that a circle covers, for a loss like the last layer's.
        label_counts: numbers of labelled images, beside all there are.
        pool_coverages: severities of the circuits of mixes and side information.
        pool_places: places of each shape whose circuits may train a pooled corrector.
        pool_tested: places of each shape that test it.
        pool: circuits that train a pooled corrector where their number is not the question.
        pool_sizes: their numbers where it is; at most places times shapes.
        side_pool: circuits that train a corrector with side information, or without.
        side_images: numbers of reference images whose voltages are side information.
        side_hidden: hidden units of these correctors.
        laws: of ageing: name, mean exponent, its spread, and the share of the cells that stick-on
            (and as many off) in each decade of time.
        decades: powers of ten over which a circuit ages.
        ages: times on the way, evenly on the logarithm.
        live: labelled images for each update of a corrector that follows.
        spares: arrays in an ensemble, the first among them.
        retrain_steps: updates of a network that is retrained.
        deep_networks: larger networks on tiles, as `xbar.paper.tiled.new_network` has them.
        deep_defects: extent ("layer", or "tile" for one of its tiles), shape, share of it.
        deep_seeds: at most so many of the seeds there.
    """

    seed: int = 0
    seeds: int = 20
    hidden: tuple[int, ...] = (50, 20, 8)
    shapes: tuple[str, ...] = SIX
    coverages: tuple[float, ...] = (0.05, AREA, 0.25, 0.35, 0.5, 0.7, 1 - AREA)
    coverage: float = 0.35
    steps: int = 1500
    brief_steps: int = 600
    size_shapes: tuple[str, ...] = ("circle", "column")
    size_coverages: tuple[float, ...] = (AREA, 0.25, 0.5)
    transfer_layers: tuple[int, ...] = (0, 1, 2, 3)
    transfer_coverages: tuple[float, ...] = (AREA, 0.35)
    pools: tuple[int, ...] = (2, 6)
    tested: int = 3
    radii: tuple[float, ...] = (RADIUS, 0.3)
    stuck_shapes: tuple[str, ...] = ("circle",)
    stuck_placements: int = 1
    option_defects: tuple[tuple[str, float], ...] = (
        ("circle", AREA),
        ("circle", 0.35),
        ("column", 0.35),
    )
    option_seeds: int = 20
    wires: tuple[float, ...] = (0.0, 0.35, 1.0, 2.5, 2.82, 10.0, 28.0)
    windows: tuple[str, ...] = ("mnsim", "stanford", "25k-200k", "neurosim", "3.3k-1M")
    activations: tuple[str, ...] = ("tanh", "sigmoid")
    devices: tuple[str, ...] = ("programming=0.05", "programming=0.2", "wan2022")
    simulator_images: int = 2
    hidden_layer: int = 2
    hidden_coverage: float = 0.5
    label_counts: tuple[int, ...] = (10, 20, 50, 100, 200)
    pool_coverages: tuple[float, ...] = (AREA, 0.35)
    pool_places: int = 30
    pool_tested: int = 4
    pool: int = 30
    pool_sizes: tuple[int, ...] = (6, 12, 30, 60, 180)
    side_pool: int = 60
    side_images: tuple[int, ...] = (1, 2, 5, 10)
    side_hidden: tuple[int, ...] = (14, 40)
    laws: tuple[tuple[str, float, float, float], ...] = (
        ("drift and stuck cells", NU, NU_SPREAD, RATE),
        ("a third of that drift", NU / 3, NU_SPREAD / 3, RATE),
        ("stuck cells alone", 0.0, 0.0, RATE),
    )
    decades: float = 7.0
    ages: int = 11
    live: tuple[int, ...] = (1, 5, 20)
    spares: tuple[int, ...] = (3, 5)
    retrain_steps: int = 2000
    deep_networks: tuple[str, ...] = (
        "64-50-20-8-10",
        "784-256-128-10",
        "784-256-128-64-32-10",
        "LeNet",
        "784-16-8-10",
        "784-64-32-10",
        "784-64-64-10",
        "784-64-64-64-64-10",
    )
    deep_defects: tuple[tuple[str, str, float], ...] = (
        ("layer", "circle", AREA),
        ("layer", "circle", 0.35),
        ("layer", "circle", 0.7),
        ("layer", "row", 0.35),
        ("layer", "column", 0.35),
        ("tile", "circle", 0.7),
    )
    deep_seeds: int = 10

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers, 0 the first."""
        return tuple(range(len(self.hidden) + 1))

    def fitting(self, shape: str) -> tuple[float, ...]:
        """The severities that a shape can have; a checkerboard has one, its own."""
        known = SHAPES[shape]
        if shape == "checkerboard":
            return (known.coverage,)
        return tuple(c for c in self.coverages if known.least <= c <= known.most)

    def coverage_of(self, shape: str, coverage: float) -> float:
        """A severity for all shapes: a complement is that of the same circle."""
        if shape == "checkerboard":
            return SHAPES[shape].coverage
        return 1 - coverage if shape == "circle-complement" else coverage

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


FULL = Settings()
QUICK = replace(
    FULL,
    seeds=8,
    coverages=(AREA, 0.25, 0.35, 0.5, 1 - AREA),
    size_shapes=("circle",),
    transfer_layers=(0, 3),
    transfer_coverages=(0.35,),
    pools=(3,),
    tested=2,
    radii=(RADIUS,),
    stuck_placements=3,
    option_defects=(("circle", AREA), ("circle", 0.35)),
    option_seeds=8,
    wires=(0.0, 1.0, 10.0, 28.0),
    windows=("mnsim", "stanford", "25k-200k", "neurosim"),
    activations=(),
    devices=("programming=0.05", "wan2022"),
    simulator_images=1,
    label_counts=(10, 50),
    pool_coverages=(0.35,),
    pool_places=12,
    pool_tested=2,
    pool=12,
    pool_sizes=(6, 12, 60),
    side_images=(1, 10),
    side_hidden=(40,),
    ages=8,
    live=(1, 5),
    spares=(3,),
    deep_networks=("784-256-128-10",),  # LeNet takes most of a minute to train
    deep_defects=(("layer", "circle", 0.35), ("layer", "circle", 0.7), ("tile", "circle", 0.7)),
    deep_seeds=4,
)
