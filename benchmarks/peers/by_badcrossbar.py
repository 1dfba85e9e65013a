"""badcrossbar, asked for output currents only, which is its fastest mode."""

import logging
from typing import Any

import badcrossbar
import numpy as np

from benchmarks.peers.case import Case

logging.disable(logging.INFO)  # it logs every call


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    applied = np.eye(case.shape[0]) if op == "transfer" else case.v[:, None]

    def currents(k: int) -> np.ndarray:
        found = badcrossbar.compute(
            applied,
            1 / case.g[k % len(case.g)],
            r_i_word_line=case.r_word,
            r_i_bit_line=case.r_bit,
            node_voltages=False,
            all_currents=False,
        ).currents.output
        return found.T if op == "transfer" else found[0]

    if op == "solve_all":
        everything = range(len(case.g))
        return lambda k: np.stack([currents(n) for n in everything]), {"options": "outputs only"}
    return currents, {"options": "outputs only"}
