"""The speed benchmark's own logic: what counts as a result, its problems and its reference."""

import csv
import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import splu

import xbar as xb

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import mutations
from benchmarks.peers import by_crosssim_loop, by_xbar, client, nodal, tuning
from benchmarks.peers.case import AMPERE, Case
from benchmarks.speed import contest, kernels, problems, rows, sizes
from benchmarks.speed.reference import Reference, error_of, relative


@pytest.fixture(scope="module")
def small() -> Case:
    # 4x7, so that rows and columns cannot be confused; unequal wires.
    case = problems.case_of(problems.arrays(3, 4, 7, seed=5), r=2.0, inputs=6)
    return case._replace(r_bit=3.0)


def row(**changes: object) -> rows.Row:
    plain = rows.Row("a", "4x7", "solve", "xbar", "float64", seconds=1e-3, error=1e-12, bound=1e-10)
    return dataclasses.replace(plain, **changes).judge()


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda m: m.file)
def test_every_deliberate_fault_still_has_its_place(mutation):
    """One line of the code, and tests that are there to notice."""
    root = Path(__file__).parents[1]
    assert (root / "xbar" / mutation.file).read_text().count(mutation.old) == 1
    assert all((root / f"tests/test_{name}.py").exists() for name in mutation.tests.split())


@pytest.mark.parametrize("error", [1.1e-10, math.inf, math.nan])
def test_a_row_past_its_bound_has_failed_and_gives_no_ratio(error):
    wrong, right = row(error=error, seconds=1e-6), row()
    assert wrong.status.startswith("failed: error")
    assert right.status == "ok"
    assert rows.ratio(wrong, right) is None
    assert rows.ratio(right, wrong) is None
    assert rows.ratio(row(seconds=3e-3), right) == pytest.approx(3)


def test_a_row_without_a_time_has_failed():
    assert row(seconds=math.nan).status == "failed: no time"


def test_a_failure_is_not_judged_away():
    assert row(status="failed: stopped after 5 s").status == "failed: stopped after 5 s"


def test_the_table_shows_failed_rows_last_without_time_or_ratio():
    members = [row(contestant="fast but wrong", error=1e-3, seconds=1e-9), row(),
               row(contestant="peer", seconds=4e-3)]  # fmt: skip
    lines = rows.table(members, [("xbar", "float64")]).splitlines()[4:]
    assert [line.split(" | ")[0] for line in lines] == ["| xbar", "| peer", "| fast but wrong"]
    assert lines[1].split(" | ")[2:4] == ["4 ms", "4"]
    assert lines[2].split(" | ")[2:4] == ["failed: error 1.0e-03, allowed 1e-10", ""]


def test_csv_rows_name_machine_versions_commit_threads_precision_error_and_status(tmp_path):
    rows.write_csv(tmp_path / "folder" / "a.csv", [row(), row(seconds=math.nan)])
    with (tmp_path / "folder" / "a.csv").open() as file:
        read = list(csv.DictReader(file))
    needed = {"machine", "cores", "load", "python", "jax", "xbar", "commit", "version", "threads",
              "processes", "precision", "error", "bound", "status", "seconds"}  # fmt: skip
    assert needed <= set(read[0])
    assert read[0]["seconds"] == "0.001"
    assert read[1]["seconds"] == ""
    assert read[1]["status"] == "failed: no time"
    assert all(read[0][name] for name in ("machine", "commit", "jax", "xbar"))


def test_arrays_are_seeded_different_spread_and_exact_in_float32():
    g = problems.arrays(4, 60, 80, seed=1)
    assert np.array_equal(g, problems.arrays(4, 60, 80, seed=1))
    assert not np.array_equal(g, problems.arrays(4, 60, 80, seed=2))
    assert len({array.tobytes() for array in g}) == 4
    assert np.array_equal(g, g.astype(np.float32))
    on, off = (g == np.float32(v) for v in (problems.G_ON, problems.G_OFF))
    assert 0.01 < on.mean() < 0.03
    assert 0.01 < off.mean() < 0.03
    assert g.min() == np.float32(problems.G_OFF)
    assert g.max() == np.float32(problems.G_ON)
    # log-uniform: half of the cells on either side of the geometric mean
    assert np.mean(g > 1e-5) == pytest.approx(0.5, abs=0.02)


def test_cells_that_are_all_on_still_make_different_arrays():
    g = problems.all_on(3, 5, 6)
    assert len({array.tobytes() for array in g}) == 3
    assert g == pytest.approx(1e-4, rel=3e-3)


