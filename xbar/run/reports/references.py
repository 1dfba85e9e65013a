"""What the demo's corrector is compared with: references on the same voltages, and controls."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xbar.run.study.readers import NEIGHBOURS
from xbar.statistics import paired_interval, share_bounds, t_interval

CORRECTED = "corrected"  # the corrector's column

MAIN = "trained on the defective circuit's voltages for labelled inputs"
ABOUT = {
    "bias only": "one number added to each output voltage",
    "linear": "a linear map of the output voltages",
    "large": "one large hidden layer, on the same voltages: what can be had",
    "nearest neighbours": f"vote of the {NEIGHBOURS} nearest labelled voltages: what can be had",
    "trained on healthy": "the corrector, trained on the healthy circuit's voltages for the same "
    "inputs, used on the defective circuit's",
    "retrained network": "no corrector: the software network trained on with the labels of the "
    "base and the corrector part, mapped anew, the same pairs stuck; the fault is not known",
}


def table(
    found: Mapping[str, Any], parameters: Mapping[str, int | None]
) -> dict[str, dict[str, Any]]:
    """The corrector and everything beside it, as `summary.json` holds it.

    Args:
        found: accuracies per seed by name, `CORRECTED` and those of `ABOUT`, (seeds,) each.
        parameters: how many each has; None where they do not describe it.

    Returns:
        By name: parameters, accuracy with ci95 and interval95, difference to
        the corrector on the same seeds and its ci95, and what it is.
    """
    corrected = found[CORRECTED]
    rows = {"corrector": _row(corrected, corrected, parameters[CORRECTED], MAIN)}
    for name, about in ABOUT.items():
        rows[name] = _row(found[name], corrected, parameters[name], about)
    return rows


def _row(values: Any, corrected: Any, parameters: int | None, about: str) -> dict[str, Any]:
    own = t_interval(np.asarray(values))
    difference, half_difference, _ = paired_interval(np.asarray(values), np.asarray(corrected))
    return {
        "parameters": parameters,
        "accuracy": own.mean,
        "ci95": own.half_width,
        "interval95": share_bounds(own),
        "difference": difference,
        "difference_ci95": half_difference,
        "about": about,
    }
