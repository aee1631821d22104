"""What became of a trial."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a trial; every trial asked for has one."""

    CONVERGED = "converged"
    """The stop_at was reached: suboptimality at most ``stop_at`` times the start's."""
    FINISHED = "finished"
    """The budget was spent, or a direct method gave its answer."""
    DIVERGED = "diverged"
    """The loss was not finite, or above 1e6 times the start's."""
    FAILED = "failed"
    """The optimizer raised, or yielded what is no iterate."""
    SKIPPED = "skipped"
    """It could not run; the message says why."""
    TIMED_OUT = "timed out"
    """The time limit ran out."""
    CRASHED = "crashed"
    """Its process died."""
    INTERRUPTED = "interrupted"
    """Ctrl-C came before its end."""

    @property
    def is_result(self) -> bool:
        """Whether the trial ended in a result: diverged and skipped are results, failures not."""
        return self in {self.CONVERGED, self.FINISHED, self.DIVERGED, self.SKIPPED}
