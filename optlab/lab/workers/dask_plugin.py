"""Take a problem to the workers of a Dask cluster, once to each."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from optlab.lab.workers.executors import SENT_PROBLEMS


class SentProblem(WorkerPlugin):
    """A plugin of Dask's workers that takes a pickled problem there, once to each worker."""

    def __init__(self, key: str, problem: bytes) -> None:
        self.key, self.problem = key, problem

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - the name is Dask's
        """Keep the problem until the first trial loads it."""
        SENT_PROBLEMS[self.key] = self.problem
        self.problem = b""

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - the name is Dask's
        """Drop the problem."""
        SENT_PROBLEMS.pop(self.key, None)
