"""What `xbar sensitivity` may be asked to do."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from xbar.devices import PLACEMENTS
from xbar.run.settings.checks import FORBID, Number, in_range, one_of, sizes
from xbar.run.settings.faults import check_coverage
from xbar.run.settings.study import MOST

KINDS = ("on", "off")  # stuck-on, stuck-off


@dataclass(frozen=True)
class SensitivityConfig:
    """Everything that fixes the numbers, besides a stored run that they start from.

    Args:
        seed: of all randomness; without a stored run, also of the demo's network.
        circuit: which circuit of a stored run.
        defective: take its defective circuit instead of the healthy one.
        shape: of the placed defect, a key of `xbar.devices.PLACEMENTS`; both cells of its pairs are
            stuck.
        coverage: share of the array that it covers; None is the shape's own.
        stuck: where its pairs stick, "on" or "off".
        cells: most cells that are stuck together, worst first; no more than weights have.
        rates: shares of all cells that are stuck, half of them on, half off.
        samples: circuits that are solved for each rate, and each number of random cells.
        places: random places of the shape in each layer.
        starts: of the gradient ascent to the worst place.
        steps: of each of them.
        pooled: circuits with the shape at a random place that train the average corrector.
        corrector: hidden layers of the correctors.
        ngspice_s: time that ngspice gets for each array [s]; 0 leaves it out.

    """

    __pydantic_config__ = FORBID

    seed: int = 0
    circuit: int = 0
    defective: bool = False
    shape: str = "circle"
    coverage: Number | None = None
    stuck: str = "on"
    cells: int = 16
    rates: tuple[Number, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    samples: int = 100
    places: int = 100
    starts: int = 16
    steps: int = 40
    pooled: int = 20
    corrector: tuple[int, ...] = (14,)
    ngspice_s: Number = 60.0

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        yield from in_range("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        yield from in_range("circuit", self.circuit, self.circuit >= 0, "0 or more")
        yield from one_of("shape", self.shape, PLACEMENTS)
        if self.coverage is not None:
            yield from check_coverage("coverage", self.shape, self.coverage)
        yield from one_of("stuck", self.stuck, KINDS)
        for name in ("cells", "starts", "steps", "pooled"):
            value = getattr(self, name)
            yield from in_range(name, value, value >= 1, "at least 1")
        for name in ("samples", "places"):
            value = getattr(self, name)
            yield from in_range(name, value, value >= 2, "at least 2, for an interval")
        yield from in_range("rates", "none", len(self.rates) > 0, "at least one")
        for rate in self.rates:
            yield from in_range("rates", rate, 0 <= rate <= 1, "shares in 0 to 1")
        yield from sizes("corrector", self.corrector, MOST)
        yield from in_range("ngspice_s", self.ngspice_s, self.ngspice_s >= 0, "0 or more [s]")

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    def defect(self) -> str:
        """The placed defect in words."""
        placement = PLACEMENTS[self.shape]
        covered = placement.coverage if self.coverage is None else self.coverage
        return (
            f"{self.shape} over {covered:.1%} of the array, both cells of a pair stuck-{self.stuck}"
        )
