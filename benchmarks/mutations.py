"""Deliberate faults, one at a time, and whether the tests notice: `benchmarks/mutations.py`.

Each changes one place of a copy of the package, and runs the test files that are about it there.
`--only WORD` takes those whose files hold the word; `--write` keeps the table in
benchmarks/results/mutations.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "results" / "mutations.md"
COPIED = ("xbar", "tests", "benchmarks", "pyproject.toml", "docs", "examples", "README.md")


HEAD = """# Deliberate faults

What `python benchmarks/mutations.py --write` found: the place, what stood there instead of what is
right, whether the default tests about it noticed, and the seconds until they did.

"""


class Mutation(NamedTuple):
    """A place in the package, what stands there, what stands there instead, who is to notice."""

    file: str
    old: str
    new: str
    tests: str  # files, without tests/test_ and .py


MUTATIONS = (
    Mutation(
        "solvers/lines.py",
        "y = local + product(drawn, parts.spread.astype(x.dtype))",
        "y = local + 0 * product(drawn, parts.spread.astype(x.dtype))",
        "lines",
    ),
    Mutation(
        "solvers/lines.py",
        "up_to[np.minimum(position[:, None], position)]",
        "up_to[np.maximum(position[:, None], position)]",
        "lines",
    ),
    Mutation(
        "solvers/sweep/nodes.py",
        "lost = resistance * jnp.sum(y)",
        "lost = 0.999999 * resistance * jnp.sum(y)",
        "physics",
    ),
    Mutation(
        "solvers/sweep/elimination.py",
        "down = 1 / (1 + z * a)",
        "down = 1 / (1 + z * above)",
        "physics",
    ),
    Mutation(
        "solvers/sweep/change.py",
        "word = word - segment * pushed",
        "word = word + segment * pushed",
        "derivatives",
    ),
    Mutation(
        "solvers/cg.py",
        "tolerance = jnp.where(state.passes == 0, margin, rtol)",
        "tolerance = jnp.where(state.passes == 0, margin, 1e4 * rtol)",
        "exactness",
    ),
    Mutation(
        "solvers/derivatives.py",
        "factor = jnp.where(bad, jnp.nan, 1).astype(x.dtype)",
        "factor = jnp.where(bad, 0, 1).astype(x.dtype)",
        "failed_derivatives",
    ),
    Mutation(
        "solvers/derivatives.py",
        "return answer(_, cotangents[::-1])[::-1]",
        "return answer(_, cotangents)",
        "derivatives",
    ),
    Mutation(
        "solvers/derivatives.py",
        "du, di = linear_response(solver, state, problem, de - d_word - d_bit, dg * out.u)",
        "du, di = linear_response(solver, state, problem, de - d_word + d_bit, dg * out.u)",
        "derivatives",
    ),
    Mutation(
        "solvers/derivatives.py",
        "return largest(volts) <= 100 * largest(drives)",
        "return largest(volts) <= 1e300 * largest(drives)",
        "verdict bad_results",
    ),
    Mutation(
        "solvers/newton.py",
        "ok = (new.error <= rtol) | settled",
        "ok = (new.error <= 1e4 * rtol) | settled",
        "newton_fuzz",
    ),
    Mutation(
        "solvers/newton.py",
        "residual = e - u - problem.drop(i)",
        "residual = e - u - 0.999999 * problem.drop(i)",
        "newton_fuzz",
    ),
    Mutation(
        "solvers/wiring/ends.py",
        "total = jnp.sum(along * self.vector.T, axis=-2)",
        "total = jnp.sum(along, axis=-2)",
        "lines_solve",
    ),
    Mutation(
        "solvers/auto.py",
        "return repairs and is_outermost(array, inputs)",
        "return repairs",
        "programs",
    ),
    Mutation(
        "devices/mapping.py",
        "g_min + s * xp.maximum(w_, 0), g_min + s * xp.maximum(-w_, 0)",
        "g_min + s * xp.maximum(-w_, 0), g_min + s * xp.maximum(w_, 0)",
        "mapping",
    ),
    Mutation(
        "devices/mapping.py",
        'axis = 0 if scale == "column" else None',
        "axis = None",
        "mapping",
    ),
    Mutation(
        "nn/converters.py",
        "return lsb * (jnp.clip(jnp.round(v / lsb + z), 0, levels - 1) - z)",
        "return lsb * (jnp.clip(jnp.floor(v / lsb + z), 0, levels - 1) - z)",
        "readout_steps",
    ),
    Mutation("analysis/noise.py", "(2 * CHARGE) * jnp.abs", "CHARGE * jnp.abs", "noise"),
    Mutation(
        "analysis/delay.py",
        "q_word, q_bit = c_word * solution.v_word + across, c_bit * solution.v_bit - across",
        "q_word, q_bit = c_word * solution.v_word + across, c_bit * solution.v_bit + across",
        "delay",
    ),
    Mutation(
        "analysis/power.py",
        'parts["bridges"] = ohms * ends.bridge**2',
        'parts["bridges"] = ohms * ends.bridge',
        "power lines_solve lines_arguments lines_faults",
    ),
    Mutation(
        "statistics.py",
        "stats.t.ppf((1 + level) / 2, n - 1)",
        "stats.t.ppf(level, n - 1)",
        "statistics",
    ),
    Mutation(
        "io/store.py",
        "if sealed and item.attrs.get(SEAL) != checksum(values).hexdigest():",
        "if sealed and item.attrs.get(SEAL) is None:",
        "bad_results study_folders",
    ),
    Mutation(
        "memory.py",
        "sign = -1.0 if state else 1.0",
        "sign = 1.0 if state else -1.0",
        "memory",
    ),
    Mutation(
        "sensitivity/update.py",
        "matrix = jnp.eye(len(dg), dtype=dg.dtype) + coupling * dg",
        "matrix = jnp.eye(len(dg), dtype=dg.dtype) + coupling.T * dg[:, None]",
        "sensitivity_sets",
    ),
    Mutation(
        "sensitivity/expansion.py",
        "first + self.curvature * dg**2 / 2",
        "first + self.curvature * dg**2",
        "sensitivity_gradients",
    ),
    Mutation(
        "learn/corrector.py",
        "return (voltages - self.mean[..., None, :]) / self.std[..., None, :]",
        "return voltages / self.std[..., None, :]",
        "corrector",
    ),
    Mutation(
        "devices/stuck.py",
        "sides: ClassVar[tuple[bool, bool]] = (False, True)",
        "sides: ClassVar[tuple[bool, bool]] = (True, False)",
        "defects_faults",
    ),
    Mutation(
        "spice/netlist.py",
        '[f"out_{j}" for j in range(array.cols)]\n',
        '[f"out_{j}" for j in range(array.cols)][::-1]\n',
        "spice_netlist spice_committed",
    ),
)


def caught(mutation: Mutation, folder: Path) -> bool:
    """Whether a test fails with this fault in the copy; the copy is as it was afterwards."""
    path = folder / "xbar" / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        found = text.count(mutation.old)
        raise SystemExit(f"{mutation.file}: got {found} places with {mutation.old!r}, needs one")
    path.write_text(text.replace(mutation.old, mutation.new))
    files = [f"tests/test_{name}.py" for name in mutation.tests.split()]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *files]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1
    finally:
        path.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Deliberate faults, and whether tests notice.")
    parser.add_argument("--only", default="", help="those whose files hold this word")
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    rows, missed = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for item in COPIED:
            copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy2
            copy(ROOT / item, folder / item)
        os.environ["PYTHONPATH"] = str(folder)
        for mutation in MUTATIONS:
            if options.only not in mutation.file:
                continue
            begun = time.perf_counter()
            found = caught(mutation, folder)
            missed += not found
            place = mutation.new.strip().split("\n")[0] or "(a line less)"
            rows.append(
                f"| `xbar/{mutation.file}` | `{place.replace('|', chr(92) + '|')}` | "
                f"{'caught' if found else 'MISSED'} | {time.perf_counter() - begun:.0f} |"
            )
            print(rows[-1], flush=True)
    print(f"{len(rows) - missed} of {len(rows)} caught")
    if options.write:
        table = "| file | faulty line | tests | s |\n|---|---|---|---:|\n" + "\n".join(rows)
        TABLE.write_text(HEAD + table + f"\n\n{len(rows) - missed} of {len(rows)} caught.\n")


if __name__ == "__main__":
    main()