def test_copies_of_a_batch_are_what_the_contestant_solves(small):
    call, _ = by_xbar.prepare("solve_all", small, {"precision": "float64", "copies": 3})
    which = np.array([0, 4, 6])
    g = problems.copies(small.g, which, "float64")
    assert not np.array_equal(g[1], small.g[1])
    assert error_of("solve_all", np.asarray(call(0))[which], small._replace(g=g), 0) < 1e-10


def nodal_solution(case: Case, k: int, b: np.ndarray) -> np.ndarray:
    """Node voltages of the sparse formulation, refined once in extended precision."""
    built = nodal.Nodal(case, "full")
    matrix, values = built.csc()
    matrix.data = values.of(case.g[k])
    lu = splu(matrix)
    x = lu.solve(b)
    e = built.entries
    wide = e.wires.astype(np.longdouble) + e.sign * case.g[k].ravel()[e.cell]
    product = np.zeros(b.shape, np.longdouble)
    np.add.at(product, e.row, wide * x[e.col])
    return x + lu.solve(np.asarray(b - product, float))


def test_the_reference_is_the_sparse_nodal_solution(small):
    built = nodal.Nodal(small, "full")
    for k in range(3):
        currents = built.currents(nodal_solution(small, k, built.drive(small.v)))
        assert relative(currents, Reference(small).solve(k)) < 1e-14


def test_the_reference_agrees_with_dense_in_currents_transfer_and_gradients(small):
    wires, g = xb.Wires(small.r_word, small.r_bit), jnp.asarray(small.g[1])

    def transfer(g):
        return xb.transfer(xb.Crossbar(g, wires), xb.Dense())

    def loss(g, data):
        return jnp.sum((data @ transfer(g).T / AMPERE) ** 2) / (2 * len(data))

    reference = Reference(small)
    assert relative(transfer(g), reference.transfer(1, np.arange(4))) < 1e-12
    assert relative(transfer(g) @ small.v, reference.solve(1)) < 1e-12
    assert relative(jax.grad(loss)(g, small.v[None]), reference.gradient(1)) < 1e-11
    assert relative(jax.grad(loss)(g, small.data), reference.gradient_data(1)) < 1e-11


@pytest.mark.parametrize("r", [0.0, 1e4])
def test_the_reference_holds_without_wires_and_with_severe_ones(r):
    case = problems.case_of(problems.all_on(1, 8, 9), r, inputs=1)
    array = xb.Crossbar(case.g[0], xb.Wires(r, r))
    dense = xb.solve(array, case.v, xb.Dense()).i_out
    assert relative(np.asarray(dense), Reference(case).solve(0)) < 1e-12


@pytest.mark.parametrize("shape", [(4, 7), (7, 4)])
@pytest.mark.parametrize("op", ["solve", "transfer", "gradient", "transfer_all", "gradient_all"])
def test_sparse_operations_match_the_reference_and_a_changed_array_does_not(shape, op):
    case = problems.case_of(problems.arrays(3, *shape), 2.0, inputs=5)._replace(r_bit=3.0)
    built = nodal.Nodal(case, "full")
    matrix, values = built.csc()

    def factor(data):
        matrix.data = data
        return splu(matrix).solve

    sparse = nodal.NodalSolver(case, built, values, factor).call(op)(2)
    assert error_of(op, sparse, case, 2) < 1e-12
    # One cell that is 1 % off in the last array must not pass.
    g = case.g.copy()
    g[2, -1, -1] *= 1.01
    assert error_of(op, sparse, case._replace(g=g), 2) > 1e-9


@pytest.mark.parametrize("op", ["transfer", "gradient", "gradient_data"])
def test_xbar_as_it_is_called_matches_the_reference(small, op):
    call, detail = by_xbar.prepare(op, small, {"precision": "float64"})
    assert error_of(op, call(5), small, 5) < 1e-10
    assert detail["compile_s"] > 0


@pytest.mark.parametrize("triangle", ["lower", "upper"])
def test_a_triangle_of_the_matrix_is_that_of_the_whole(small, triangle):
    whole, part = (nodal.Nodal(small, t).csc() for t in ("full", triangle))
    dense, half = (m.__class__((v.of(small.g[0]), m.indices, m.indptr)).toarray()
                   for m, v in (whole, part))  # fmt: skip
    assert np.array_equal(dense, dense.T)
    assert np.array_equal(half, np.tril(dense) if triangle == "lower" else np.triu(dense))


def test_results_of_the_wrong_shape_or_nan_are_infinitely_wrong(small):
    assert error_of("solve", np.zeros(4), small, 0) == math.inf
    assert error_of("solve", np.full(7, np.nan), small, 0) == math.inf
    assert error_of("transfer", np.zeros((4, 7)), small, 0) == math.inf
    assert error_of("solve_all", np.zeros((2, 7)), small, 0) == math.inf


