"""Fork servers that are forked from the test's process, which has loaded torch."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

from optlab.lab.workers import fork_server, process


def fork_servers_from_here(monkeypatch):
    """Let worker pools start their servers by a fork: a new process takes seconds."""
    forked = SimpleNamespace(
        Popen=ForkedServer,
        DEVNULL=subprocess.DEVNULL,
        TimeoutExpired=subprocess.TimeoutExpired,
    )
    monkeypatch.setattr(process, "subprocess", forked)
    monkeypatch.setattr(fork_server, "use_huge_pages", lambda: None)
    monkeypatch.setattr(fork_server, "_warm_up", lambda: None)


class ForkedServer:
    """A fork server forked from this process, which has loaded torch: a new one takes seconds."""

    def __init__(self, arguments, *, pass_fds, **_):
        control, parent = int(arguments[-3]), int(arguments[-2])
        self.returncode, self.pid = None, os.fork()
        if self.pid == 0:
            try:
                sys.settrace(None)
                os.setsid()
                fork_server.main(control, parent)
            finally:
                os._exit(1)

    def poll(self):
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("server", timeout)
            time.sleep(0.001)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
