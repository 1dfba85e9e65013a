"""ngspice through `xbar.spice`: one process per operating point; its netlist is written before."""

import math
from typing import Any

import numpy as np

import xbar as xb
from benchmarks.peers.case import Case
from xbar import spice


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    program = spice.find_ngspice()
    wires = xb.Wires(case.r_word, case.r_bit)
    texts = [spice.array_netlist(xb.Crossbar(g, wires), case.v) for g in case.g]
    names = [f"i:vout_{j}" for j in range(case.shape[1])]

    def call(k: int) -> np.ndarray:
        found = spice.run_netlist(texts[k % len(texts)], ngspice=program, timeout_s=3600)
        return np.array([found.points[0][name] for name in names])

    # Its memory is that of processes that are gone by then, so it is left out.
    unknown = {"memory_mb": math.nan, "memory_call_mb": math.nan, "version": program.version}
    return call, {"options": "process included", **unknown}
