"""A finished run, read back into the objects that made it.

```python
run = load_run("runs/demo")
network = run.network("defective", circuit=0)
volts = network(run.images)  # what results.h5 holds under voltages/defective, to the last digits
run.table["coverage"]  # a column of the table of circuits; voltages stay on disk until asked for
```
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from xbar.cells.families import OHMIC, bent, family
from xbar.checks import check_word
from xbar.circuit import LineFaults
from xbar.devices.mapping import Pairs
from xbar.io.files import check_dataset
from xbar.io.maps import MAP
from xbar.io.parts import PARTS
from xbar.io.store import (
    FORMAT_VERSION,
    StoreError,
    at,
    is_sealed,
    opened_results,
    read_results,
)
from xbar.io.tree import check_shapes, decode
from xbar.learn.corrector import Corrector
from xbar.learn.mlp import MLP
from xbar.learn.scores import SCORES, score_among
from xbar.nn import Network
from xbar.nn.broken_lines import LINE_FAULTS, bridge_ohm, line_faults_at
from xbar.nn.corrected import with_law
from xbar.nn.stuck import stuck_by

NETWORKS = ("healthy", "defective")


@dataclass(frozen=True)
class Run:
    """What a finished run left in its folder. Arrays are read when they are asked for, and kept.

    Args:
        path: the folder.
        config: the run's settings.
        attributes: origin of the file: versions, commit, machine, time.
    """

    path: Path
    config: dict[str, Any]
    attributes: dict[str, Any]
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def read(self, name: str) -> Any:
        """A group of results.h5 as nested dictionaries, or an array of it.

        Args:
            name: such as "accuracy" or "voltages/defective".

        Raises:
            StoreError: the file holds no such thing.
        """
        if name not in self._kept:
            found: Any = read_results(self._file, (name,))[0]
            for part in name.split("/"):
                if not isinstance(found, dict) or part not in found:
                    raise StoreError(
                        f"{self._file}: got nothing named {name!r}, needs it (a study stores what "
                        "its [store] says)"
                    )
                found = found[part]
            self._kept[name] = found
        return self._kept[name]

    def stack(self, name: str, kind: type) -> Any:
        """The stacked modules that a group of results.h5 holds, with NumPy's arrays.

        Args:
            name: such as "healthy" or "correctors/14/corrector".
            kind: class that they are of.

        Raises:
            StoreError: the file holds no such thing, or other modules.
        """
        key = f"{name} as {kind.__name__}"
        if key not in self._kept:
            group, place = self.read(name), f"{self._file}: {name}"
            found = decode(group, place)
            if not isinstance(found, kind):
                version = self.attributes["format_version"]
                raise StoreError(
                    f"{place}: got format version {version}, needs a {kind.__name__} as version "
                    f"{FORMAT_VERSION} has it; read it with the older xbar that wrote it, or run "
                    "the same command with --overwrite"
                )
            self._kept[key] = found
        return self._kept[key]

    def one(self, name: str, kind: type, row: int) -> Any:
        """One of the stacked modules that a group of results.h5 holds; as `stack`."""
        stack, place = self.stack(name, kind), f"{self._file}: {name}"
        sizes = {len(leaf) for leaf in jax.tree.leaves(stack) if np.ndim(leaf)}
        if len(sizes) != 1 or row not in range(*sizes):
            raise StoreError(f"{place}: got arrays of {sorted(sizes)} circuits, needs no. {row}")
        found = jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), stack)
        check_shapes(found, place)
        return found

    @property
    def _file(self) -> Path:
        return self.path / "results.h5"

    @property
    def arrays(self) -> dict[str, Any]:
        """Everything in results.h5, as nested dictionaries by group and name."""
        with opened_results(self._file) as (file, _):
            names = list(file)
        return {name: self.read(name) for name in names}

    @property
    def table(self) -> dict[str, np.ndarray]:
        """The table of circuits by column: where each stands on the axes, its status."""
        table = self.read("circuits")
        columns = table if isinstance(table, dict) else {}
        sizes = {np.shape(column) for column in columns.values()}
        if not {"seed", "healthy", "layer"} <= set(columns) or len(sizes) != 1 or () in sizes:
            got = f"columns {', '.join(columns) or 'none'} of shapes {sorted(sizes)}"
            needs = "seed, healthy, layer and whatever more, of one length"
            raise StoreError(f"{self._file}: circuits: got {got}, needs {needs}")
        for name in ("seed", "healthy", "layer"):
            self._array(f"circuits/{name}", "iu", 1)
        return table

    @property
    def circuits(self) -> int:
        """Number of defective circuits."""
        return len(self.table["seed"])

    @property
    def images(self) -> np.ndarray:
        """Inputs of the data set, (images, features)."""
        return self._array("data/images", "f", 2)

    @property
    def score(self) -> str:
        """What scores its circuits, a key of `xbar.learn.scores.SCORES`: a group of results.h5."""
        with opened_results(self._file) as (file, _):
            return score_among(file)

    @property
    def labels(self) -> np.ndarray:
        """Classes of the images, (images,), or targets (images, outputs)."""
        if not SCORES[self.score].classes:
            return self._array("data/labels", "f", 2, len(self.images))
        return self._array("data/labels", "iu", 1, len(self.images))

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Indices of the images of "base", "corrector" and "test", (circuits, n_part) each."""
        return {name: self._of_seeds(f"data/{name}") for name in PARTS}

    def rows(self, **where: Any) -> np.ndarray:
        """Numbers of the circuits at some values of the axes, such as `shape="ring", layer=3`.

        Raises:
            ValueError: no such axis.
        """
        chosen = np.ones(self.circuits, bool)
        for name, value in where.items():
            check_word("rows", name, list(self.table))
            chosen &= self.table[name] == value
        return np.flatnonzero(chosen)

    def voltages(self, circuits: Any) -> tuple[np.ndarray, np.ndarray]:
        """Stored output voltages of some circuits with the classes (or targets) of their images.

        Args:
            circuits: numbers of the circuits, (n,).

        Returns:
            (n, images, classes) [V] and (n, images). Only these rows are read.

        Raises:
            StoreError: the study stored no voltages.
        """
        wanted = np.asarray(circuits)
        images = self._of_seeds("voltages/images")[wanted]
        rows, back = np.unique(wanted, return_inverse=True)
        with opened_results(self._file) as (file, _):
            if (stored := at(file, "voltages/defective")) is None:
                raise StoreError(f"{self._file}: got no voltages, needs them stored")
            check_dataset(stored)
            if stored.ndim != 3 or stored.shape[:2] != (self.circuits, images.shape[1]):
                needs = f"({self.circuits}, {images.shape[1]}, classes)"
                place = f"{self._file}: voltages/defective"
                raise StoreError(f"{place}: got shape {stored.shape}, needs {needs}")
            return stored[rows][back], self.labels[images]

    def network(self, name: str = "defective", circuit: int = 0) -> Network:
        """A circuit of the run.

        Args:
            name: "healthy" or "defective".
            circuit: which, 0..circuits-1.

        Returns:
            The network, equal to the one that the run solved.

        Raises:
            ValueError: another name, or no such circuit.
            StoreError: the file lacks it (defective ones are there if the study stored `arrays`).
        """
        check_word("network", name, list(NETWORKS))
        healthy = self.one("healthy", Network, self._row(circuit, "healthy"))
        cells = self._cells(circuit)
        if name == "healthy":
            return healthy if cells is None else with_law(healthy, cells)
        layer, place = self._broken(circuit)
        if not 0 <= layer < len(healthy.layers):
            needs = f"0..{len(healthy.layers) - 1}"
            raise StoreError(f"{self._file}: circuits/layer: got {layer}, needs {needs}")
        g = [self._of_layer(layer, name)[place] for name in ("g_plus", "g_minus")]
        try:
            pairs, old = Pairs(*g), healthy.layers[layer].pairs
            if pairs.shape != old.shape:
                raise ValueError(f"got {pairs.shape} pairs, needs {old.shape}")
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self._file}: arrays/layer_{layer}: {error}") from error
        lines = self._line_faults(circuit, layer, place)
        parts = (pairs, lines)
        broken = eqx.tree_at(
            lambda net: (net.layers[layer].pairs, net.layers[layer].line_faults),
            healthy,
            parts,
            is_leaf=lambda x: x is None,
        )
        if cells is None:
            return broken
        return with_law(broken, cells, {layer: jnp.asarray(self._stuck(circuit, layer, place))})

    def _stuck(self, circuit: int, layer: int, place: int) -> np.ndarray:
        """Which cells of the circuit's broken layer are resistors, (inputs + 1, 2 * outputs)."""
        fault, hit = str(self.table["fault"][circuit]), self._of_layer(layer, "hit")[place] > 0
        if fault != MAP:
            return stuck_by(fault, hit)
        stuck = self._of_layer(layer, "stuck")[place] > 0
        if stuck.shape != (needs := (len(hit), 2 * hit.shape[1])):
            at = f"{self._file}: arrays/layer_{layer}/stuck"
            raise StoreError(f"{at}: got cells {stuck.shape}, needs {needs}")
        return stuck

    def _cells(self, circuit: int) -> Callable[[Any], Any] | None:
        """The law of the circuit's cells; None for resistors."""
        row = {name: column[circuit] for name, column in self.table.items()}
        try:
            law = bent(str(row.get("law", OHMIC)), float(row.get("v_0", np.inf)))
            return family(law, row)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{self._file}: circuits/law: {error}") from error

    def _line_faults(self, circuit: int, layer: int, place: int) -> LineFaults | None:
        """Of the circuit's broken layer; runs of older versions have no such faults."""
        if not {"fault", "stuck"} <= set(self.table):
            return None
        fault, stuck = (str(self.table[name][circuit]) for name in ("fault", "stuck"))
        if fault not in LINE_FAULTS:
            return None
        hit = self._of_layer(layer, "hit")[place] > 0
        try:
            return line_faults_at(fault, hit, bridge_ohm(fault, stuck))
        except ValueError as error:
            raise StoreError(f"{self._file}: circuits/stuck: {error}") from error

    def hit(self, circuit: int = 0) -> np.ndarray:
        """Which pairs of its broken layer are stuck, (inputs + 1, outputs); as `network`."""
        self._row(circuit, "seed")
        layer, place = self._broken(circuit)
        return self._of_layer(layer, "hit")[place]

    def corrector(self, circuit: int = 0, label: str | None = None) -> Corrector:
        """A corrector of a circuit, the first of the study's unless a label says which."""
        self._row(circuit, "seed")
        if label is None:
            label = next(iter(self.read("correctors")), "")
        return self.one(f"correctors/{label}/corrector", Corrector, circuit)

    def correctors(self, circuits: Any, label: str) -> Corrector:
        """Correctors of some circuits, stacked: for voltages (n, images, outputs) of others.

        Args:
            circuits: numbers of the circuits, (n,).
            label: which of the study's correctors.

        Raises:
            StoreError: the study has none of that name, or stored none.
        """
        stack = self.stack(f"correctors/{label}/corrector", Corrector)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[np.asarray(circuits)]), stack)

    def software(self, circuit: int = 0) -> MLP:
        """The software network of a circuit; errors as `network`."""
        return self.one("software", MLP, self._row(circuit, "seed"))

    def _row(self, circuit: int, column: str) -> int:
        """Where the circuit's entry is along another axis."""
        if not 0 <= circuit < self.circuits:
            raise ValueError(f"circuit: got {circuit}, needs 0..{self.circuits - 1}")
        return int(self.table[column][circuit])

    def _broken(self, circuit: int) -> tuple[int, int]:
        """The circuit's broken layer, and which it is among the circuits with that layer broken."""
        layers = self.table["layer"]
        return int(layers[circuit]), int(np.count_nonzero(layers[:circuit] == layers[circuit]))

    def _of_layer(self, layer: int, name: str) -> np.ndarray:
        """Something of all circuits whose broken layer is this one, (circuits, ...)."""
        count = int(np.count_nonzero(self.table["layer"] == layer))
        return self._array(f"arrays/layer_{layer}/{name}", "bf", 3, count)

    def _of_seeds(self, name: str) -> np.ndarray:
        """Indices of images, stored by seed, for each circuit, (circuits, n)."""
        found = self._array(name, "iu", 2)
        self._check_range(name, found, len(self.images))
        self._check_range("circuits/seed", self.table["seed"], len(found))
        return found[self.table["seed"]]

    def _array(self, name: str, kinds: str, ndim: int, rows: int | None = None) -> np.ndarray:
        """An array of one of these kinds of numbers, with so many axes, and rows."""
        found = self.read(name)
        fits = isinstance(found, np.ndarray) and found.dtype.kind in kinds and found.ndim == ndim
        if not fits or (rows is not None and len(found) != rows):
            got = f"{getattr(found, 'dtype', 'a group')} {np.shape(found)}"
            kind = "whole" if "i" in kinds else "real"
            needs = f"{kind} numbers on {ndim} axes" + (f", {rows} rows" if rows else "")
            raise StoreError(f"{self._file}: {name}: got {got}, needs {needs}")
        return found

    def _check_range(self, name: str, found: np.ndarray, count: int) -> None:
        """Raise unless all numbers are indices of so many things."""
        if found.size and not (found.min() >= 0 and found.max() < count):
            got = f"{found.min()} to {found.max()}"
            raise StoreError(f"{self._file}: {name}: got {got}, needs 0..{count - 1}")


