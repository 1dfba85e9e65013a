"""What a study may be asked to do: a tree of frozen dataclasses, the same in Python and in TOML.

Settings marked *swept* take one value or a list; the circuits of a study are all combinations.
`xbar.run.toml` reads and checks a whole file; `docs/studies.md` describes every key.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from xbar.devices.mapping import Scheme


class Swept:
    """Marks a setting that takes one value or a list of them; a list becomes a tuple.

    Args:
        item: type of one value.
    """

    def __init__(self, item: Any):
        self.item = item

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One value is checked as a list of one, so that each problem is named once."""
        many = handler.generate_schema(tuple[self.item, ...])
        return core_schema.no_info_before_validator_function(_listed, many)


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def values(setting: Any) -> tuple[Any, ...]:
    """The values of a swept setting."""
    return _listed(setting)


def _stuck(value: Any) -> Any:
    """A resistance may be written as a number; it is kept as text, as the command line has it."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if plain else value


class _StuckText:
    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_stuck, handler.generate_schema(str))


Words = Annotated[str | tuple[str, ...], Swept(str)]
Integers = Annotated[int | tuple[int, ...], Swept(int)]
Numbers = Annotated[float | int | tuple[float | int, ...], Swept(float)]
StuckWords = Annotated[
    str | float | int | tuple[str | float | int, ...], Swept(Annotated[str, _StuckText()])
]
FORBID = ConfigDict(extra="forbid")


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
    fractions: tuple[float | int, float | int, float | int] = (0.6, 0.2, 0.2)
    name: str = "digits"
    test_file: str | None = None


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


@dataclass(frozen=True)
class CircuitSettings:
    """Devices, wires and amplifiers.

    Args:
        window: conductance range of the devices, *swept*: a preset of
            `xbar.devices.mapping.WINDOWS`, or "R_ON:R_OFF" [ohm].
        wire_ohm: resistance of every wire segment, *swept* [ohm].
        mapping: "unipolar" or "balanced", *swept*.
        gain: open-loop gain of the amplifiers; None is ideal.
        rail: the amplifiers clip at -rail and +rail [V]; None is never.
    """

    __pydantic_config__ = FORBID
    window: Words = "mnsim"
    wire_ohm: Numbers = 1.0
    mapping: Annotated[Scheme | tuple[Scheme, ...], Swept(Scheme)] = "unipolar"
    gain: float | int | None = None
    rail: float | int | None = None


@dataclass(frozen=True)
class DefectSettings:
    """Defects, one layer at a time. Several of these make one study: all their circuits.

    Args:
        shape: *swept*, keys of `xbar.devices.SHAPES`.
        coverage: share of the array, *swept*; None takes each shape's own.
        layer: the array that is broken, 0 the first, *swept*; None is the last.
        fault: what is stuck, *swept*: "pair", "plus", "minus", "unequal" or "unequal-columns".
        stuck: where, *swept*: "on", "off", "random", "uniform" or a resistance [ohm]; None is "on",
            or "random" for unequal cells.
        stuck_window: window that stuck values refer to; None is the devices'.
        placements: how many places of each defect in each seed's circuit.
        bias_row: whether shapes reach over the bias row.
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
        steps: updates.
        batch_size: samples for each update; None takes all.
    """

    __pydantic_config__ = FORBID
    hidden: tuple[int, ...] = (14,)
    name: str | None = None
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"
    bias_only: bool = False
    diagonal: bool = False
    trained_on: Literal["defective", "healthy"] = "defective"
    steps: int = 1500
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


@dataclass(frozen=True)
class RunSettings:
    """How it is computed. Numbers may depend on these in their last digits, on nothing else.

    Args:
        chunk: circuits that are computed, stored and resumed together.
        lanes: circuits solved side by side on a device; 1 is fastest on a processor.
        train_lanes: correctors trained side by side on a device.
        precision: of everything.
    """

    __pydantic_config__ = FORBID
    chunk: int = 64
    lanes: int = 1
    train_lanes: int = 8
    precision: Literal["float64", "float32"] = "float64"


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
        defects: what is broken.
        correctors: what is trained on each circuit's output voltages.
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
    defects: tuple[DefectSettings, ...] = (DefectSettings(),)
    correctors: tuple[CorrectorSettings, ...] = ()
    references: tuple[Literal["nearest-neighbours", "retrained"], ...] = ()
    store: StoreSettings = StoreSettings()
    run: RunSettings = RunSettings()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; settings that are None are left out, as TOML has no word for it."""
        return cast(dict[str, Any], _plain(asdict(self)))


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _plain(item) for name, item in tree.items() if item is not None}
    return [_plain(item) for item in tree] if isinstance(tree, list | tuple) else tree
