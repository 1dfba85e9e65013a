"""(k) What a user's first call takes: whole stories, with nothing compiled before and with all.

    python -m benchmarks.speed.first_calls [--only NAME ...]

Each story is a process of its own, twice: with an empty folder for compiled programs and with the
one that it left. Stories in Python count from the first line after the imports; commands count
whole. `--only` measures some again and leaves the other rows of the table as they are.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed import machine

OUT = Path(__file__).resolve().parents[1] / "results" / "first_calls.md"
HEAD = """# First calls

What whole stories take with nothing compiled before, and again in a second process with what the
first one kept: seconds on the clock, and processor seconds of both cores in brackets. In Python
from the first line after the imports, default solver, float64, 1 Ohm wires; commands as a whole.
"Own options" are those of the package's own programs, `xb.compiler_options()`
(docs/first_call.md). "asked" is what we want of a quiet machine with two cores.

| story | asked | nothing kept | second process |
|---|---:|---:|---:|
"""

START = """
import sys, time
import jax, jax.numpy as jnp, numpy as np
import xbar as xb
from xbar.devices import Everywhere
jax.config.update("jax_enable_x64", True)
xb.keep_compiled()
rng = np.random.default_rng(0)
begun, used = time.perf_counter(), time.process_time()
"""
END = """
jax.block_until_ready(found)
print("took", time.perf_counter() - begun, time.process_time() - used)
"""
ARRAY = """
g, v = 10 ** rng.uniform(-6, -4, {shape}), np.linspace(0.1, 0.2, {shape}[0])
array = xb.Crossbar(g, xb.Wires(1.0, 1.0))
"""
JITTED = """
found = jax.jit({function}{options})(jnp.asarray(g))
"""
WAYS = {  # to compile (docs/first_call.md)
    "under `jit`": "",
    "under `jit`, own options": ", compiler_options=xb.compiler_options()",
}
NETWORK = """
sizes = {sizes}
weights = [rng.normal(size=pair) for pair in zip(sizes, sizes[1:])]
x = jnp.asarray(rng.uniform(size=(200, sizes[0])))
net = xb.Network.from_weights(weights, wires=xb.Wires(1.0, 1.0), calibration=x)
"""
MAPS = """
def broken(key, net):
    for layer in range(len(sizes) - 1):
        fault, own = xb.StuckCells(rate_on=0.01, rate_off=0.03), jax.random.fold_in(key, layer)
        net = net.with_fault(layer, Everywhere(), fault, own)
    return net(x).argmax(1)

found = xb.batch_map(broken, jax.random.split(jax.random.key(0), 1000), net)
"""
SMALL, DIGITS = (13, 24, 12, 3), (64, 50, 20, 8, 10)
SOLVE = "lambda g: xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), v)"
SLOPE = "jax.grad(lambda g: jnp.sum(xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), v).i_out ** 2))"
TRANSFER = "lambda g: xb.transfer(xb.Crossbar(g, xb.Wires(1.0, 1.0)))"
SLOPES = "jax.grad(lambda g: jnp.sum(xb.transfer(xb.Crossbar(g, xb.Wires(1.0, 1.0))) ** 2))"

# Name: what is asked for, and the lines, or the command's arguments.
STORIES: dict[str, tuple[str, str | list[str]]] = {
    "`solve`, 65x100": ("0.9", ARRAY.format(shape=(65, 100)) + "found = xb.solve(array, v)"),
    "`transfer`, 65x100": ("1.8", ARRAY.format(shape=(65, 100)) + "found = xb.transfer(array)"),
    "`transfer`, 128x128": ("3.5", ARRAY.format(shape=(128, 128)) + "found = xb.transfer(array)"),
    "`transfer`, 256x256": ("5", ARRAY.format(shape=(256, 256)) + "found = xb.transfer(array)"),
    "`transfer`, 401x240": ("5", ARRAY.format(shape=(401, 240)) + "found = xb.transfer(array)"),
    **{
        f"{name}, {shape[0]}x{shape[1]}, {way}": (
            asked,
            ARRAY.format(shape=shape) + JITTED.format(function=function, options=options),
        )
        for way, options in WAYS.items()
        for shape, name, asked, function in (
            ((32, 32), "`solve`", "0.8", SOLVE),
            ((32, 32), "its gradient", "1.5", SLOPE),
            ((32, 32), "`transfer`", "0.8", TRANSFER),
            ((32, 32), "gradient of `transfer`", "1.5", SLOPES),
            ((65, 100), "`solve`", "0.9", SOLVE),
            ((65, 100), "its gradient", "1.6", SLOPE),
            ((65, 100), "`transfer`", "1.8", TRANSFER),
            ((65, 100), "gradient of `transfer`", "2.0", SLOPES),
        )
    },
    "forward pass of a 13-24-12-3 network": ("2.5", NETWORK.format(sizes=SMALL) + "found = net(x)"),
    "forward pass of the digits network": ("5", NETWORK.format(sizes=DIGITS) + "found = net(x)"),
    "1,000 random fault maps of 13-24-12-3": ("5", NETWORK.format(sizes=SMALL) + MAPS),
    "1,000 random fault maps of the digits network": ("12", NETWORK.format(sizes=DIGITS) + MAPS),
    "`xbar demo`": ("30", ["demo"]),
    "`xbar sensitivity`": ("90", ["sensitivity", "--ngspice-s", "0"]),
}


def measured(story: str | list[str], environment: dict[str, str], out: Path) -> tuple[float, float]:
    """Seconds on the clock and of processors, in a process of its own."""
    if isinstance(story, str):
        code = START + story + END
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        clock, used = run.stdout.split("took")[1].split()
        return float(clock), float(used)
    before, begun = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "xbar", *story, "--out", str(out)]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    after = os.times()
    used = sum(after[2:4]) - sum(before[2:4])
    return time.perf_counter() - begun, used


def row(name: str) -> str:
    asked, story = STORIES[name]
    with tempfile.TemporaryDirectory() as folder:
        unset = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
        environment = {k: v for k, v in os.environ.items() if k not in (*unset, "XLA_FLAGS")}
        environment["XDG_CACHE_HOME"] = folder
        cells = []
        for number in range(2):
            clock, used = measured(story, environment, Path(folder) / f"out{number}")
            cells.append(f"{clock:.1f} ({used:.1f})")
    return f"| {name} | {asked} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="What first calls of whole stories take.")
    parser.add_argument("--only", nargs="+", default=None, help="stories whose names hold this")
    wanted = parser.parse_args().only
    lines = {}
    if OUT.exists():
        known = re.findall(r"^(\| (.+?) \| .*)$", OUT.read_text(), re.MULTILINE)
        lines = {name: line for line, name in known if name in STORIES}
    for name in STORIES:
        if wanted is None or any(part in name for part in wanted):
            lines[name] = row(name)
            print(lines[name], flush=True)
    command = " ".join(["python -m benchmarks.speed.first_calls", *sys.argv[1:]])
    foot = f"\nWritten by `{command}` {machine.measured_at()}.\n"
    OUT.write_text(HEAD + "\n".join(lines[name] for name in STORIES if name in lines) + "\n" + foot)


if __name__ == "__main__":
    main()