def load_run(path: Path | str) -> Run:
    """Read the folder of a finished run of `xbar demo`, `xbar study` or `run_study`.

    Args:
        path: the folder that was given as `--out`.

    Returns:
        The run. With JAX's 64-bit mode off, what it builds is rounded to float32.

    Raises:
        StoreError: no such folder, one that no run made or that a run has not finished, or a
            results file that is damaged, foreign or of another format version.
    """
    path = Path(path)
    needs = "needs the folder of a finished xbar run"
    if not path.is_dir():
        raise StoreError(f"{path}: got no such folder, {needs}")
    if not (path / "run.json").is_file():
        raise StoreError(f"{path}: got a folder that no xbar run made, {needs}")
    if not (path / "summary.json").is_file():
        raise StoreError(f"{path}: got an unfinished run; the command that began it finishes it")
    return run_of(path)


def run_of(path: Path) -> Run:
    """The run whose results.h5 is in a folder, be everything else there or not; as `load_run`."""
    with opened_results(path / "results.h5") as (file, attributes):
        if attributes["format_version"] >= 3 and not is_sealed(file):
            raise StoreError(
                f"{path}/results.h5: got names, units or settings that are not those which were "
                "written; `xbar show` says what is damaged, --overwrite computes it anew"
            )
        config = attributes.pop("config")
    return Run(path, config, attributes)
