"""What a study may be asked to do: a tree of frozen dataclasses, the same in Python and in TOML.

Settings marked *swept* take one value or a list; the circuits of a study are all combinations. A
new setting is a field here, with its check in `problems` beside it: files, `--set`, what a folder
resumes under and the report have it then. `docs/studies.md` describes every key.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, Literal, cast

from xbar.devices import SHAPES
from xbar.io.datasets import DATASETS
from xbar.nn.broken_lines import LINE_FAULTS
from xbar.nn.converters import MOST_BITS
from xbar.run.settings.cells import CellSettings
from xbar.run.settings.checks import (
    FORBID,
    Integers,
    Number,
    Numbers,
    Schemes,
    StuckWords,
    Words,
    in_range,
    one_of,
    plain_name,
    repeated,
    sizes,
    swept,
    values,
)
from xbar.run.settings.chips import OWN, check_chips
from xbar.run.settings.faults import (
    FAULTS,
    check_coverage,
    check_map,
    check_stuck,
    check_units,
    check_window,
)
from xbar.run.settings.keeping import RunSettings, StoreSettings

NEAREST, RETRAINED = "nearest neighbours", "retrained network"  # what they are called in tables
RESERVED = ("software", "healthy", "defective", NEAREST, RETRAINED)
MOST = 10**6  # units of a layer, places of a defect: beyond, a typing error
MOST_CIRCUITS = 10**8  # whose table takes 20 GB


@dataclass(frozen=True)
class DataSettings:
    """What the networks read.

    Args:
        file: .npz or .h5 with `x` and `y` (see `xbar.io.user`), beside the study file; None takes
            the data set of the name.
        fractions: shares that train the base network, train the correctors, and test.
        name: a key of `xbar.io.DATASETS`.
        test_file: a second file, all of whose rows are the test part.
    """

    __pydantic_config__ = FORBID
    file: str | None = None
    fractions: tuple[Number, Number, Number] = (0.6, 0.2, 0.2)
    name: str = "digits"
    test_file: str | None = None

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        fits = min(self.fractions) > 0 and abs(sum(self.fractions) - 1) < 1e-9
        needs = "three above 0 that add up to 1"
        yield from in_range("data.fractions", list(self.fractions), fits, needs)
        yield from one_of("data.name", self.name, DATASETS)
        lone = self.test_file is not None and self.file is None
        yield from in_range("data.test_file", "one", not lone, "data.file beside it")


@dataclass(frozen=True)
class NetworkSettings:
    """The software network; each seed trains its own, unless a file holds a trained one.

    Args:
        hidden: units of the hidden layers.
        activation: "relu", "tanh" or "sigmoid" between the layers; None is "relu", or what the file
            says.
        file: .npz or .h5 with weights (see `xbar.io.user`), beside the study file.
    """

    __pydantic_config__ = FORBID
    hidden: tuple[int, ...] = (50, 20, 8)
    activation: Literal["relu", "tanh", "sigmoid"] | None = None
    file: str | None = None

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        yield from sizes("network.hidden", self.hidden, MOST)


@dataclass(frozen=True)
class CircuitSettings:
    """Devices, wires, amplifiers and converters.

    Args:
        window: conductance range of the devices, *swept*: a preset of
            `xbar.devices.mapping.WINDOWS`, "R_ON:R_OFF" [ohm], or "device", its own.
        device: what cells are made of, *swept*: "exact", a preset of `xbar.devices`, or effects
            with sizes, as "levels=16, programming=0.05" (`settings.chips.WORDS`). Each seed is one
            chip, the same at every time. None is "exact".
        seconds: since the chip was programmed, *swept* [s]; None is 1 s.
        dac_bits: of converters at the rows, their range from calibration; None for none.
        adc_bits: of converters at the columns, likewise.
        wire_ohm: resistance of every wire segment, *swept* [ohm].
        mapping: "unipolar" or "balanced", *swept*.
        gain: open-loop gain of the amplifiers; None is ideal.
        rail: the amplifiers clip at -rail and +rail [V]; None is never.
        tile: (rows, columns) of cells of one array, on several of which a layer is spread, partial
            sums digital; None for arrays as large as the layers.
    """

    __pydantic_config__ = FORBID
    window: Words = "mnsim"
    wire_ohm: Numbers = 1.0
    mapping: Schemes = "unipolar"
    gain: Number | None = None
    rail: Number | None = None
    tile: tuple[int, int] | None = None
    device: Words | None = None
    seconds: Numbers | None = None
    dac_bits: int | None = None
    adc_bits: int | None = None

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences."""
        fits = self.tile is None or (min(self.tile) > 0 and self.tile[1] % 2 == 0)
        needs = "(rows, columns) above 0, an even number of columns"
        yield from in_range("circuit.tile", self.tile, fits, needs)
        for number, window in enumerate(values(self.window)):
            if window != OWN:
                yield from check_window(f"circuit.window[{number}]", window)
        for number, ohm in enumerate(values(self.wire_ohm)):
            needs = "a finite resistance >= 0 [ohm]"
            yield from in_range(f"circuit.wire_ohm[{number}]", ohm, 0 <= ohm < float("inf"), needs)
        for name in ("gain", "rail"):
            value = getattr(self, name)
            yield from in_range(f"circuit.{name}", value, value is None or value > 0, "above 0")
        for name in ("dac_bits", "adc_bits"):
            bits = getattr(self, name)
            fits = bits is None or 1 <= bits <= MOST_BITS
            yield from in_range(f"circuit.{name}", bits, fits, f"1 to {MOST_BITS}")
        for name in ("window", "wire_ohm", "mapping", *self.chip_axes):
            yield from swept(f"circuit.{name}", values(getattr(self, name)))
        yield from check_chips(self.device, self.seconds, values(self.window))

    @property
    def chip_axes(self) -> tuple[str, ...]:
        """Columns of chips: none where the study names neither devices nor times."""
        return tuple(name for name in ("device", "seconds") if getattr(self, name) is not None)


