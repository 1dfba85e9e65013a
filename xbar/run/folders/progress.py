"""What a run shows while it works: a moving line on a terminal, plain lines in a pipe."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TimeElapsedColumn,
)
from rich.text import Text

# In a pipe, a stage that takes long says so this often [s].
HEARTBEAT_S = 60.0
# JAX tells when it begins and ends these; together they are what a first call waits for.
_COMPILING = tuple(
    f"/jax/core/compile/{name}_duration"
    for name in ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
)
_SAVED = "/jax/compilation_cache/compile_time_saved_sec"

Advance = Callable[[int], None]


class Compiling:
    """Whether JAX is compiling now, how long it has, and what kept programs have saved [s]."""

    def __init__(self) -> None:
        self.spent, self.saved, self._depth, self._since = 0.0, 0.0, 0, 0.0
        jax.monitoring.register_scalar_listener(self._begun)
        jax.monitoring.register_event_duration_secs_listener(self._ended)

    @property
    def now(self) -> bool:
        """Whether it is at it."""
        return self._depth > 0

    def _begun(self, event: str, value: float, **kwargs: str | int) -> None:
        del value, kwargs
        if event in _COMPILING:
            if self._depth == 0:
                self._since = time.perf_counter()
            self._depth += 1

    def _ended(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        if event == _SAVED:
            self.saved += max(duration_secs, 0.0)
        if event in _COMPILING and self._depth:
            self._depth -= 1
            if self._depth == 0:
                self.spent += time.perf_counter() - self._since


@cache
def compiling() -> Compiling:
    """The one watch over JAX's compiler in this process."""
    return Compiling()


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
        start, compiled = time.perf_counter(), compiling().spent
        count = _Count(name, total, unit, done)

        def advance(units: int) -> None:
            count.advance(units)
            self.check()

        with self._alive(count):
            yield advance
        self.check()
        self.seconds[name] = time.perf_counter() - start
        line = f"{name:<52} {self.seconds[name]:6.1f} s"
        if (compiled := compiling().spent - compiled) >= 1:
            line += f", of which compiling {compiled:.1f} s"
        self.console.print(Text(line), soft_wrap=True)

    @contextmanager
    def _alive(self, count: "_Count") -> Iterator[None]:
        if self.console.is_terminal:
            columns: list[ProgressColumn] = [SpinnerColumn(), _Words(count.title), BarColumn()]
            if count.total:
                columns += [MofNCompleteColumn(), _Words(count.rate)]
            progress = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
            with progress:
                task = progress.add_task("", total=count.total or None, completed=count.done)
                count.moved = lambda: progress.update(task, completed=count.done)
                yield
            return
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_S):
                passed = f"{time.perf_counter() - count.start:.0f} s"
                words = [passed, count.pace(), "compiling" if compiling().now else ""]
                line = f"{count.name} ... {', '.join(word for word in words if word)}"
                self.console.print(Text(line), soft_wrap=True)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class _Count:
    """How far a stage is, and how fast: only what this run has done counts for that."""

    def __init__(self, name: str, total: int, unit: str, done: int):
        self.name, self.total, self.unit = name, total, unit
        self.done = self.before = done
        self.start = time.perf_counter()
        self.moved: Callable[[], None] = lambda: None

    def advance(self, units: int) -> None:
        self.done += units
        self.moved()

    def title(self) -> str:
        return f"{self.name} (compiling)" if compiling().now else self.name

    def rate(self) -> str:
        """Pace without what a bar shows."""
        return ", ".join(self.pace().split(", ")[1:])

    def pace(self) -> str:
        if not self.total:
            return ""
        so_far = f"{self.done:,} of {self.total:,} {self.unit}"
        if (new := self.done - self.before) == 0:
            return so_far
        rate = new / (time.perf_counter() - self.start)
        left = duration((self.total - self.done) / rate)
        return f"{so_far}, {rate:.3g} per s, {left} left"


class _Words(ProgressColumn):
    """Words that change while a stage runs."""

    max_refresh = 0.5

    def __init__(self, words: Callable[[], str]):
        ProgressColumn.__init__(self)
        self.words = words

    def render(self, task: Task) -> Text:
        """What to show now."""
        del task
        return Text(self.words())


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
