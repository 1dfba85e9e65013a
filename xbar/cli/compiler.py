"""How XLA compiles for a command. It reads its flags once, when JAX first needs it."""

import os
from importlib.metadata import version

# The newer of XLA's two ways to write loops for a CPU. The older one writes them in half the time;
# what a command runs is as fast, but for eliminations of severe drop, which take up to 1.7 times as
# long (benchmarks/results/first_calls.md).
OPTION = "xla_cpu_use_fusion_emitters"
# An option that XLA does not know ends the process: these releases of jaxlib know it.
FIRST, BEYOND = (0, 8), (0, 11)


def compile_quickly() -> None:
    """Ask XLA for the way that compiles faster, unless `XLA_FLAGS` of the user's says otherwise."""
    flags = os.environ.get("XLA_FLAGS", "")
    release = tuple(int(part) for part in version("jaxlib").split(".")[:2])
    if OPTION not in flags and FIRST <= release < BEYOND:
        os.environ["XLA_FLAGS"] = f"{flags} --{OPTION}=false".strip()
