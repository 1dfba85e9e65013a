"""What the user can put right."""

from collections.abc import Iterable


class UsageError(Exception):
    """Something that the user can put right; its text is one line for each problem."""


class StudyError(UsageError):
    """A study that cannot run as it is written.

    Args:
        problems: one sentence for each, its place in the study file first.
    """

    def __init__(self, problems: Iterable[str]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
