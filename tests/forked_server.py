"""Fork servers of worker pools that are forked from a process which has loaded torch."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from optlab.lab.workers import fork_server, process
from tests.commands import program


def fork_servers(monkeypatch):
    """Let worker pools get their servers by a fork, where a start takes seconds to load torch.

    A server has loaded more than one that was started; beyond that it is like any other.
    """
    if sys.platform == "linux":
        monkeypatch.setattr(process, "subprocess", starting(ForkedServer))


def fork_servers_from_here(monkeypatch):
    """Let worker pools fork their servers from this process: no other knows of them."""
    monkeypatch.setattr(process, "subprocess", starting(ServerForkedHere))
    monkeypatch.setattr(fork_server, "use_huge_pages", lambda: None)
    monkeypatch.setattr(fork_server, "_warm_up", lambda: None)


def forks():
    """The environment of a command of `tests/commands.py` whose pools get servers by a fork too."""
    return {"OPTLAB_FORKS": str(Path(program("python")).parent)}


def fork_servers_of_this_command():
    process.subprocess = starting(ForkedServer)


def starting(kind):
    """The module `subprocess`, as a worker process uses it, with another kind of server."""
    return SimpleNamespace(
        Popen=kind, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )


class ForkedServer:
    """A fork server that `tests/command_server.py` forks, as the pool uses its `Popen`."""

    def __init__(self, arguments, *, pass_fds, **_):
        self.returncode = None
        nothing = os.open(os.devnull, os.O_RDONLY)
        folder = os.environ.get("OPTLAB_FORKS") or Path(program("python")).parent
        request = {
            "program": "fork server", "arguments": json.loads(arguments[-1]), "streams": [0, 1, 2],
            "folder": os.getcwd(), "environment": dict(os.environ),  # noqa: PTH109 - likewise
        }  # fmt: skip
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(f"{folder}/socket")
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self.server, [text], [nothing, 1, 2, *pass_fds])
        os.close(nothing)
        self.server.sendall(text[sent:])
        self.pid = int(self.server.recv(10))

    def poll(self):
        """The exit code, or the negative number of a signal, once it has ended."""
        if self.returncode is None and select.select([self.server], [], [], 0)[0]:
            self.returncode = int(self.server.recv(16))
            self.server.close()
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None and not select.select([self.server], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("server", timeout)
        return self.poll()

    def kill(self):
        if self.poll() is None:
            self.server.sendall(bytes([signal.SIGKILL]))

    def __del__(self):
        self.server.close()


class ServerForkedHere:
    """A fork server forked from this process."""

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