@pytest.mark.parametrize("op", ["solve", "solve_all", "transfer", "transfer_all"])
def test_the_re_coded_loop_of_crosssim_gives_right_currents(small, op):
    call, detail = by_crosssim_loop.prepare(op, small, {"tuning_s": 0.1})
    assert error_of(op, call(1), small, 1) < 1e-10
    again, _ = by_crosssim_loop.prepare(op, small, {"tuning_s": 0, "option": detail["option"]})
    np.testing.assert_array_equal(again(1), call(1))


def test_it_begins_anew_with_less_where_it_diverges_and_gives_up_in_the_end(small):
    """Relaxed by 1 it converges while wires take less than the cells."""
    dominated = small._replace(r_word=3e3, r_bit=3e3)
    loop = by_crosssim_loop.Loop(dominated)
    with pytest.raises(by_crosssim_loop.DivergedError):
        loop._once(dominated.g[0], dominated.v[None], 1.0)
    found = loop.currents(dominated.g[0], dominated.v[None], 1.0)[0]
    assert error_of("solve", found, dominated, 0) < 1e-10
    hopeless = small._replace(r_word=1e9, r_bit=1e9)
    with pytest.raises(by_crosssim_loop.DivergedError, match="not within"):
        by_crosssim_loop.prepare("solve", hopeless, {"tuning_s": 0.1})


def test_tuning_takes_the_fastest_option_and_passes_over_broken_ones():
    import time

    def make(option):
        if option == "broken":
            raise ValueError("not built in")
        return lambda k: time.sleep(option)

    assert tuning.fastest([0.05, "broken", 0.0, 0.1], make, {"tuning_s": 9})[0] == 0.0
    with pytest.raises(RuntimeError, match="not built in"):
        tuning.fastest(["broken"], make, {"tuning_s": 9})


def test_a_peer_that_is_missing_is_a_failed_row_that_says_what_helps(small, monkeypatch):
    monkeypatch.setattr(client, "ENVIRONMENT", Path("/nonexistent"))
    effort = contest.Effort.of(quick=True)
    (found,) = contest.contest("a", "4x7", "solve", small, [contest.Entry("klujax")], effort)
    assert found.status.startswith("failed: not installed")
    assert "make bench" in found.status


def test_a_contest_in_processes_gives_checked_rows(small):
    effort = dataclasses.replace(contest.Effort.of(quick=True), rounds=1, calls=2)
    strict = contest.Entry("xbar", "too strict", bound=1e-18)
    found = contest.contest("a", "4x7", "solve", small, [contest.Entry("xbar"), strict], effort)
    assert [r.fine for r in found] == [True, False]
    assert 0 < found[0].error < 1e-10
    assert found[0].seconds > 0
    assert found[0].memory_mb > 0


def test_a_peer_is_not_run_where_it_would_take_too_long_and_the_row_says_so():
    entry = contest.Entry("splu")
    slow = row(contestant="splu", case="64x64, 1 Ohm", seconds=2.0, memory_mb=10.0)
    worth, skipped = sizes._worth([entry], [slow], 128, limit_s=1.0)
    assert not worth
    assert skipped[0].status == "not run: 64x64, 1 Ohm took 2 s and 0.0098 GB"
    assert not skipped[0].judge().fine
    assert sizes._worth([entry], [slow], 128, limit_s=100.0)[0] == [entry]


def test_counted_operations_of_a_step_are_those_of_its_products():
    # One drop of a 3x5 array: (3x5)(5x5) and (3x3)(3x5).
    assert kernels.drop_flops(3, 5) == 2 * 3 * 5 * 5 + 2 * 3 * 3 * 5
    assert kernels.cg_flops(3, 5, steps=0) == 2 * kernels.drop_flops(3, 5)
    assert kernels.bound(10, 100, held=1, rate=1, copy=1, cache=2) == 10
    assert kernels.bound(10, 100, held=3, rate=1, copy=1, cache=2) == 100


@pytest.mark.slow
def test_a_batch_is_spread_over_all_devices():
    """Under `jit`, where it stays on one unless they are named."""
    code = (
        "from benchmarks.peers import by_xbar; from benchmarks.speed import problems;"
        "case = problems.case_of(problems.arrays(4, 3, 4));"
        "call, detail = by_xbar.prepare('solve_all', case, {'precision': 'float64'});"
        "print(detail['options'], len(call(0).sharding.device_set))"
    )
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "JAX_ENABLE_X64": "1"}
    folder = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert run.stdout.strip() == "default, devices: 2 2", run.stderr
