"""How large the programs of the entry points are, and what a first call costs.

Not a contest: run `python -m benchmarks.speed.programs` in this checkout and in another one.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.speed import machine

SIZES = ((6, 5), (32, 32), (65, 100), (128, 128))
OUT = Path(__file__).resolve().parents[1] / "results" / "programs.md"
TITLE = """# Programs

What a user's first call takes, by entry point and shape, 1 Ohm wires, one input, float64, no
persistent cache: operations in the lowered program, processor seconds to trace and lower and to
compile it, the time on the clock from trace to first result, and temporary memory. Each shape in a
process of its own, the entry points in this order; the first includes what JAX itself takes to
start.

"""


def measure(rows: int, cols: int) -> list[str]:
    """Lines of the table for one shape; to be called in a fresh process."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import xbar as xb

    jax.config.update("jax_enable_x64", True)
    g = jnp.asarray(10 ** np.random.default_rng(0).uniform(-6, -4, (rows, cols)))
    v_in, wires = jnp.asarray(np.linspace(0.1, 0.2, rows)), xb.Wires(1.0, 1.0)
    entries = {
        "solve": lambda g: xb.solve(xb.Crossbar(g, wires), v_in),
        "its gradient": jax.grad(
            lambda g: jnp.sum(xb.solve(xb.Crossbar(g, wires), v_in).i_out ** 2)
        ),
        "transfer": lambda g: xb.transfer(xb.Crossbar(g, wires)),
        "gradient of transfer": jax.grad(
            lambda g: jnp.sum(xb.transfer(xb.Crossbar(g, wires)) ** 2)
        ),
    }
    lines = []
    for name, function in entries.items():
        clock, start = time.perf_counter(), time.process_time()
        lowered = jax.jit(function).lower(g)
        traced = time.process_time()
        program = lowered.compile()
        compiled = time.process_time()
        jax.block_until_ready(program(g))
        clock = time.perf_counter() - clock
        operations = sum(" = " in line for line in lowered.as_text().splitlines())
        memory = program.memory_analysis().temp_size_in_bytes / 2**20
        lines.append(
            f"| {rows}x{cols} | {name} | {operations:,} | {traced - start:.2f} s | "
            f"{compiled - traced:.2f} s | {clock:.2f} s | {memory:.1f} MiB |"
        )
    return lines


def main() -> None:
    head = [
        "| array | entry point | operations | trace | compile | first result | memory |",
        "|---|---|---|---|---|---|---|",
    ]
    lines = []
    for rows, cols in SIZES:
        call = f"measure({rows}, {cols})"
        code = f"from benchmarks.speed.programs import measure; print(*{call}, sep='\\n')"
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        lines += run.stdout.strip().splitlines()
        print(run.stdout, end="", flush=True)
    foot = f"\nWritten by `python -m benchmarks.speed.programs` {machine.measured_at()}.\n"
    OUT.write_text(TITLE + "\n".join([*head, *lines]) + "\n" + foot)


if __name__ == "__main__":
    main()