@dataclass(frozen=True)
class DefectSettings:
    """Defects, one layer at a time. Several of these make one study: all their circuits.

    Args:
        shape: *swept*, keys of `xbar.devices.SHAPES`.
        coverage: share of the array, *swept*; None takes each shape's own.
        layer: the array that is broken, 0 the first, *swept*; None is the last.
        fault: what is stuck, *swept*: "pair", "plus", "minus", "unequal" or "unequal-columns"; or
            what befalls the lines: "open-word-lines", "open-bit-lines", "bridged-word-lines" or
            "bridged-bit-lines" (see `xbar.nn.broken_lines`).
        stuck: where, *swept*: "on", "off", "random", "uniform" or a resistance [ohm]; None is "on",
            or "random" for unequal cells. For bridged lines, the resistance of a bridge, None is 0.
        stuck_window: window that stuck values refer to; None is the devices'.
        placements: how many places of each defect in each seed's circuit; of a map, how many of the
            file's chips.
        bias_row: whether shapes reach over the bias row.
        map: file of a measured chip, or of several, instead of shape, coverage, fault and stuck;
            see `xbar.io.load_map`. Beside the study file.
        map_unit: of its values, where the file does not say: ohm, S, uS, stuck, ...
    """

    __pydantic_config__ = FORBID
    shape: Words = "circle"
    coverage: Numbers | None = None
    layer: Integers | None = None
    fault: Words = "pair"
    stuck: StuckWords | None = None
    stuck_window: str | None = None
    placements: int = 1
    bias_row: bool = True
    map: str | None = None
    map_unit: str | None = None

    def problems(self, place: str, layers: int | None) -> Iterator[str]:
        """What cannot be, in sentences.

        Args:
            place: of these settings, such as "defects[0]".
            layers: of the network; None is not known yet.
        """
        for shape in values(self.shape):
            yield from one_of(f"{place}.shape", shape, SHAPES)
        for coverage in () if self.coverage is None else values(self.coverage):
            for shape in values(self.shape):
                yield from check_coverage(f"{place}.coverage", shape, coverage)
        for layer in () if self.layer is None else values(self.layer):
            fits = layer >= 0 and (layers is None or layer < layers)
            needs = "0 or more" if layers is None else f"0 to {layers - 1}"
            yield from in_range(f"{place}.layer", layer, fits, needs)
        for fault in values(self.fault):
            yield from one_of(f"{place}.fault", fault, FAULTS)
            for stuck in () if self.stuck is None else values(self.stuck):
                yield from check_stuck(f"{place}.stuck", fault, str(stuck))
        if self.stuck_window is not None:
            yield from check_window(f"{place}.stuck_window", self.stuck_window)
        fits, needs = 1 <= self.placements <= MOST, f"at least 1 and at most {MOST:,}"
        yield from in_range(f"{place}.placements", self.placements, fits, needs)
        for name in ("shape", "coverage", "layer", "fault", "stuck"):
            if (setting := getattr(self, name)) is not None:
                yield from swept(f"{place}.{name}", values(setting))
        names = ("shape", "coverage", "fault", "stuck", "bias_row")
        given = {name: getattr(self, name) for name in names}
        own = {name: getattr(DefectSettings, name) for name in names}
        yield from check_map(place, self.map, self.map_unit, given, own)


