"""What a study keeps, and how it is computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from xbar.run.settings.checks import FORBID, in_range


@dataclass(frozen=True)
class StoreSettings:
    """What results.h5 keeps besides tables, data, networks and healthy circuits.

    Args:
        voltages: output voltages of each circuit: "none", of the "test" part, or of the "labelled"
            parts, which train the correctors and test.
        images: of the test part, those of the first this many; None is all.
        precision: of stored voltages.
        arrays: conductances of each broken array, for `xbar spice`.
        correctors: the trained correctors.
    """

    __pydantic_config__ = FORBID
    voltages: Literal["none", "test", "labelled"] = "test"
    images: int | None = None
    precision: Literal["float64", "float32"] = "float64"
    arrays: bool = False
    correctors: bool = False

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        count = self.images
        yield from in_range("store.images", count, count is None or count >= 1, "at least 1")


@dataclass(frozen=True)
class RunSettings:
    """How it is computed. Numbers may depend on these in their last digits, on nothing else.

    Args:
        chunk: circuits that are computed, stored and resumed together.
        lanes: circuits solved side by side on a device; 1 is fastest on a processor.
        train_lanes: correctors in a block on a device, whose fixed steps are taken side by side.
        precision: of everything.
    """

    __pydantic_config__ = FORBID
    chunk: int = 64
    lanes: int = 1
    train_lanes: int = 8
    precision: Literal["float64", "float32"] = "float64"

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        for name in ("chunk", "lanes", "train_lanes"):
            value = getattr(self, name)
            yield from in_range(f"run.{name}", value, value >= 1, "at least 1")
