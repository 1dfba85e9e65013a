"""What a report gets: a study all of whose numbers are in results.h5."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xbar.run.folders.runner import Runner
from xbar.run.study.plan import Plan
from xbar.run.study.software import StudyInputs


@dataclass(frozen=True)
class ComputedStudy:
    """A study all of whose numbers are in results.h5.

    Args:
        plan: what was computed.
        inputs: from which data and network.
        run: where it is, and how long it took.
    """

    plan: Plan
    inputs: StudyInputs
    run: Runner


Finish = Callable[[ComputedStudy], dict[str, Any]]
"""Writes figures and the report of a study and returns its summary."""
