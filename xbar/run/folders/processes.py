"""Several processes or hosts on one study, by JAX's distributed runtime.

Chunk n belongs to process n modulo their number; each writes its shards into the same folder, which
all of them see. Process 0 holds the folder and publishes.
"""

import os
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from xbar.run.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """This process among those that work together.

    Args:
        number: of this process.
        count: how many there are.
    """

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process publishes and prints."""
        return self.number == 0

    def owns(self, chunk_number: int) -> bool:
        """Whether a chunk is this process's to compute."""
        return chunk_number % self.count == self.number

    def wait(self, name: str) -> None:
        """Go on when all processes are here."""
        if self.count > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(name)

    def agree(self, fine: bool) -> bool:
        """Whether all is fine with process 0; every process gets the same answer."""
        if self.count == 1:
            return fine
        from jax.experimental import multihost_utils

        return bool(multihost_utils.broadcast_one_to_all(np.int32(fine)))


def join(
    coordinator: str | None = None, count: int | None = None, number: int | None = None
) -> Processes:
    """Join the other processes; to be called before JAX computes anything.

    Args:
        coordinator: address of process 0, "host:port".
        count: how many processes.
        number: of this one, 0 to count - 1.

    Returns:
        This process among them. With no argument, what Slurm says (one process per task of the
        step), or one process alone.

    Raises:
        UsageError: some of the three are missing or do not fit, or the others cannot be reached.
    """
    given = {"--coordinator": coordinator, "--processes": count, "--process-id": number}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == 3:
        if int(os.environ.get("SLURM_NTASKS", "1")) < 2 or "SLURM_STEP_ID" not in os.environ:
            return Processes()
        return _initialize()
    if missing:
        raise UsageError(f"{missing[0]}: got none, needs all of {', '.join(given)}, or none")
    assert count is not None
    assert number is not None
    if count < 1:
        raise UsageError(f"--processes: got {count}, needs at least 1")
    if not 0 <= number < count:
        raise UsageError(f"--process-id: got {number}, needs 0 to {count - 1}")
    host, _, port = (coordinator or "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port[:6]) < 65536:
        raise UsageError(f"--coordinator: got {coordinator!r}, needs HOST:PORT")
    if count == 1:
        return Processes()
    return _initialize(coordinator_address=coordinator, num_processes=count, process_id=number)


def _initialize(**where: Any) -> Processes:
    try:
        jax.distributed.initialize(**where)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--coordinator: cannot join the other processes ({reason})") from error
    return Processes(jax.process_index(), jax.process_count())
