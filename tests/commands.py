"""Commands of tests without the seconds that loading torch takes each time.

`program("optlab")` and `program("python")` are files that run as `optlab` and `python` do, in a
process that is forked from one that has loaded torch. What is decided while a process starts (its
imports, warnings, `PYTHON...` variables) needs a real start: there `OPTLAB` and `sys.executable`.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
OPTLAB = str(Path(sys.executable).with_name("optlab"))


@cache
def folder():
    """The folder of the programs, whose server runs until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="optlab-"))
    atexit.register(shutil.rmtree, folder)
    text = (HERE / "command_client.py").read_text(encoding="utf-8")
    for name in ("optlab", "python"):
        (folder / name).write_text(f"#!{sys.executable} -IS\n{text}", encoding="utf-8")
        (folder / name).chmod(0o700)
    server = subprocess.Popen(
        [sys.executable, HERE / "command_server.py", folder / "socket"], cwd=HERE.parent,
        env=os.environ | {"MPLBACKEND": "Agg"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    atexit.register(server.communicate)
    assert server.stdout.readline() == b"ready\n"
    return folder


def loaded(*modules):
    """Return what the environment of a command has, so that it finds more modules loaded."""
    return {"OPTLAB_LOADED": " ".join(modules)}


def program(name):
    """The path of a program, `optlab` or `python`."""
    if sys.platform != "linux":  # the server waits by means that only Linux has
        return str(Path(sys.executable).with_name(name))
    return str(folder() / name)
