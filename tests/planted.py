"""Bad optimizers, each bad in one way, planted among good ones to see what a lab makes of them."""

import ctypes
import math
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

import optlab as ol


class Planted:
    uses_batches = False


class Raises(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ArithmeticError("planted")


class TellsModules(Planted):
    def iterates(self, problem, batches, start):
        raise ArithmeticError(" ".join(name for name in sys.modules if name.startswith("optlab.")))


class TellsSettings(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ArithmeticError(str(torch.get_default_dtype()))


class YieldsNaN(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate({name: value * math.nan for name, value in start.items()})


class Diverges(Planted):
    def iterates(self, problem, batches, start):
        for _ in batches:
            start["weight"] *= -10
            yield ol.Iterate(start)


class HangsInPython(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        while True:
            pass  # a sleep would release the interpreter's lock


class HangsInC(Planted):
    """In C with the interpreter's lock held: no signal handler and no thread of Python can run."""

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        while True:
            ctypes.PyDLL(None).sleep(1000)


class NeverEnds(Planted):
    """Yields for ever, a little at a time: it can be stopped between two iterates."""

    def iterates(self, problem, batches, start):
        while True:
            time.sleep(0.01)
            yield ol.Iterate(start)


class Exits(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        os._exit(3)


class ExitsPolitely(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        sys.exit(3)


class Segfaults(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        ctypes.string_at(0)


class Allocates(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        hoard = []
        while True:
            hoard.append(torch.empty(1 << 22))  # its pages need not be there to count


class Hoards(Planted):
    """Allocates without end, and what it has is not freed when it fails."""

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        hoard = threading.main_thread().__dict__.setdefault("hoard", [])
        while True:
            hoard.append(bytes(1 << 24))  # as above


class YieldsNothing(Planted):
    def iterates(self, problem, batches, start):
        return iter(())


class YieldsWrongShapes(Planted):
    def iterates(self, problem, batches, start):
        yield ol.Iterate({"weight": torch.zeros(7), "bias": torch.zeros(())})


class MutatesData(Planted):
    def iterates(self, problem, batches, start):
        problem.X.zero_()
        yield ol.Iterate(start)


class LeavesSettings(Planted):
    """Leaves threads, the default dtype and gradients set differently, and a thread running."""

    def iterates(self, problem, batches, start):
        torch.set_num_threads(1 + torch.get_num_threads())
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        threading.Thread(target=time.sleep, args=(1000,)).start()
        yield ol.Iterate(start)


class TalksAndListens(Planted):
    """Prints where a protocol might be, and asks a question nobody answers."""

    def iterates(self, problem, batches, start):
        print("\x80\x04K\x01." * 100)  # noqa: T201 - that is what is planted
        os.write(1, b"raw bytes\n")
        assert not sys.stdin.read()
        yield ol.Iterate(start)


@dataclass(frozen=True)
class LeavesProcesses(Planted):
    """Dies while a fork of it and a program that it started live on, with its files open."""

    note: str

    def iterates(self, problem, batches, start):
        program = subprocess.Popen(["sleep", "1000"], close_fds=False)
        fork = os.fork()
        if fork == 0:
            time.sleep(1000)
        Path(self.note).write_text(f"{program.pid} {fork}")
        yield ol.Iterate(start)
        os._exit(3)


@dataclass(frozen=True)
class HoldsLock(Planted):
    """Cannot be pickled."""

    lock: object

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)


@dataclass(frozen=True)
class Borrows(Planted):
    """Holds so many bytes for a moment, in its second pass."""

    size: int

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


@dataclass(frozen=True)
class Leaves:
    """Does its work well, and leaves one thing behind in its process."""

    what: str
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        getattr(self, self.what)()
        yield ol.Iterate(start)

    def nothing(self):
        pass

    def a_cycle(self):
        held = [torch.ones(1 << 24)]  # 64 MiB that only a collection frees
        held.append(held)

    def anomaly_detection(self):
        torch.autograd.set_detect_anomaly(True)

    def a_patched_evaluation(self):
        ol.LinearRegression.evaluate = lambda *_: ol.problems.Evaluation(0.0, 0.0, 0.0, 0.0)

    def a_patched_function_of_the_lab(self):
        ol.optimizers.Batches.__iter__.__globals__["torch"] = None

    def a_patched_method_of_tensors(self):
        torch.Tensor.mean = lambda *_: torch.zeros(())

    def a_patched_clock(self):
        time.perf_counter_ns = lambda: 0

    def a_thread(self):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()

    def a_process(self):
        subprocess.Popen(["sleep", "1000"])

    def an_orphan(self):
        subprocess.run(["sh", "-c", "sleep 1000 &"], check=True)

    def a_folder(self):
        os.chdir("/")

    def a_variable(self):
        os.environ["LEFT"] = "behind"

    def a_timer(self):
        signal.setitimer(signal.ITIMER_REAL, 1000.0)

    def a_handler(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def a_tracer(self):
        sys.settrace(lambda *_: None)

    def memory(self):
        threading.main_thread().__dict__["held"] = bytearray(200 << 20)


@dataclass(frozen=True)
class DrawsFromGlobals:
    """Draws from the global generators of numpy and torch."""

    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        drawn = np.random.random() + torch.rand(()).item()  # noqa: NPY002 - the global one
        yield ol.Iterate({name: torch.full_like(value, drawn) for name, value in start.items()})


@dataclass(frozen=True)
class BadAtTimes:
    """Its second trial crashes in C, its third hangs, and its others are well."""

    note: str
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        with Path(self.note).open("a+") as note:
            note.write("1")
            note.flush()
            run = note.tell()
        if run == 2:
            ctypes.string_at(0)
        elif run == 3:
            time.sleep(1000)
        yield ol.Iterate(start)
