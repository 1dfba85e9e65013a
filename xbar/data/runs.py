"""A finished run, read back into the objects that made it.

```python
run = load_run(Path("runs/demo"))
network = run.network("defective", circuit=0)
volts = network(run.images)  # what results.h5 holds under voltages/defective, to the last digits
```
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xbar.corrector import Corrector
from xbar.data.circuits import corrector_from, mlp_from, network_from
from xbar.data.store import StoreError, read_results
from xbar.mlp import MLP
from xbar.network import Network

NETWORKS = ("healthy", "defective")


@dataclass(frozen=True)
class Run:
    """What a finished run left in its folder.

    Args:
        path: the folder.
        config: the run's settings.
        attributes: origin of the file: versions, commit, machine, time.
        arrays: everything in results.h5, as nested dictionaries by group and name.
    """

    path: Path
    config: dict[str, Any]
    attributes: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def circuits(self) -> int:
        """Number of circuits (seeds)."""
        return len(self._group("healthy")["k_in"])

    @property
    def images(self) -> np.ndarray:
        """Inputs of the data set, (images, features)."""
        return self._group("data")["images"]

    @property
    def labels(self) -> np.ndarray:
        """Classes of the images, (images,)."""
        return self._group("data")["labels"]

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Indices of the parts "base", "corrector" and "test", (circuits, n_part) each."""
        return {name: self._group("data")[name] for name in ("base", "corrector", "test")}

    def network(self, name: str = "defective", circuit: int = 0) -> Network:
        """A circuit of the run.

        Args:
            name: "healthy" or "defective".
            circuit: which, 0..circuits-1.

        Returns:
            The network, equal to the one that the run solved.

        Raises:
            ValueError: another name, or no such circuit.
            StoreError: the file lacks it.
        """
        if name not in NETWORKS:
            raise ValueError(f"network: got {name!r}, needs one of {list(NETWORKS)}")
        return self._object(network_from, name, circuit)

    def corrector(self, circuit: int = 0) -> Corrector:
        """The corrector of a circuit; errors as `network`."""
        return self._object(corrector_from, "corrector", circuit)

    def software(self, circuit: int = 0) -> MLP:
        """The software network of a circuit; errors as `network`."""
        return self._object(mlp_from, "software", circuit)

    def _object(self, build: Any, name: str, circuit: int) -> Any:
        group = self._group(name)
        if not 0 <= circuit < self.circuits:
            raise ValueError(f"circuit: got {circuit}, needs 0..{self.circuits - 1}")
        try:
            return build(group, circuit)
        except KeyError as error:
            raise StoreError(f"{self.path}/results.h5: {name} lacks {error}") from error

    def _group(self, name: str) -> dict[str, Any]:
        if not isinstance(group := self.arrays.get(name), dict):
            raise StoreError(f"{self.path}/results.h5: got no group {name!r}, needs one")
        return group


def load_run(path: Path | str) -> Run:
    """Read the folder of a finished run.

    Args:
        path: the folder that was given as `--out`.

    Returns:
        The run. With JAX's 64-bit mode off, what it builds is rounded to float32.

    Raises:
        StoreError: no such folder, one that no run made or that a run has not finished, or a
            results file that is damaged, foreign or of a newer format.
    """
    path = Path(path)
    needs = "needs the folder of a finished xbar run"
    if not path.is_dir():
        raise StoreError(f"{path}: got no such folder, {needs}")
    if not (path / "run.json").is_file():
        raise StoreError(f"{path}: got a folder that no xbar run made, {needs}")
    if not (path / "summary.json").is_file():
        raise StoreError(f"{path}: got an unfinished run; the command that began it finishes it")
    arrays, attributes = read_results(path / "results.h5")
    config = attributes.pop("config")
    return Run(path, config, attributes, arrays)
