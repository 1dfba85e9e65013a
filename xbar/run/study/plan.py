"""Which circuits a study has, and how they are cut into chunks. Both follow from the study alone.

A circuit has one row in the table of its study: where it stands on each axis. Its random numbers
come from the study's seed and its own coordinates (`CircuitKeys`), never from its row, so that
other axis values or chunks leave them alone.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.cells.families import OHMIC
from xbar.devices import SHAPES
from xbar.io.maps import MAP
from xbar.programs import program
from xbar.run.settings.cells import CELL_AXES, laws_of
from xbar.run.settings.checks import values
from xbar.run.settings.chips import CHIP_AXES, kinds_of
from xbar.run.settings.faults import drawn_if_none
from xbar.run.settings.study import DefectSettings, Study

# Seeds whose software networks are trained side by side.
SEEDS_PER_CHUNK = 8

AXES: dict[str, tuple[str, str]] = {
    # of each column: unit, what it is
    "layer": ("1", "layer that is broken, 0 the first"),
    "seed": ("1", "repetition: split, base network, places, correctors"),
    "window": ("1", "conductance window of the devices"),
    "wire_ohm": ("ohm", "resistance of every wire segment"),
    "mapping": ("1", "weights to pairs"),
    **CHIP_AXES,  # where the study names devices or times
    **CELL_AXES,  # where it names laws
    "shape": ("1", "shape of the defect"),
    "coverage": ("1", "share of the array that the shape covers"),
    "fault": ("1", "what is stuck"),
    "stuck": ("1", "where it is stuck: a word or a resistance in ohm; of bridges, theirs; a file"),
    "stuck_window": ("1", "window that stuck values refer to"),
    "bias_row": ("1", "whether the shape reaches over the bias row, with or without"),
    "placement": ("1", "number of the place in this seed's circuit"),
}
BASE_AXES = ("seed", "window", "wire_ohm", "mapping")  # of healthy circuits; then what cells are

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Chunk:
    """Rows that are computed, stored and resumed together.

    Args:
        kind: "software" (rows are seeds), "healthy" or "circuits".
        number: counts the chunks of the kind.
        first: first row.
        count: how many rows.
        size: rows that are computed: a last, shorter chunk is filled up, which saves compiling.
        layer: the layer that is broken in these circuits; 0 for other kinds.
        law: that the cells are computed with, of healthy and defective circuits.
    """

    kind: str
    number: int
    first: int
    count: int
    size: int
    layer: int = 0
    law: str = OHMIC

    @property
    def name(self) -> str:
        """Of its shard."""
        return f"{self.kind}-{self.number:06d}"

    @property
    def rows(self) -> slice:
        """In the table of its kind."""
        return slice(self.first, self.first + self.count)

    @property
    def filled(self) -> np.ndarray:
        """Rows that are computed, the last one repeated, (size,)."""
        return self.first + np.minimum(np.arange(self.size), self.count - 1)


@dataclass(frozen=True)
class Plan:
    """A study laid out.

    Args:
        study: in its checked form.
        sizes: units per layer of the base network.
    """

    study: Study
    sizes: tuple[int, ...]

    @property
    def layers(self) -> int:
        """Number of arrays in a circuit."""
        return len(self.sizes) - 1

    @cached_property
    def table(self) -> Table:
        """One row for each circuit, by column; sorted by layer, then by healthy circuit."""
        rows = [row for block in self.study.defects for row in self._rows(block)]
        columns = list(zip(*rows, strict=True))
        own = (*CHIP_AXES, *CELL_AXES)
        names = [name for name in AXES if name not in own or name in self._cell_axes]
        table = {name: _column(column) for name, column in zip(names, columns, strict=True)}
        table["healthy"] = self._healthy_of(table)
        order = np.lexsort((np.arange(len(rows)), table["healthy"], table["layer"]))
        return {name: column[order] for name, column in table.items()}

    def _rows(self, block: DefectSettings) -> Iterator[tuple[Any, ...]]:
        circuit = self.study.circuit
        layers = (self.layers - 1,) if block.layer is None else values(block.layer)
        places = range(block.placements)
        bias = "with" if block.bias_row else "without"
        for layer, seed, window, ohm, mapping, cells in product(
            layers,
            range(self.study.seeds),
            values(circuit.window),
            values(circuit.wire_ohm),
            values(circuit.mapping),
            self._cells,
        ):
            base = (layer, seed, window, float(ohm), mapping, *cells)
            if block.map is not None:
                what = (MAP, 1.0, MAP, block.map, block.stuck_window or window, "with")
                yield from ((*base, *what, place) for place in places)
                continue
            for shape in values(block.shape):
                covers = (SHAPES[shape].coverage,)
                covers = covers if block.coverage is None else values(block.coverage)
                for coverage, fault, place in product(covers, values(block.fault), places):
                    own = (drawn_if_none(fault),)
                    for stuck in own if block.stuck is None else values(block.stuck):
                        where = block.stuck_window or window
                        yield (*base, shape, float(coverage), fault, stuck, where, bias, place)

    @property
    def _cell_axes(self) -> tuple[str, ...]:
        """Columns of what cells are: none where all are exact resistors."""
        cells = self.study.cells
        return (*self.study.circuit.chip_axes, *(() if cells is None else cells.names))

    @property
    def _cells(self) -> list[tuple[Any, ...]]:
        """What cells are, a value for each of these columns."""
        circuit, cells = self.study.circuit, self.study.cells
        found = {"device": str, "seconds": float}
        each = [map(found[name], values(getattr(circuit, name))) for name in circuit.chip_axes]
        laws = [()] if cells is None else cells.combinations
        return [(*chip, *law) for chip, law in product(product(*each), laws)]

    @property
    def _base_axes(self) -> tuple[str, ...]:
        return (*BASE_AXES, *self._cell_axes)

    @cached_property
    def healthy(self) -> Table:
        """One row for each healthy circuit; those of one law, mapping and device follow."""
        circuit = self.study.circuit
        rows = [
            (seed, window, float(ohm), mapping, *cells)
            for mapping in values(circuit.mapping)
            for seed in range(self.study.seeds)
            for window, ohm, cells in product(
                values(circuit.window), values(circuit.wire_ohm), self._cells
            )
        ]
        columns = zip(self._base_axes, zip(*rows, strict=True), strict=True)
        table = {name: _column(column) for name, column in columns}
        alike = _alike(table)
        laws = list(dict.fromkeys(law for law, *_ in alike))
        first = list(dict.fromkeys(alike))
        order = sorted(
            range(len(rows)), key=lambda row: (laws.index(alike[row][0]), first.index(alike[row]))
        )
        return {name: column[order] for name, column in table.items()}

    def _healthy_of(self, table: Table) -> np.ndarray:
        healthy = self.healthy
        base = zip(*(healthy[name].tolist() for name in self._base_axes), strict=True)
        number = {row: n for n, row in enumerate(base)}
        asked = zip(*(table[name].tolist() for name in self._base_axes), strict=True)
        return np.array([number[row] for row in asked])

    @cached_property
    def chunks(self) -> list[Chunk]:
        """Everything that has to be computed, in an order in which it can be."""
        software = _cut("software", 0, self.study.seeds, SEEDS_PER_CHUNK, 0)
        found, size = list(software), self.study.run.chunk
        layers = zip(laws_of(self.table).tolist(), self.table["layer"].tolist(), strict=True)
        for kind, alike in (("healthy", _alike(self.healthy)), ("circuits", [*layers])):
            number = 0
            for group in dict.fromkeys(alike):
                rows = np.flatnonzero([one == group for one in alike])
                layer = group[1] if kind == "circuits" else 0
                cut = _cut(kind, int(rows[0]), len(rows), size, number, layer, group[0])
                found += cut
                number = found[-1].number + 1
        return found

    def of_kind(self, kind: str) -> list[Chunk]:
        """The chunks of one kind."""
        return [chunk for chunk in self.chunks if chunk.kind == kind]

    @property
    def circuits(self) -> int:
        """Number of defective circuits."""
        return len(self.table["layer"])

    def keys(self, purpose: str, *coordinates: Any) -> Array:
        """A key for each row of some coordinates; purposes do not share randomness.

        Args:
            purpose: what for, such as "defect".
            coordinates: numbers or words, (n,) each.

        Returns:
            Keys, (n,).
        """
        root = jax.random.fold_in(jax.random.key(self.study.seed), zlib.crc32(purpose.encode()))
        numbers = [_hashed(np.asarray(column)) for column in coordinates]
        return _fold_all(root, jnp.asarray(np.stack(numbers, axis=-1)))


def row_keys(plan: Plan, purpose: str, table: Mapping[str, np.ndarray]) -> Array:
    """Keys of circuits: the same place for every window, wire, fault and coverage.

    So what is compared along these axes is compared on the same places.
    """
    axes = ("seed", "layer", "shape", "placement")
    return plan.keys(purpose, *(table[name] for name in axes))


@program()
def _fold_all(root: Array, numbers: Array) -> Array:
    def fold(row: Array) -> Array:
        key = root
        for number in row:
            key = jax.random.fold_in(key, number)
        return key

    return jax.vmap(fold)(numbers)


def _hashed(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "iu":
        return column.astype(np.uint32)
    return np.array([zlib.crc32(str(item).encode()) for item in column], np.uint32)


def _alike(healthy: Table) -> list[tuple[Any, ...]]:
    """What rows of healthy circuits share that one program serves: the law of cells first."""
    laws, mappings = laws_of(healthy).tolist(), healthy["mapping"].tolist()
    return list(zip(laws, mappings, kinds_of(healthy), strict=True))


def _column(items: Any) -> np.ndarray:
    array = np.array(items)
    return array.astype(np.str_) if array.dtype.kind in "OU" else array


def _cut(
    kind: str,
    first: int,
    count: int,
    size: int,
    number: int,
    layer: int = 0,
    law: str = OHMIC,
) -> Iterator[Chunk]:
    size = min(size, count)
    for k, start in enumerate(range(0, count, size)):
        yield Chunk(kind, number + k, first + start, min(size, count - start), size, layer, law)
