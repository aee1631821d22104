"""Run trials on the workers of a Dask cluster."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from typing import Any

from optlab.lab.trial.record import Trial
from optlab.lab.workers.executors import content_key

MOST_RERUNS = 2
"""The most times that a trial whose worker was lost is run again elsewhere."""

SILENT_SECONDS = 20.0
"""Seconds in which a scheduler or, where all have gone, a worker may come back."""

_CONNECT_SECONDS = 10


class DaskCluster:
    """The workers of a Dask scheduler; trials on a device go to workers that have it.

    A worker says what it has by Dask's resources: ``dask worker ADDRESS --resources cuda=1``.
    Trials on the CPU go anywhere.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executors: dict[str, Executor] = {}
        self._held: list[str] = []
        self._workers = 0
        self._gone_since = math.inf

    def executor_for(self, trial: Trial) -> Executor | str:
        """Return the executor for a trial's device, or the reason why there is none."""
        kind = trial.device.partition(":")[0]
        if kind not in self._executors:
            needs = {} if kind == "cpu" else {kind: 1}
            if needs and not any(worker["resources"].get(kind) for worker in self._ask()):
                return f"no worker of the Dask cluster offers the resource {kind!r}"
            self._executors[kind] = self._client.get_executor(pure=False, resources=needs)
        return self._executors[kind]

    def hold(self, problem: bytes) -> None:
        """Send a pickled problem to every worker of now, and to those that come later."""
        from optlab.lab.workers.dask_plugin import SentProblem  # noqa: PLC0415 - needs distributed

        key = content_key(problem)
        self._client.register_plugin(SentProblem(key, problem), name=key)
        self._held.append(key)

    def release(self) -> None:
        """Let the scheduler and the workers drop the problems."""
        for key in self._held:
            self._client.unregister_worker_plugin(key)

    def workers(self) -> int:
        """Return the number of threads of all workers, when last asked."""
        if not self._workers:
            self._ask()
        return self._workers

    def lost(self) -> str | None:
        """Return a reason where scheduler or workers have been gone for too long."""
        if self._client.status not in ("running", "connecting"):
            return "its Dask scheduler was lost"
        if self._ask():
            self._gone_since = math.inf
            return None
        self._gone_since = min(self._gone_since, time.monotonic())
        silent = time.monotonic() - self._gone_since
        return None if silent < SILENT_SECONDS else "no worker of the Dask cluster is left"

    def _ask(self) -> list[Any]:
        """Return what the scheduler says of its workers; nothing where it is gone."""
        with suppress(Exception):
            info = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._workers = sum(worker["nthreads"] for worker in info)
            return list(info)
        return []


@contextmanager
def dask_cluster(address: str) -> Iterator[DaskCluster]:
    """Connect to a Dask scheduler.

    While connected, the scheduler gives up on a task after `MOST_RERUNS` reruns on other workers.

    Raises
    ------
    ValueError
        Where distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - optional: the extra `cluster`
    except ImportError:
        raise ValueError(
            "a Dask scheduler needs distributed: pip install 'optlab[cluster]'"
        ) from None
    try:
        _check_answer(address)
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from None
    usual = client.run_on_scheduler(_allow_failures, failures=MOST_RERUNS)
    cluster = DaskCluster(client)
    try:
        yield cluster
    finally:
        with suppress(Exception):  # the scheduler may be gone: there is nothing to restore
            if client.status == "running":
                cluster.release()
                client.run_on_scheduler(_allow_failures, failures=usual)
        with suppress(Exception):
            client.close(timeout=_CONNECT_SECONDS)


def _check_answer(address: str) -> None:
    """Raise OSError where a TCP address takes a connection and stays silent: Dask would wait on."""
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if kind == "tcp" and port.isdecimal():
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.recv(1)  # a scheduler speaks first


def _allow_failures(failures: int, dask_scheduler: Any = None) -> int:
    """Set how many lost workers a task may have, on the scheduler, and return the old number."""
    usual = int(dask_scheduler.allowed_failures)
    dask_scheduler.allowed_failures = failures
    return usual