@dataclass(frozen=True)
class CorrectorSettings:
    """A corrector that every circuit trains for itself.

    Args:
        hidden: units of the hidden layers; none is the linear map.
        name: for tables; None makes one, such as "corrector 14".
        activation: of the hidden layers; "identity" makes them a linear map of limited rank.
        bias_only: one number added to each output voltage instead.
        diagonal: one factor and one number for each output voltage instead.
        trained_on: voltages of the "defective" circuit, or of the "healthy" one as a control.
        steps: AdamW's updates; None trains until it has converged, or takes 1,500 of AdamW's where
            a batch size asks for those.
        batch_size: samples for each of AdamW's updates; None takes all.
    """

    __pydantic_config__ = FORBID
    hidden: tuple[int, ...] = (14,)
    name: str | None = None
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"
    bias_only: bool = False
    diagonal: bool = False
    trained_on: Literal["defective", "healthy"] = "defective"
    steps: int | None = None
    batch_size: int | None = None

    @property
    def label(self) -> str:
        """Its name in tables."""
        if self.name is not None:
            return self.name
        if self.bias_only:
            return "bias-only corrector"
        if self.diagonal:
            return "diagonal corrector"
        sizes = "-".join(map(str, self.hidden))
        if not sizes:
            return "linear corrector"
        kind = "" if self.activation == "relu" else f"{self.activation} "
        return f"{kind}corrector {sizes}"

    @property
    def head(self) -> tuple[int, ...] | Literal["diagonal"] | None:
        """What `xbar.learn.corrector` calls hidden."""
        if self.bias_only:
            return None
        return "diagonal" if self.diagonal else self.hidden

    def problems(self, place: str) -> Iterator[str]:
        """What cannot be, in sentences; `place` is such as "correctors[0]"."""
        yield from sizes(f"{place}.hidden", self.hidden, MOST)
        both = self.bias_only and self.diagonal
        yield from in_range(f"{place}.diagonal", "true beside bias_only", not both, "one of them")
        for name in ("steps", "batch_size"):
            count = getattr(self, name)
            fits = count is None or count >= 1
            yield from in_range(f"{place}.{name}", count, fits, "at least 1")
        yield from plain_name(f"{place}.name", self.label, RESERVED)


