"""Bad optimizers, each bad in one way, planted among good ones to see what a lab makes of them."""

import ctypes
import math
import mmap
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

import optlab as ol


@dataclass(frozen=True)
class Raises:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ArithmeticError("planted")


@dataclass(frozen=True)
class TellsSettings:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ArithmeticError(str(torch.get_default_dtype()))


@dataclass(frozen=True)
class YieldsNaN:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate({name: value * math.nan for name, value in start.items()})


@dataclass(frozen=True)
class Diverges:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        for _ in batches:
            start["weight"] *= -10
            yield ol.Iterate(start)


@dataclass(frozen=True)
class HangsInPython:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        while True:
            pass


@dataclass(frozen=True)
class HangsInC:
    """In C with the interpreter's lock held: no signal handler and no thread of Python can run."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        while True:
            ctypes.PyDLL(None).sleep(1000)


@dataclass(frozen=True)
class NeverEnds:
    """Yields for ever, a little at a time: it can be stopped between two iterates."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        while True:
            time.sleep(0.01)
            yield ol.Iterate(start)


@dataclass(frozen=True)
class Exits:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        os._exit(3)


@dataclass(frozen=True)
class ExitsPolitely:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        sys.exit(3)


@dataclass(frozen=True)
class Segfaults:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        ctypes.string_at(0)


@dataclass(frozen=True)
class Allocates:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        hoard = []
        while True:
            hoard.append(torch.ones(1 << 22))


@dataclass(frozen=True)
class Hoards:
    """Allocates without end, and what it has is not freed when it fails."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        hoard = threading.main_thread().__dict__.setdefault("hoard", [])
        while True:
            hoard.append(bytearray(1 << 24))


@dataclass(frozen=True)
class YieldsNothing:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        return iter(())


@dataclass(frozen=True)
class YieldsWrongShapes:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate({"weight": torch.zeros(7), "bias": torch.zeros(())})


@dataclass(frozen=True)
class MutatesData:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        problem.X.zero_()
        yield ol.Iterate(start)


@dataclass(frozen=True)
class LeavesSettings:
    """Leaves threads, the default dtype and gradients set differently, and a thread running."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        torch.set_num_threads(1 + torch.get_num_threads())
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        threading.Thread(target=time.sleep, args=(1000,)).start()
        yield ol.Iterate(start)


@dataclass(frozen=True)
class TalksAndListens:
    """Prints where a protocol might be, and asks a question nobody answers."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        print("\x80\x04K\x01." * 100)  # noqa: T201 - that is what is planted
        os.write(1, b"raw bytes\n")
        assert not sys.stdin.read()
        yield ol.Iterate(start)


@dataclass(frozen=True)
class LeavesProcesses:
    """Dies while a fork of it and a program that it started live on, with its files open."""

    note: str
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        program = subprocess.Popen(["sleep", "1000"], close_fds=False)
        fork = os.fork()
        if fork == 0:
            time.sleep(1000)
        Path(self.note).write_text(f"{program.pid} {fork}")
        yield ol.Iterate(start)
        os._exit(3)


@dataclass(frozen=True)
class HoldsLock:
    """Cannot be pickled."""

    lock: object
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)


@dataclass(frozen=True)
class Borrows:
    """Holds so many bytes for a moment, in its second pass."""

    size: int
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        torch.ones(self.size, dtype=torch.uint8)
        yield ol.Iterate(start)


@dataclass(frozen=True)
class SharesMemory:
    """Fills so many bytes of a shared map, or of forks, which a limit on a process does not see."""

    size: int
    forks: int = 0
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        held = mmap.mmap(-1, self.size) if not self.forks else None
        for _ in range(self.forks):
            if os.fork() == 0:
                held = bytearray(b"1") * (self.size // self.forks)
                time.sleep(1000)
        if held:
            for _ in range(self.size // 2**20):
                held.write(b"1" * 2**20)
        time.sleep(1000)
        yield ol.Iterate(start)


@dataclass(frozen=True)
class LeavesHarm:
    """Leaves behind what makes every later trial of its process slow, or its loss 0."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        torch.autograd.set_detect_anomaly(True)
        ol.LinearRegression.evaluate = lambda *_: ol.problems.Evaluation(0.0, 0.0, 0.0, 0.0)
        torch.Tensor.mean = lambda *_: torch.zeros(())
        yield ol.Iterate(start)


@dataclass(frozen=True)
class TellsAnomaly:
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ArithmeticError(f"{torch.is_anomaly_enabled()} {os.getpid()}")
