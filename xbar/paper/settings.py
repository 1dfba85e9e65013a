"""What `xbar paper` is asked to do: one object for everything, in full or quick."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xbar.devices import SHAPES
from xbar.paper.beyond.settings import BEYOND_QUICK, BeyondSettings

ALL_SHAPES = tuple(SHAPES)

# Chosen by the sweep over severities: settings whose mean lies between 40 and 80 %.
SIZE_DEFECTS = (
    *(("circle", 0, 0.25), ("row", 0, 0.25), ("column", 0, 0.5), ("circle-complement", 0, 0.5)),
    *(("circle", 1, 0.35), ("row", 1, 0.5), ("column", 1, 0.25), ("circle-complement", 1, 0.5)),
    *(("circle", 2, 0.5), ("ring", 2, 0.35), ("column", 2, 0.25), ("checkerboard", 2, 0.5)),
    *(("circle", 3, 0.25), ("ring", 3, 0.35), ("row", 3, 0.25), ("column", 3, 0.5)),
)


@dataclass(frozen=True)
class Settings:
    """Everything that fixes the numbers of the paper's experiments.

    Args:
        seed: of all randomness.
        seeds: repetitions: split, base network, places and correctors of each their own.
        hidden: hidden layers of the base network.
        shapes: of defects, keys of `xbar.devices.SHAPES`.
        coverages: severities, shares of the array; each shape takes those that fit it.
        coverage: the one severity where severity is not the question.
        placements: places of each defect in each seed's circuit, in the sweep over severities.
        steps: updates of each corrector.
        size_defects: shape, layer and coverage of the circuits for correctors of all sizes.
        transfer_layers: layers for transfers between shapes.
        pools: numbers of circuits of a shape that train one corrector.
        tested: places of each shape that test it.
        stuck_shapes: of the circuits for kinds of stuck cells.
        stuck_coverage: their severity, the study's circle of radius 0.2.
        stuck_placements: their places; with the seeds at least 20 masks.
        option_shapes: of the circuits for options that the paper leaves open.
        option_seeds: at most so many of the seeds there.
        wires: resistances of wire segments [ohm].
        windows: device windows, keys of `xbar.devices.mapping.WINDOWS`.
        activations: of the networks beside ReLU.
        referee_images: that ngspice solves in each circuit; one with the largest array.
        beyond: of the experiments that go beyond the paper.
    """

    seed: int = 0
    seeds: int = 20
    hidden: tuple[int, ...] = (50, 20, 8)
    shapes: tuple[str, ...] = ALL_SHAPES
    coverages: tuple[float, ...] = (0.05, 0.126, 0.25, 0.35, 0.5, 0.7, 0.874)
    coverage: float = 0.35
    placements: int = 1
    steps: int = 1500
    size_defects: tuple[tuple[str, int, float], ...] = SIZE_DEFECTS
    transfer_layers: tuple[int, ...] = (0, 1, 2, 3)
    pools: tuple[int, ...] = (2, 6)
    tested: int = 3
    stuck_shapes: tuple[str, ...] = ("circle",)
    stuck_coverage: float = 0.126
    stuck_placements: int = 1
    option_shapes: tuple[str, ...] = ("circle", "column")
    option_seeds: int = 20
    wires: tuple[float, ...] = (0.0, 0.35, 1.0, 2.5, 2.82, 10.0, 28.0)
    windows: tuple[str, ...] = ("mnsim", "stanford", "25k-200k", "neurosim", "3.3k-1M")
    activations: tuple[str, ...] = ("tanh", "sigmoid")
    referee_images: int = 2
    beyond: BeyondSettings = field(default_factory=BeyondSettings)

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

    def transfer_coverage(self, shape: str) -> float:
        """`coverage`; a complement is that of the same circle, a checkerboard has its own."""
        if shape == "checkerboard":
            return SHAPES[shape].coverage
        return 1 - self.coverage if shape == "circle-complement" else self.coverage

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


FULL = Settings()
QUICK = replace(
    FULL,
    seeds=8,
    coverages=(0.126, 0.25, 0.35, 0.5, 0.874),
    transfer_layers=(0, 3),
    pools=(3,),
    tested=2,
    stuck_placements=3,
    option_seeds=8,
    wires=(0.0, 1.0, 10.0, 28.0),
    windows=("mnsim", "stanford", "25k-200k", "neurosim"),
    activations=(),
    referee_images=1,
    beyond=BEYOND_QUICK,
)
