"""How many programs XLA compiles for a piece of code."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def programs() -> Iterator[list[str]]:
    """The programs compiled within, by name; those of earlier calls are forgotten first."""
    found: list[str] = []
    counting = True

    def listen(event: str, _: float, **about: object) -> None:
        if counting and event == "/jax/core/compile/backend_compile_duration":
            found.append(str(about.get("fun_name", "?")))

    # Anew each time: whoever clears JAX's listeners takes away those of everybody.
    jax.monitoring.register_event_duration_secs_listener(listen)
    jax.clear_caches()
    try:
        yield found
    finally:
        counting = False
