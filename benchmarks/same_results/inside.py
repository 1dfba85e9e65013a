"""What is computed inside a checkout, with names that both have; run by `__main__`, not imported.

python inside.py arrays FILE.npz
python inside.py claims FILE.json
python inside.py stored RUN FILE.json
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

OHMS = (0.0, 1.0, 20.0)
# Of each shape, solvers that are held fixed, and the default. `Dense` has no room for 65x100.
SOLVERS: dict[tuple[int, int], tuple[str, ...]] = {
    (6, 5): ("Ideal", "Dense", "CG", "ColumnSweep", "Auto"),
    (33, 20): ("Ideal", "Dense", "CG", "ColumnSweep", "Auto"),
    (65, 100): ("CG", "ColumnSweep", "Auto"),
}
# Experiments with claims, by their names before and after.
CLAIMING = ("recovery", "sensitivity", "severity", "sizes", "transfer", "stuck")


def arrays(path):
    """Currents, node voltages, transfer matrices and gradients by shape, wires and solver."""
    import xbar as xb

    found, rng = {}, np.random.default_rng(0)
    for shape, solvers in SOLVERS.items():
        g = jnp.asarray(np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), shape)))
        v = jnp.asarray(rng.uniform(-0.2, 0.2, (shape[0], 2)))
        for name, ohm in ((name, ohm) for name in solvers for ohm in OHMS):
            wires = xb.Wires(word_line=ohm, bit_line=2 * ohm, source=3.0, sense=4.0)
            lines = () if name == "Ideal" else (wires,)
            if name == "Ideal" and ohm:
                continue
            place = f"{name}, {shape[0]}x{shape[1]}, {ohm:g} ohm"
            parts = _solved(xb, g, lines, v, getattr(xb, name)())
            found |= {f"{place}: {part}": np.asarray(x) for part, x in parts.items()}
        print(f"{shape[0]}x{shape[1]}", flush=True)
    np.savez(path, **found)


def _solved(xb, g, lines, v, solver):
    def loss(g):
        return jnp.sum(xb.solve(xb.Crossbar(g, *lines), v[:, 0], solver).i_out ** 2)

    array = xb.Crossbar(g, *lines)
    solution = xb.solve(array, v, solver)
    parts = {name: getattr(solution, name) for name in ("i_out", "i_cell", "v_word", "v_bit")}
    return parts | {"T": xb.transfer(array, solver), "gradient": jax.grad(loss)(g)}


def claims(path):
    """Verdict and figures of every claim, from the tables that the checkout has stored."""
    import pandas as pd

    folder, found = Path("benchmarks/paper"), {}
    for name in CLAIMING:
        files = sorted(folder.glob(f"{name}_*.csv"))
        frames = {
            file.stem.removeprefix(f"{name}_"): pd.read_csv(
                file, keep_default_na=False, na_values=["nan"]
            )
            for file in files
        }
        if frames:
            found |= _claims_of(name, frames)
    Path(path).write_text(json.dumps(found))


def _claims_of(name, frames):
    try:
        registry = import_module("xbar.paper.registry")
    except ModuleNotFoundError:  # the version after
        return _judged(name, frames)
    experiment = next(e for e in registry.EXPERIMENTS if e.name == name)
    tables = {
        table: {
            column: frame[column].to_numpy(str)
            if frame[column].dtype.kind not in "fiub"
            else frame[column].to_numpy()
            for column in frame
        }
        for table, frame in frames.items()
    }
    return {
        claim.name: {"verdict": str(claim.verdict), "values": dict(claim.values)}
        for claim in experiment.find(tables).claims
    }


def _judged(name, frames):
    from xbar.paper.experiments import EXPERIMENTS
    from xbar.paper.report import verdicts

    experiment = next(e for e in EXPERIMENTS if e.name == name)
    found = {}
    for judged in verdicts(name, experiment.find(frames)):
        claim = judged.as_dict()
        values = {key: (v["mean"], v["ci95"]) for key, v in claim["values"].items()}
        found[judged.claim.name] = {"verdict": claim["verdict"], "values": values}
    return found


def stored(run, path):
    """What this checkout says of a run that another one stored."""
    from xbar.io.runs import load_run
    from xbar.io.store import StoreError

    found = load_run(run)
    numbers = {"accuracy": float(np.mean(found.read("accuracy/corrected")))}
    volts, _ = found.voltages([0])
    numbers["largest voltage"] = float(np.abs(volts).max())
    try:
        found.network("defective", 0)
        said = ""
    except StoreError as error:
        said = str(error)
    Path(path).write_text(json.dumps({"numbers": numbers, "network": said}))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    globals()[sys.argv[1]](*sys.argv[2:])
