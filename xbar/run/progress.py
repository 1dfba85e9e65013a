"""What a run shows while it works: a moving line on a terminal, plain lines in a pipe."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

# In a pipe, a stage that takes long says so this often [s].
HEARTBEAT_S = 60.0

Advance = Callable[[int], None]


class Stages:
    """Prints each stage of a run with its time, and remembers the times.

    Args:
        console: where to print.
        check: called whenever something is done; it may raise.
    """

    def __init__(self, console: Console, check: Callable[[], None] = lambda: None):
        self.console = console
        self.check = check
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int = 0, unit: str = "", done: int = 0) -> Iterator[Advance]:
        """Time a stage; show that it is alive, how fast and how long still, and how long it took.

        Args:
            name: what it does.
            total: how many units it has; 0 for what cannot be counted.
            unit: such as "circuits".
            done: how many of them an earlier run has left.

        Yields:
            A function to be called with the number of units that have just been done.
        """
        start, count = time.perf_counter(), _Count(total, unit, done)

        def advance(units: int) -> None:
            count.advance(units)
            self.check()

        with self._alive(name, start, count):
            yield advance
        self.check()
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{name:<52} {self.seconds[name]:6.1f} s", highlight=False)

    @contextmanager
    def _alive(self, name: str, start: float, count: "_Count") -> Iterator[None]:
        if self.console.is_terminal:
            columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn(name), BarColumn()]
            if count.total:
                columns += [MofNCompleteColumn(), _Pace(count)]
            progress = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
            with progress:
                task = progress.add_task(name, total=count.total or None, completed=count.done)
                count.moved = lambda: progress.update(task, completed=count.done)
                yield
            return
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_S):
                line = f"{name} ... {time.perf_counter() - start:.0f} s {count.pace()}"
                self.console.print(line.rstrip(), highlight=False, soft_wrap=True)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class _Count:
    """How far a stage is, and how fast: only what this run has done counts for that."""

    def __init__(self, total: int, unit: str, done: int):
        self.total, self.unit, self.done, self.before = total, unit, done, done
        self.start = time.perf_counter()
        self.moved: Callable[[], None] = lambda: None

    def advance(self, units: int) -> None:
        self.done += units
        self.moved()

    def pace(self) -> str:
        if not self.total:
            return ""
        so_far = f"{self.done:,} of {self.total:,} {self.unit}"
        if (new := self.done - self.before) == 0:
            return so_far
        rate = new / (time.perf_counter() - self.start)
        left = _duration((self.total - self.done) / rate)
        return f"{so_far}, {rate:.3g} per s, {left} left"


class _Pace(ProgressColumn):
    """Rate and time left."""

    max_refresh = 0.5

    def __init__(self, count: _Count):
        ProgressColumn.__init__(self)
        self.count = count

    def render(self, task: Task) -> Text:
        """The line's part after the numbers."""
        del task
        return Text(", ".join(self.count.pace().split(", ")[1:]))


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
