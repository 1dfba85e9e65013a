"""Every peer runs with the options that are fastest for the size at hand."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def ready(result: Any) -> Any:
    """Wait for a JAX array; anything else is there already."""
    wait = getattr(result, "block_until_ready", None)
    return wait() if wait else result


def fastest(
    options: Sequence[Any], make: Callable[[Any], Callable[[int], Any]], settings: dict[str, Any]
) -> tuple[Any, Callable[[int], Any]]:
    """The option whose call is fastest, and its call.

    Each is called once to warm up and once more to be timed (up to five times, where that is
    cheap). When `settings["tuning_s"]` is spent, the rest of the options, which are given in order
    of promise, stays untried. With `settings["option"]`, found in an earlier run, only that one is
    made.
    """
    if settings.get("option") is not None:
        option = options[settings["option"]]
        return option, make(option)
    budget_s = settings["tuning_s"]
    best: tuple[float, Any, Any] | None = None
    begun, failures = time.perf_counter(), []
    for option in options:
        if best is not None and time.perf_counter() - begun > budget_s:
            break
        try:
            call = make(option)
            ready(call(0))
            times = []
            while len(times) < 1 or (len(times) < 5 and sum(times) < 1.0):
                start = time.perf_counter()
                ready(call(len(times) + 1))
                times.append(time.perf_counter() - start)
        except Exception as error:  # noqa: BLE001 an option that this build lacks is no option
            failures.append(f"{option}: {error}")
            continue
        print(f"  {option}: {1e3 * min(times):.2f} ms", file=sys.stderr)
        if best is None or min(times) < best[0]:
            best = (min(times), option, call)
    if best is None:
        raise RuntimeError("; ".join(failures) or "no options")
    return best[1], best[2]