@dataclass(frozen=True)
class Study:
    """A sweep over defective circuits.

    Args:
        name: for titles.
        seed: of all randomness.
        seeds: repetitions; split, base network, defect places and correctors of each their own.
        data: what is read.
        network: the software network.
        circuit: devices, wires, amplifiers.
        cells: their laws; None is resistors.
        defects: what is broken.
        correctors: what is trained on each circuit's output voltages.
        score: "accuracy" of classes, "rmse" or "mae" of the targets of a regression; None takes
            the first that the data have.
        loss: what networks and correctors are trained by: "cross-entropy", "squared" or
            "absolute"; None takes the score's own.
        references: of "nearest-neighbours" (vote on the voltages) and "retrained" (the software
            network trained on with the correctors' labels, the same pairs stuck).
        store: what is kept.
        run: how it is computed.
    """

    __pydantic_config__ = FORBID
    name: str = "study"
    seed: int = 0
    seeds: int = 8
    data: DataSettings = DataSettings()
    network: NetworkSettings = NetworkSettings()
    circuit: CircuitSettings = CircuitSettings()
    cells: CellSettings | None = None
    defects: tuple[DefectSettings, ...] = (DefectSettings(),)
    correctors: tuple[CorrectorSettings, ...] = ()
    references: tuple[Literal["nearest-neighbours", "retrained"], ...] = ()
    store: StoreSettings = field(default_factory=StoreSettings)
    run: RunSettings = field(default_factory=RunSettings)
    score: Literal["accuracy", "rmse", "mae"] | None = None
    loss: Literal["cross-entropy", "squared", "absolute"] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; settings that are None are left out, as TOML has no word for it."""
        return cast(dict[str, Any], _plain(asdict(self)))

    def problems(self) -> Iterator[str]:
        """What cannot be, in sentences: ranges, and settings that have to fit each other."""
        yield from plain_name("name", self.name)
        yield from in_range("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        yield from in_range("seeds", self.seeds, self.seeds >= 1, "at least 1")
        for part in (self.data, self.network, self.circuit, self.store, self.run):
            yield from part.problems()
        faults = {fault for block in self.defects for fault in values(block.fault)}
        broken = sorted(faults.intersection(LINE_FAULTS))
        fits, needs = self.circuit.tile is None or not broken, f"none beside {', '.join(broken)}"
        yield from in_range("circuit.tile", f"{self.circuit.tile}", fits, needs)
        if self.cells is not None:
            yield from self.cells.problems(broken)
        yield from in_range("defects", "none", len(self.defects) > 0, "at least one")
        layers = None if self.network.file else len(self.network.hidden) + 1
        for number, defect in enumerate(self.defects):
            yield from defect.problems(f"defects[{number}]", layers)
        yield from check_units([(defect.map, defect.map_unit) for defect in self.defects])
        for number, corrector in enumerate(self.correctors):
            yield from corrector.problems(f"correctors[{number}]")
        yield from repeated("correctors", [corrector.label for corrector in self.correctors])
        yield from repeated("references", self.references)
        fits, needs = self.circuits <= MOST_CIRCUITS, f"at most {MOST_CIRCUITS:,} circuits"
        yield from in_range("the study", f"{self.circuits:,} circuits", fits, needs)

    @property
    def circuits(self) -> int:
        """Number of defective circuits: of all combinations of what is swept."""
        swept_alike = ("window", "wire_ohm", "mapping", *self.circuit.chip_axes)
        each = self.seeds * prod(len(values(getattr(self.circuit, n))) for n in swept_alike)
        each *= 1 if self.cells is None else self.cells.count
        names = ("shape", "coverage", "layer", "fault", "stuck")
        return each * sum(
            defect.placements * prod(len(values(getattr(defect, name))) for name in names)
            for defect in self.defects
        )


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _plain(item) for name, item in tree.items() if item is not None}
    return [_plain(item) for item in tree] if isinstance(tree, list | tuple) else tree
