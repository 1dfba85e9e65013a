"""What the demo may be asked to do: its settings, checked before any work."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, get_args

from xbar.activations import ACTIVATIONS
from xbar.defects import SHAPES, AbstractFault, StuckMinus, StuckPair, StuckPlus, StuckUnequal
from xbar.mapping import WINDOWS, Scheme

FAULTS = ("pair", "plus", "minus", "unequal", "unequal-columns")
DRAWN = ("random", "uniform")


@dataclass(frozen=True)
class DemoConfig:
    """Everything that fixes the demo's numbers, besides a user's own network and data.

    Args:
        seed: of all randomness.
        seeds: repetitions, at least 2: base network, defect placement, split and corrector of
            each their own.
        hidden: hidden layers of the base network.
        activation: of the hidden layers, "relu", "tanh" or "sigmoid".
        window: preset name of the devices' conductance range.
        mapping: "unipolar" or "balanced".
        wire_ohm: resistance of every wire segment [ohm].
        gain: open-loop gain of the amplifiers; None is ideal.
        rail: the amplifiers clip at -rail and +rail [V]; None for no rails.
        layer: the array that is broken, 0 the first; None is the last.
        shape: the defect's shape, a key of `xbar.defects.SHAPES`.
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
    activation: str = "relu"
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
        _in_range("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        _in_range("seeds", self.seeds, self.seeds >= 2, "at least 2, for an interval")
        for name in ("hidden", "corrector"):
            sizes = getattr(self, name)
            _in_range(name, sizes, all(size >= 1 for size in sizes), "sizes of at least 1")
        _one_of("activation", self.activation, ACTIVATIONS)
        _one_of("window", self.window, WINDOWS)
        _one_of("mapping", self.mapping, get_args(Scheme))
        finite = 0 <= self.wire_ohm < float("inf")
        _in_range("wire-ohm", self.wire_ohm, finite, "a finite resistance >= 0 [ohm]")
        for name, value in (("gain", self.gain), ("rail", self.rail)):
            _in_range(name, value, value is None or value > 0, "a value above 0")
        _in_range("layer", self.layer, self.layer is None or self.layer >= 0, "0 or more")
        _one_of("shape", self.shape, SHAPES)
        least, most = SHAPES[self.shape].least, SHAPES[self.shape].most
        fits = least <= self.coverage <= most
        needs = f"{least:.3g} to {most:.3g} for {self.shape}"
        _in_range("coverage", self.coverage, fits, needs)
        _one_of("fault", self.fault, FAULTS)
        if self.stuck_window is not None:
            _one_of("stuck-window", self.stuck_window, WINDOWS)
        self._check_stuck()

    def _check_stuck(self) -> None:
        if self.stuck is None or self.stuck in DRAWN:
            return
        if self.fault.startswith("unequal"):
            _one_of(f"stuck (with fault {self.fault})", self.stuck, DRAWN)
        if self.stuck not in ("on", "off"):
            ohm = _number(self.stuck)
            needs = "on, off, random, uniform or a resistance above 0 [ohm]"
            _in_range("stuck", self.stuck, 0 < ohm < float("inf"), needs)

    @property
    def stuck_value(self) -> str | float:
        """Where cells are stuck: a word, or a conductance [S]."""
        if self.stuck is None:
            return "random" if self.fault.startswith("unequal") else "on"
        return self.stuck if self.stuck in ("on", "off", *DRAWN) else 1 / _number(self.stuck)

    def make_fault(self) -> AbstractFault:
        """The fault that the settings describe."""
        value = self.stuck_value
        if self.fault.startswith("unequal"):
            per = "column" if self.fault == "unequal-columns" else "cell"
            return StuckUnequal(str(value), per)
        kinds = {"pair": StuckPair, "plus": StuckPlus, "minus": StuckMinus}
        return kinds[self.fault](value)

    def describe_defect(self) -> str:
        """The defect in words."""
        value = self.stuck_value
        at = f"stuck at {self.stuck} ohm" if isinstance(value, float) else f"stuck-{value}"
        if value in DRAWN:
            at = f"stuck at values drawn {value}ly"
        what = {
            "pair": "both cells of a pair",
            "plus": "the plus cell of a pair",
            "minus": "the minus cell of a pair",
            "unequal": "the two cells of a pair unequally",
            "unequal-columns": "the two cells of a pair unequally, alike down a column,",
        }[self.fault]
        if self.stuck_window:
            at += f" (window {self.stuck_window})"
        return f"{self.shape} over {self.coverage:.0%} of the array, {what} {at}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


def _one_of(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}: got {value!r}, needs one of {', '.join(known)}")


def _in_range(name: str, value: Any, fits: bool, needs: str) -> None:
    if not fits:
        raise ValueError(f"{name}: got {value}, needs {needs}")


def _number(text: str) -> float:
    """The number, or NaN, which no range accepts."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
