"""A process that has loaded what commands load, and forks one for each command that it is sent.

A fork takes milliseconds where a new process takes seconds to load torch. What is forked is a
process like any other: it has the arguments, environment, folder and streams of the command, gets
its signals, and ends as an interpreter ends, but that it frees nothing. It can also be the fork
server of a worker pool. See `tests/commands.py`.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import weakref
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType

LOADED = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "sklearn.linear_model",
    "optlab.app.cli", "optlab.app.execute", "optlab.app.script", "optlab.lab.workers.fork_server",
    "optlab.report.page.render",
)  # fmt: skip


def load():
    """Load what commands load."""
    gc.disable()  # as the command does while it loads
    for name in LOADED:
        importlib.import_module(name)
    # torch's optimizers load it when they are made; without triton, of which a child that frees
    # nothing of this would tell that it leaks.
    sys.modules["triton"] = None
    importlib.import_module("torch._dynamo")
    del sys.modules["triton"]
    for finalizer in list(weakref.finalize._registry):
        finalizer.atexit = False  # it would free what a library holds when a child ends
    gc.freeze()  # no collection of a child walks over what has been loaded
    gc.enable()


class Server:
    """The loop of the server: the processes that run, each with the connection it came by."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.children = {}

    def serve(self):
        """Fork as asked; return, in the process that is forked, its command and its streams."""
        print("ready", flush=True)  # noqa: T201 - for who started it
        while True:
            connections = {connection: pid for pid, connection in self.children.values()}
            watched = [sys.stdin, self.listener, *self.children, *connections]
            for ready in select.select(watched, [], [])[0]:
                if ready is sys.stdin:  # the tests have ended
                    for pid in connections.values():
                        os.kill(pid, signal.SIGKILL)
                    sys.exit()
                elif ready is self.listener:
                    connection = self.listener.accept()[0]
                    request, streams = received(connection)
                    for name in request["environment"].get("OPTLAB_LOADED", "").split():
                        importlib.import_module(name)
                    pid = os.fork()
                    if pid == 0:
                        return request, streams
                    self.children[os.pidfd_open(pid)] = pid, connection
                    if request["program"] == "fork server":
                        connection.sendall(b"%010d" % pid)
                    for stream in streams:
                        os.close(stream)
                elif ready in self.children:
                    self.reap(ready)
                else:
                    self.pass_signal(ready, connections[ready])

    def reap(self, handle):
        """Tell how a process ended: its exit status, or the negative number of a signal."""
        pid, connection = self.children.pop(handle)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError):  # who asked may have been killed
            connection.sendall(b"%d" % status)
        connection.close()
        os.close(handle)

    def pass_signal(self, connection, pid):
        """Send a process the signal that comes for it; kill it where who asked has ended."""
        if connection.fileno() < 0:  # it has just been reaped
            return
        number = connection.recv(1)
        os.kill(pid, number[0] if number else signal.SIGKILL)


def received(connection):
    """Return a command, and the numbers of its open streams here."""
    text, streams, _, _ = socket.recv_fds(connection, 65536, 4)
    while not text.endswith(b"\n"):
        text += connection.recv(65536)
    return json.loads(text), streams


def become(request, streams):
    """Take on, after a fork, the folder, environment and streams of a command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    given = dict(zip(request["streams"], streams, strict=False))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.close(number)
        if number in given:
            os.dup2(given[number], number)
            os.close(given[number])
        stream = text_stream(number) if number in given else None
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def text_stream(number):
    """Return stdin, stdout or stderr as an interpreter opens them."""
    unbuffered = number > 0 and bool(os.environ.get("PYTHONUNBUFFERED"))
    raw = open(number, "wb" if number else "rb", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115 - it is to stay open
    return TextIOWrapper(
        raw,
        encoding="utf-8",
        errors="backslashreplace" if number == 2 else "surrogateescape",
        line_buffering=number == 2 or os.isatty(number),
        write_through=unbuffered,
    )


def serve_forks(path, control):
    """Be the fork server of a worker pool, which finds modules by its path."""
    os.setsid()
    sys.path[:] = path
    fork_server = sys.modules["optlab.lab.workers.fork_server"]
    fork_server.use_huge_pages = lambda: None  # what it saves is less than what it costs here
    fork_server.main(control, os.getppid())


def run(program, arguments):
    """Run `optlab ...`, `python script ...` or `python -c code ...`."""
    if "OPTLAB_FORKS" in os.environ:
        fork_servers_of_this_command()
    main = sys.modules["__main__"] = ModuleType("__main__")
    if program == "optlab":
        sys.argv = [program, *arguments]
        sys.path[0] = str(Path(sys.executable).parent)
        from optlab.app import cli

        cli.main()
    elif arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    else:
        script = Path(arguments[0])
        sys.argv, sys.path[0], main.__file__ = arguments, str(script.resolve().parent), str(script)
        exec(compile(script.read_bytes(), script, "exec"), vars(main))


def end(status):
    """End as an interpreter does, but for the freeing of what was loaded: it takes half a second.

    Return where a stream cannot be written to, which an interpreter's own end then says.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal, for who runs the tests
    load()
    sys.path[0] = str(Path(__file__).parents[1])
    from tests.forked_server import fork_servers_of_this_command

    server = Server(sys.argv[1])
    request, streams = server.serve()
    server.listener.close()
    for _, connection in server.children.values():
        connection.close()
    become(request, streams)
    if request["program"] == "fork server":
        serve_forks(request["arguments"], streams[-1])
    status = 0
    try:
        run(request["program"], request["arguments"])
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        status = ended.code or 0
    end(status)
    sys.exit(status)
