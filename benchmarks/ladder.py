"""The validation ladder as one table, every error measured in this run: benchmarks/ladder.md.

    python benchmarks/ladder.py

Exits 1 if a rung disagrees, or if the row that has to fail does not.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax

jax.config.update("jax_enable_x64", True)
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import numpy as np  # noqa: E402
import spice_cases as cases  # noqa: E402
import test_spice_gradients as gradients  # noqa: E402
from circuits import exact, largest_current, random_circuit  # noqa: E402

import xbar as xb  # noqa: E402
from xbar import spice  # noqa: E402

REFERENCES = HERE.parent / "tests" / "data" / "reference_cases.json"


class Row(NamedTuple):
    rung: str
    what: str
    error: float
    allowed: float
    by_design: bool = False  # has to fail

    @property
    def verdict(self) -> str:
        if self.by_design:
            return "disagrees, as it must" if self.error > self.allowed else "AGREES, WRONGLY"
        return "agrees" if self.error <= self.allowed else "DISAGREES"


def relative(ours, theirs, scale=None) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    scale = np.max(np.abs(theirs)) if scale is None else scale
    wrong = np.max(np.abs(ours - theirs))
    return 0.0 if wrong == 0 else float(wrong / scale)  # some references are all 0


def closed_forms() -> list[Row]:
    one = xb.Crossbar([[0.1]], xb.Wires(2.0, 3.0, 5.0, 7.0))
    g = np.random.default_rng(1).uniform(0, 1e-3, (7, 5))
    errors = [
        relative(xb.solve(one, np.array([1.5])).i_out, [1.5 / 27]),
        relative(xb.transfer(xb.Crossbar(g)), g.T),
    ]
    groups = {group["id"]: group["cases"] for group in json.loads(REFERENCES.read_text())["groups"]}
    for case in groups["fibonacci_ladder_exact"]:
        n, expected = case["n"], case["expected"]
        sol = xb.solve(xb.Crossbar(np.ones((1, n)), xb.Wires(word_line=1.0)), np.ones(1))
        errors.append(relative(sol.v_word[0], expected["V_word_line"]))
    tools = []
    for case in groups["badcrossbar_qucs"]:
        wires = xb.Wires(case["r_word_line"], case["r_bit_line"])
        array = xb.Crossbar(1 / np.array(case["R"], float), wires)
        sol = xb.solve(array, np.array(case["V"], float))
        tools.append(relative(sol.i_out, np.array(case["expected"]["I_out"], float)))
    return [
        Row("1 closed forms", "one cell, zero wires, uniform ladders", max(errors), 1e-10),
        Row("1 closed forms", "badcrossbar's Qucs cases", max(tools), 1e-10),
    ]


def twins() -> list[Row]:
    rows = []
    for regime in ("mild", "severe", "extreme"):
        circuit = random_circuit(np.random.default_rng(4), 6, 5, regime)
        i_cell, word, bit = exact(circuit)
        sol = xb.solve(circuit.array(), circuit.v_in)
        scale = np.max(np.abs([word, bit]))
        error = max(
            relative(sol.i_cell, i_cell, largest_current(i_cell)),
            relative(sol.v_word, word, scale),
            relative(sol.v_bit, bit, scale),
        )
        rows.append(Row("2 twins", f"rational arithmetic, 6x5, {regime}", error, 1e-10))
    worst, kcl = 0.0, 0.0
    for regime in ("mild", "severe"):
        circuit = random_circuit(np.random.default_rng(5), 16, 16, regime)
        sol = xb.solve(circuit.array(), circuit.v_in)
        dense = xb.solve(circuit.array(), circuit.v_in, xb.Dense())
        worst = max(worst, *(row.error for row in spice.compare(sol, dense)))
        kcl = max(kcl, float(sol.kcl_residual))
    rows.append(Row("2 twins", "dense twin, 16x16, mild and severe", worst, 1e-10))
    rows.append(Row("2 twins", "Kirchhoff residual of every cell", kcl, 1e-10))
    return rows


def committed() -> list[Row]:
    rows = []
    for name, case in cases.committed().items():
        if cases.sha256(cases.netlist_of(case)) != case["netlist_sha256"]:
            rows.append(Row("3 committed", f"{name}: netlist's hash", np.inf, 0))
        found = case["found"]
        if "layers" in case:
            network, x = cases.network_of(case)
            errors = map(relative, network.layer_voltages(x), found["v_out"])
            allowed = 1e-9
        else:
            array, v_in = cases.array_of(case)
            sol = xb.solve(array, v_in)
            ampere = max(np.max(np.abs(found[k])) for k in ("i_cell", "i_out"))
            volt = np.max(np.abs(found["v_word"]))
            scales = {"v_word": volt, "v_bit": volt, "i_cell": ampere, "i_out": ampere}
            errors = (relative(getattr(sol, k), found[k], s) for k, s in scales.items())
            allowed = 1e-10
        rows.append(Row("3 committed", f"{name}, ngspice {case['ngspice']}", max(errors), allowed))
    return rows


def live() -> list[Row]:
    rows, number = [], spice.find_ngspice().version
    for regime in ("mild", "severe"):
        for size in (1, 16, 32):
            circuit = random_circuit(np.random.default_rng(size), size, size, regime)
            report = spice.verify_array(circuit.array(), circuit.v_in)
            error = max(row.error for row in report.rows)
            what = f"{size}x{size}, {regime}, ngspice {number}"
            rows.append(Row("4 live", what, error, 1e-10))
        single = spice.verify_array(circuit.array(np.float32), circuit.v_in.astype(np.float32))
        error = max(row.error for row in single.rows)
        allowed = 2e-6 if regime == "mild" else 1e-5
        rows.append(Row("4 live", f"32x32, {regime}, float32", error, allowed))
    for activation in ("relu", "tanh", "sigmoid"):
        network, x = cases.small_network(activation, open_loop_gain=1e3, v_min=-0.15, v_max=0.1)
        error = max(row.error for row in spice.verify_network(network, x).rows)
        rows.append(Row("4 live", f"6-5-4-3 network, {activation}, gain 1000, rails", error, 1e-9))
    return rows


def derivatives() -> list[Row]:
    rows = []
    for regime in gradients.REGIMES:
        rng = np.random.default_rng(12)
        problem, parts = gradients.circuit(rng, regime), gradients.elements(rng)
        values, v_in, weights = problem
        ours = gradients.by_xbar(*problem, parts)
        theirs = gradients.by_ngspice(*problem, parts)
        significant = np.abs(theirs) > 1e-6 * np.max(np.abs(theirs))
        error = float(np.max(np.abs(ours / theirs - 1)[significant]))
        what = f"ngspice, one of {significant.sum()} resistors nudged, {regime}"
        rows.append(Row("5 gradients", what, error, 1e-5))

        def loss(name, at, factor, values=values, v_in=v_in, weights=weights):
            nudged = {k: np.array(v) for k, v in values.items()}
            nudged[name][at] *= factor
            return weights @ xb.solve(gradients.array_of(nudged), v_in, xb.Dense()).i_out

        h = gradients.STEP
        few = np.flatnonzero(significant)[:12]
        differences = [(loss(*parts[k], 1 + h) - loss(*parts[k], 1 - h)) / (2 * h) for k in few]
        error = float(np.max(np.abs(ours[few] / np.array(differences) - 1)))
        rows.append(Row("5 gradients", f"differences of the dense twin, {regime}", error, 1e-5))
    return rows


def properties() -> list[Row]:
    # 6x5, so that rows and columns cannot be confused.
    circuit = random_circuit(np.random.default_rng(9), 6, 5, "severe")
    array, v = circuit.array(), np.random.default_rng(2).uniform(-1, 1, (6, 2))
    t, sol = np.asarray(xb.transfer(array)), xb.solve(array, v)
    backwards = np.asarray(xb.transfer(circuit.turned().array()))[::-1, ::-1].T
    i_cell = np.asarray(sol.i_cell)
    behind = np.cumsum(i_cell[:, ::-1], axis=1)[:, ::-1]
    above = np.cumsum(i_cell, axis=0)
    lost = (
        np.sum(i_cell * (np.asarray(sol.v_word) - np.asarray(sol.v_bit)), axis=(0, 1))
        + np.einsum("ij,ijn->n", circuit.word_line, behind**2)
        + np.einsum("ij,ijn->n", circuit.bit_line, above**2)
        + circuit.source @ behind[:, 0] ** 2
        + circuit.sense @ above[-1] ** 2
    )
    r = 1e-9
    limit = xb.transfer(xb.Crossbar(array.g, xb.Wires(r, r, r, r)))
    # A cell loses at most what its lines' whole currents, at 1 V, drop over all their segments.
    g = circuit.g
    at_most = r * (7 * float(np.max(g.sum(axis=0))) + 6 * float(np.max(g.sum(axis=1))))
    return [
        Row("6 properties", "reciprocity", relative(backwards, t), 1e-10),
        Row("6 properties", "superposition", relative(sol.i_out, t @ v), 1e-10),
        Row("6 properties", "power in = power dissipated", relative(lost, sol.p_total), 1e-10),
        Row("6 properties", "no entry of T below 0", max(0.0, float(-t.min() / t.max())), 1e-10),
        Row("6 properties", "wires of 1 nohm against none", relative(limit, array.g.T), at_most),
    ]


def by_design() -> list[Row]:
    """One resistor of the netlist changed by 1 %: the comparison has to notice."""
    network, x = cases.small_network()
    layer, v = network.layers[0], np.asarray(network.k_in * x[0])
    text = spice.layer_netlist(layer, v)
    line = next(s for s in text.splitlines() if s.startswith("Rcell_l0_2_3 "))
    *words, r = line.split()
    changed = text.replace(line, " ".join([*words, f"{1.01 * float(r):.17g}"]))
    (point,) = spice.run_netlist(changed).points
    theirs = [point[f"i:vout_l0_{j}"] for j in range(10)]
    ours = xb.solve(layer.array(), np.append(v, layer.v_bias)).i_out
    what = "one cell's resistor in the netlist is 1 % off"
    return [Row("fails by design", what, relative(ours, theirs), 1e-10, by_design=True)]


RUNGS = (closed_forms, twins, committed, live, derivatives, properties, by_design)


def table(rows: list[Row]) -> str:
    lines = [
        "# The validation ladder",
        "",
        f"Written by `python benchmarks/ladder.py` with xbar {version('xbar')}, jax "
        f"{version('jax')}, ngspice {spice.find_ngspice().version}; every error was measured in",
        "that run, relative to the largest voltage or current (gradients: to each derivative).",
        "float64 unless stated.",
        "",
        "| rung | what | largest error | allowed | verdict |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.rung} | {r.what} | {r.error:.1e} | {r.allowed:.0e} | {r.verdict} |" for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    rows: list[Row] = []
    for rung in RUNGS:
        found = rung()
        rows += found
        for row in found:
            print(f"{row.rung}: {row.what}: {row.error:.1e} {row.verdict}", flush=True)
    (HERE / "ladder.md").write_text(table(rows))
    return int(not all(row.verdict in ("agrees", "disagrees, as it must") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
