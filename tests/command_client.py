"""Stands for a program: lets the server beside it run the command, and ends as that ended.

It is copied to a file with the program's name, see `tests/commands.py`.
"""

import json
import os
import signal
import socket
import sys


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def main():
    streams = [number for number in range(3) if is_open(number)]  # before another takes its number
    folder, program = os.path.split(sys.argv[0])
    request = {
        "program": program,
        "arguments": sys.argv[1:],
        "streams": streams,
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib would take as long as all the rest
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(f"{folder}/socket")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(server, [text], streams)
        server.sendall(text[sent:])
        for number in streams:  # the command has them: who reads a pipe is to see when it ends
            os.close(number)
        status = int(server.recv(16))
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
