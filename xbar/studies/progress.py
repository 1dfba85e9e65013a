"""What a run shows while it works: a moving line on a terminal, plain lines in a pipe."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# In a pipe, a stage that takes long says so this often [s].
HEARTBEAT_S = 60.0


class Stages:
    """Prints each stage of a run with its time, and remembers the times.

    Args:
        console: where to print.
        total: how many stages there will be.
    """

    def __init__(self, console: Console, total: int):
        self.console = console
        self.total = total
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; show that it is alive, and how long it took."""
        start = time.perf_counter()
        with self._alive(name, start):
            yield
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{name:<52} {self.seconds[name]:6.1f} s", highlight=False)

    @contextmanager
    def _alive(self, name: str, start: float) -> Iterator[None]:
        if self.console.is_terminal:
            columns = SpinnerColumn(), TextColumn(name), BarColumn(), TimeElapsedColumn()
            with Progress(*columns, console=self.console, transient=True) as progress:
                progress.add_task(name, total=self.total, completed=len(self.seconds))
                yield
            return
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                self.console.print(f"{name} ... {time.perf_counter() - start:.0f} s")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
