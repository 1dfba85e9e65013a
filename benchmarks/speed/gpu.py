"""(a) to (e) on one GPU, xbar alone: the same code, larger batches, arrays per second.

Runs on any backend that JAX finds, so `--quick` tests it on a CPU with tiny batches.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.client import FailedError, Process, cores
from benchmarks.speed import kernels
from benchmarks.speed.contest import Effort, Entry, contest, environment_of
from benchmarks.speed.problems import all_on, arrays, case_of
from benchmarks.speed.rows import Row, save, seconds_text

TITLE = "On one GPU"
TEXT = """\
xbar alone, the code of the other tables unchanged, on {device}. `_all`: batches of different
arrays, time per array. Fraction: the time that the method's operations take at the card's rate for
large matrix products, or its bytes (if none stays in a cache) at its copy bandwidth, whichever is
longer (benchmarks/speed/kernels.py), relative to the time that was measured. One input of up to
128x128: also by `CG` alone, in its ordinary loop and in one kernel (`fused`). Checked: arrays from
the start, the middle and the end of each batch; float64 to 1e-10, float32 to 1e-6 (T, derivatives
and wires above 1 Ohm to 1e-5)."""
# Beside the default where one input of a small array is asked for.
BY_CG = {"xbar, CG": {"solver": "CG"}, "xbar, CG fused": {"solver": "CG", "fused": True}}
CACHE_BYTES = 50 * 2**20  # the second-level cache of an H100 or H200
BASE = 1000  # different arrays that are sent; larger batches scale them (by_xbar)
BATCHES = {
    "solve_all": (1000, 10_000, 100_000),
    "transfer_all": (1000, 10_000),
    "gradient_all": (1000, 10_000, 100_000),
}
LETTERS = {"solve_all": "a", "transfer_all": "b", "gradient_all": "c"}


def device() -> dict[str, Any]:
    """Runs in xbar's process: what JAX computes on."""
    import jax

    found = jax.devices()[0]
    return {"platform": found.platform, "kind": found.device_kind}


def run(quick: bool) -> None:
    rows, parts = [], []
    effort = dataclasses.replace(Effort.of(quick), rounds=3)
    card = _ask("device", "gpu", "float32", {})
    for precision in ("float64", "float32"):
        args = {"precision": precision, "least_s": 0.05 if quick else 0.5,
                "scale": 8 if quick else 1}  # fmt: skip
        rate = _ask("rates", "limits", precision, args)
        mine = _measured(precision, quick, effort)
        parts.append(_table(precision, rate, mine))
        rows += mine
    for row in rows:
        row.where["machine"] = f"{card['kind']} ({card['platform']}); {row.where['machine']}"
    name = "gpu" if card["platform"] != "cpu" else "gpu_on_cpu"
    save(name, TITLE, TEXT.format(device=card["kind"]), rows, "\n".join(parts), quick=quick)


def _ask(function: str, module: str, precision: str, args: dict[str, Any]) -> dict[str, Any]:
    with Process("xbar", cores(), environment_of(precision, 1)) as process:
        return process.ask(do="measure", module=module, function=function, args=args)


def _measured(precision: str, quick: bool, effort: Effort) -> list[Row]:
    rows = []
    base = 4 if quick else BASE
    for op, batches in BATCHES.items():
        case = case_of(arrays(base, 65, 100))
        for batch in (4, 8) if quick else batches:
            name = f"{batch:,} arrays 65x100"
            bound = None if op == "solve_all" or precision == "float64" else 1e-5
            rows += _one(LETTERS[op], name, op, case, precision, bound, batch // base, effort)
    case = case_of(arrays(2, 65, 100))
    rows += _one("c", "65x100", "gradient_data", case, precision, 1e-5, 1, effort)
    for size in (16, 32) if quick else (64, 128, 256, 512, 1024, 2048):
        case = case_of(arrays(2, size, size), inputs=1)
        rows += _one("d", f"{size}x{size}, 1 Ohm", "solve", case, precision, None, 1, effort)
    for ohm in (0.0, 5.0) if quick else (0.0, 0.1, 1.0, 5.0, 20.0, 100.0):
        size, count = (16, 2) if quick else (256, 100)
        case = case_of(all_on(count, size, size), ohm, inputs=1)
        bound = None if precision == "float64" or ohm <= 1 else 1e-5
        name = f"{count} arrays {size}x{size} all on, {ohm:g} Ohm"
        rows += _one("e", name, "solve_all", case, precision, bound, 1, effort)
    return rows


def _one(
    letter: str, name: str, op: str, case: Any, precision: str, bound: float | None, copies: int,
    effort: Effort,
) -> list[Row]:  # fmt: skip
    if precision == "float64":
        bound = None
    shared = {"copies": copies, "steps": op.removesuffix("_all") in ("solve", "gradient")}
    by_cg = op.removesuffix("_all") == "solve" and max(case.shape) <= 128
    rows = []
    for label, settings in {"xbar": {}, **(BY_CG if by_cg else {})}.items():
        entry = Entry("xbar", label, precision, bound, settings={**shared, **settings})
        try:
            # One after the other: a process of JAX takes most of a card's memory for itself.
            rows += contest(letter, name, op, case, [entry], effort)
        except FailedError as failure:
            status = f"failed: {failure}"
            rows.append(Row(letter, name, op, label, precision, bound=entry.allowed, status=status))
    return rows


def _table(precision: str, rate: dict[str, float], rows: Sequence[Row]) -> str:
    lines = [
        f"## {precision}",
        "",
        f"Matrix product {rate['matmul_large'] / 1e9:,.0f} GFLOP/s (65x100 in a scan "
        f"{rate['matmul_65x100'] / 1e9:,.1f}), copy {rate['copy'] / 1e9:,.0f} GB/s.",
        "",
        "| question | case | operation | by | arrays per second | time per array | fraction "
        "| error | status |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        each = f"{1 / row.seconds:,.0f}" if row.fine else ""
        lines.append(
            f"| {row.question} | {row.case} | {row.op} | {row.contestant} | {each} "
            f"| {seconds_text(row.seconds) if row.fine else ''} | {_fraction(row, rate)} "
            f"| {row.error:.0e} | {row.status} |"
        )
    return "\n".join(lines) + "\n"


def _fraction(row: Row, rate: dict[str, float]) -> str:
    """What the method needs at the card's rates, relative to the time that it took."""
    if not row.fine:
        return ""
    rows, cols = map(int, re.findall(r"(\d+)x(\d+)", row.case)[0])
    itemsize = 8 if row.precision == "float64" else 4
    kind = row.op.removesuffix("_all")
    if kind == "transfer":
        flops, moved = kernels.sweep_flops(rows, cols), kernels.sweep_bytes(rows, cols, itemsize)
        working = moved * row.batch
    elif row.steps not in ("", 0):
        solves = 2 if kind == "gradient" else 1
        flops = solves * kernels.cg_flops(rows, cols, int(row.steps))
        moved = solves * kernels.cg_bytes(rows, cols, int(row.steps), itemsize=itemsize)
        # In one kernel all steps' vectors stay on the chip.
        fused = row.contestant.endswith("fused")
        working = 0 if fused else kernels.cg_held(rows, cols, row.batch, itemsize)
    else:
        return ""
    least = kernels.bound(flops, moved, working, rate["matmul_large"], rate["copy"], CACHE_BYTES)
    return f"{least / row.seconds:.1%}"
