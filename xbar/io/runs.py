"""A finished run, read back into the objects that made it.

```python
run = load_run("runs/demo")
network = run.network("defective", circuit=0)
volts = network(run.images)  # what results.h5 holds under voltages/defective, to the last digits
run.table["coverage"]  # a column of the table of circuits; voltages stay on disk until asked for
```
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from xbar.devices.mapping import Pairs
from xbar.io.circuits import corrector_from, mlp_from, network_from
from xbar.io.store import StoreError, opened_results, read_results
from xbar.learn.corrector import Corrector
from xbar.learn.mlp import MLP
from xbar.nn import Network

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
            found: Any = read_results(self.path / "results.h5", (name,))[0]
            for part in name.split("/"):
                if part not in found:
                    raise StoreError(
                        f"{self.path}/results.h5: got nothing named {name!r}, needs it (a study "
                        "stores what its [store] says)"
                    )
                found = found[part]
            self._kept[name] = found
        return self._kept[name]

    @property
    def arrays(self) -> dict[str, Any]:
        """Everything in results.h5, as nested dictionaries by group and name."""
        with opened_results(self.path / "results.h5") as (file, _):
            names = list(file)
        return {name: self.read(name) for name in names}

    @property
    def table(self) -> dict[str, np.ndarray]:
        """The table of circuits by column: where each stands on the axes, its status."""
        return self.read("circuits")

    @property
    def circuits(self) -> int:
        """Number of defective circuits."""
        return len(self.table["seed"])

    @property
    def images(self) -> np.ndarray:
        """Inputs of the data set, (images, features)."""
        return self.read("data")["images"]

    @property
    def labels(self) -> np.ndarray:
        """Classes of the images, (images,)."""
        return self.read("data")["labels"]

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Indices of the parts "base", "corrector" and "test", (circuits, n_part) each."""
        data, seeds = self.read("data"), self.table["seed"]
        return {name: data[name][seeds] for name in ("base", "corrector", "test")}

    def rows(self, **where: Any) -> np.ndarray:
        """Numbers of the circuits at some values of the axes, such as `shape="ring", layer=3`.

        Raises:
            ValueError: no such axis.
        """
        chosen = np.ones(self.circuits, bool)
        for name, value in where.items():
            if name not in self.table:
                raise ValueError(f"rows: got {name!r}, needs one of {list(self.table)}")
            chosen &= self.table[name] == value
        return np.flatnonzero(chosen)

    def voltages(self, circuits: Any) -> tuple[np.ndarray, np.ndarray]:
        """Stored output voltages of some circuits with the classes of their images.

        Args:
            circuits: numbers of the circuits, (n,).

        Returns:
            (n, images, classes) [V] and (n, images). Only these rows are read.

        Raises:
            StoreError: the study stored no voltages.
        """
        wanted = np.asarray(circuits)
        images = self.read("voltages/images")[self.table["seed"][wanted]]
        rows, back = np.unique(wanted, return_inverse=True)
        with opened_results(self.path / "results.h5") as (file, _):
            if "voltages/defective" not in file:
                raise StoreError(f"{self.path}/results.h5: got no voltages, needs them stored")
            return file["voltages/defective"][rows][back], self.labels[images]

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
        if name not in NETWORKS:
            raise ValueError(f"network: got {name!r}, needs one of {list(NETWORKS)}")
        healthy = self._object(network_from, "healthy", self._row(circuit, "healthy"))
        if name == "healthy":
            return healthy
        layer, place = self._broken(circuit)
        arrays = self.read(f"arrays/layer_{layer}")
        pairs = Pairs(arrays["g_plus"][place], arrays["g_minus"][place])
        return eqx.tree_at(lambda net: net.layers[layer].pairs, healthy, pairs)

    def hit(self, circuit: int = 0) -> np.ndarray:
        """Which pairs of its broken layer are stuck, (inputs + 1, outputs); as `network`."""
        self._row(circuit, "seed")
        layer, place = self._broken(circuit)
        return self.read(f"arrays/layer_{layer}")["hit"][place]

    def corrector(self, circuit: int = 0, label: str | None = None) -> Corrector:
        """A corrector of a circuit, the first of the study's unless a label says which."""
        self._row(circuit, "seed")
        if label is None:
            label = next(iter(self.read("correctors")))
        return self._object(corrector_from, f"correctors/{label}", circuit)

    def correctors(self, circuits: Any, label: str) -> Corrector:
        """Correctors of some circuits, stacked: for voltages (n, images, outputs) of others.

        Args:
            circuits: numbers of the circuits, (n,).
            label: which of the study's correctors.

        Raises:
            StoreError: the study has none of that name, or stored none.
        """
        return corrector_from(self.read(f"correctors/{label}"), np.asarray(circuits))

    def software(self, circuit: int = 0) -> MLP:
        """The software network of a circuit; errors as `network`."""
        return self._object(mlp_from, "software", self._row(circuit, "seed"))

    def _row(self, circuit: int, column: str) -> int:
        """Where the circuit's entry is along another axis."""
        if not 0 <= circuit < self.circuits:
            raise ValueError(f"circuit: got {circuit}, needs 0..{self.circuits - 1}")
        return int(self.table[column][circuit])

    def _broken(self, circuit: int) -> tuple[int, int]:
        """The circuit's broken layer, and which it is among the circuits with that layer broken."""
        layers = self.table["layer"]
        return int(layers[circuit]), int(np.count_nonzero(layers[:circuit] == layers[circuit]))

    def _object(self, build: Any, name: str, row: int) -> Any:
        group = self.read(name)
        try:
            return build(group, row)
        except KeyError as error:
            raise StoreError(f"{self.path}/results.h5: {name} lacks {error}") from error


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
    with opened_results(path / "results.h5") as (_, attributes):
        config = attributes.pop("config")
    return Run(path, config, attributes)
