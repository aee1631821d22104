"""The statuses with which trials end."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The outcome of a trial in a word; every trial asked for has one.

    ``converged``
        It reached ``stop_at``.
    ``finished``
        It spent its budget, or a direct method gave its answer.
    ``diverged``
        Its loss is not finite, or has grown too far.
    ``failed``
        The optimizer raised, or yielded something other than an iterate of this problem; see
        `optlab.Results.traceback`.
    ``skipped``
        It could not run; the message says why.
    ``timed out``
        Its time limit ran out.
    ``crashed``
        Its process died.
    ``interrupted``
        Ctrl-C or SIGTERM came before its end.

    See Also
    --------
    StopAt : The target that a trial may reach.
    Results.traceback : Why a trial failed.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.Lstsq()).status == ol.Status.FINISHED
    True
    """

    CONVERGED = "converged"
    """It reached ``stop_at`` (see `optlab.lab.trial.stop_at.StopAt`)."""
    FINISHED = "finished"
    """It spent its budget, or a direct method gave its answer."""
    DIVERGED = "diverged"
    """Its loss is not finite, or has grown too far (see `optlab.lab.trial.stopping`)."""
    FAILED = "failed"
    """The optimizer raised, or yielded something other than an iterate of this problem."""
    SKIPPED = "skipped"
    """It could not run; the message says why."""
    TIMED_OUT = "timed out"
    """Its time limit ran out."""
    CRASHED = "crashed"
    """Its process died."""
    INTERRUPTED = "interrupted"
    """Ctrl-C or SIGTERM came before its end."""

    @property
    def is_result(self) -> bool:
        """Return whether the trial ended in a result: diverged and skipped are results."""
        return self in {self.CONVERGED, self.FINISHED, self.DIVERGED, self.SKIPPED}
