"""What the demo may be asked to do: one defect in one layer, as a study on many seeds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

from xbar.activations import ACTIVATIONS
from xbar.devices import SHAPES
from xbar.devices.mapping import WINDOWS, Scheme
from xbar.run.config import (
    CircuitSettings,
    CorrectorSettings,
    DefectSettings,
    NetworkSettings,
    StoreSettings,
    Study,
)
from xbar.run.faults import FAULTS, check_coverage, check_stuck, describe, in_range, one_of
from xbar.run.references import CORRECTED, LARGE


@dataclass(frozen=True)
class DemoConfig:
    """Everything that fixes the demo's numbers, besides a user's own network and data.

    Args:
        seed: of all randomness.
        seeds: repetitions, at least 2: base network, defect placement, split and corrector of
            each their own.
        hidden: hidden layers of the base network.
        activation: of the hidden layers, "relu", "tanh" or "sigmoid"; None is "relu", or that of a
            network that is given.
        window: preset name of the devices' conductance range.
        mapping: "unipolar" or "balanced".
        wire_ohm: resistance of every wire segment [ohm].
        gain: open-loop gain of the amplifiers; None is ideal.
        rail: the amplifiers clip at -rail and +rail [V]; None for no rails.
        layer: the array that is broken, 0 the first; None is the last.
        shape: the defect's shape, a key of `xbar.devices.SHAPES`.
        coverage: fraction of the array that the shape covers.
        fault: what is stuck: both cells of a "pair" at one value, the "plus" or the "minus" cell,
            or both "unequal", drawn per cell or ("unequal-columns") per physical column.
        stuck: where: "on", "off", "random", "uniform" or a resistance [ohm]; unequal cells need
            one of the two that draw. None is "on", or "random" for unequal cells.
        stuck_window: preset that "on" and "off" of stuck cells refer to; None is `window`.
        corrector: hidden layers of the corrector.

    Raises:
        ValueError: a setting is out of range or unknown.
    """

    seed: int = 0
    seeds: int = 8
    hidden: tuple[int, ...] = (50, 20, 8)
    activation: str | None = None
    window: str = "mnsim"
    mapping: str = "unipolar"
    wire_ohm: float | int = 1.0
    gain: float | int | None = None
    rail: float | int | None = None
    layer: int | None = None
    shape: str = "circle"
    coverage: float | int = 0.35
    fault: str = "pair"
    stuck: str | None = None
    stuck_window: str | None = None
    corrector: tuple[int, ...] = (14,)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        yield from in_range("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        yield from in_range("seeds", self.seeds, self.seeds >= 2, "at least 2, for an interval")
        for name in ("hidden", "corrector"):
            sizes = getattr(self, name)
            yield from in_range(name, sizes, all(n >= 1 for n in sizes), "sizes of at least 1")
        if self.activation is not None:
            yield from one_of("activation", self.activation, ACTIVATIONS)
        yield from one_of("window", self.window, WINDOWS)
        yield from one_of("mapping", self.mapping, get_args(Scheme))
        finite = 0 <= self.wire_ohm < float("inf")
        yield from in_range("wire-ohm", self.wire_ohm, finite, "a finite resistance >= 0 [ohm]")
        for name, value in (("gain", self.gain), ("rail", self.rail)):
            yield from in_range(name, value, value is None or value > 0, "a value above 0")
        fits = self.layer is None or self.layer >= 0
        yield from in_range("layer", self.layer, fits, "0 or more")
        yield from one_of("shape", self.shape, SHAPES)
        yield from check_coverage("coverage", self.shape, self.coverage)
        yield from one_of("fault", self.fault, FAULTS)
        if self.stuck_window is not None:
            yield from one_of("stuck-window", self.stuck_window, WINDOWS)
        yield from check_stuck("stuck", self.fault, self.stuck)

    def describe_defect(self) -> str:
        """The defect in words."""
        return describe(self.shape, self.coverage, self.fault, self.stuck, self.stuck_window)

    def study(self) -> Study:
        """The study that the demo is."""
        gain, rail = (None if v is None else float(v) for v in (self.gain, self.rail))
        return Study(
            name="demo",
            seed=self.seed,
            seeds=self.seeds,
            network=NetworkSettings(self.hidden, cast(Any, self.activation)),
            circuit=CircuitSettings(
                self.window, self.wire_ohm, cast(Any, self.mapping), gain, rail
            ),
            defects=(
                DefectSettings(
                    self.shape,
                    self.coverage,
                    self.layer,
                    self.fault,
                    self.stuck,
                    self.stuck_window,
                ),
            ),
            correctors=(
                CorrectorSettings(self.corrector, CORRECTED),
                CorrectorSettings((), "bias only", bias_only=True),
                CorrectorSettings((), "linear"),
                # Minibatches: a third of the time, and no measurable cost at this size.
                CorrectorSettings(LARGE, "large", batch_size=64),
                CorrectorSettings(self.corrector, "trained on healthy", trained_on="healthy"),
            ),
            references=("nearest-neighbours", "retrained"),
            store=StoreSettings("labelled", arrays=True, correctors=True),
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)
