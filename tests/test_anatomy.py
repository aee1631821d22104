"""The parts of a step are those that planted optimizers and problems spend their time in."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from optlab.app.cli import app
from optlab.lab import step_anatomy
from optlab.lab.measure.clock import Clock, use_clock
from optlab.lab.measure.phase_timer import PhaseTimer
from optlab.lab.step_anatomy import _shares, step_parts

BUSY = 0.004  # seconds: long beside all else that a step does
MATRIX = torch.ones(400, 400)


def by_python() -> None:
    end = time.perf_counter() + BUSY
    while time.perf_counter() < end:
        pass


def by_torch() -> None:
    for _ in range(2):
        (MATRIX @ MATRIX).sum()


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: object, slope: torch.Tensor) -> torch.Tensor:
        by_torch()
        return slope


class Slow(ol.LinearRegression):
    """Work planted in the loss, its backward pass, or the gradient in closed form."""

    place = ""

    def loss(self, parameters, batch=None):
        if self.place == "forward":
            by_torch()
        found = super().loss(parameters, batch)
        return Backward.apply(found) if self.place == "backward" else found

    def gradient(self, parameters, batch=None):
        if self.place == "closed-form gradient":
            by_torch()
        return super().gradient(parameters, batch)


@dataclass(frozen=True)
class Planted:
    """Descent with work planted in its update, in Python, or in the batches of a loader."""

    place: str = ""
    uses_batches: ClassVar[bool] = True

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        class Rows(TensorDataset):
            def __getitem__(rows, index: int):  # noqa: N805
                by_python()
                return super().__getitem__(index)

        loader = DataLoader(Rows(problem.X, problem.y), 1)
        for parameters in ol.ManualSGD(0.001).iterates(problem, batches, start):
            if self.place == "update":
                by_torch()
            if self.place == "Python":
                by_python()
            if self.place == "order and gather":
                for _ in loader:
                    pass
            yield parameters


def problem(cls: type = ol.LinearRegression, n: int = 4) -> ol.LinearRegression:
    X = np.arange(2.0 * n, dtype=np.float32).reshape(n, 2) / n
    return cls(X, X.sum(1), name="line")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_anatomy, "_ROUNDS", 2)
    monkeypatch.setattr(step_anatomy, "_PROFILED_STEPS", 40)


PLACES = ["order and gather", "forward", "backward", "closed-form gradient", "update", "Python"]


@pytest.mark.alone
@pytest.mark.parametrize("place", PLACES)
def test_planted_work_is_found_in_its_part(place: str, short: None) -> None:
    subject = problem(Slow)
    subject.place = place
    if place == "closed-form gradient":
        found = step_parts(subject, ol.AnalyticSGD(0.001), "full", 0)
    else:
        found = step_parts(subject, Planted(place), "full", 0)
    assert max(found.seconds, key=found.seconds.__getitem__) == place, found
    assert found.seconds[place] > 0.5 * found.step
    assert sum(found.seconds.values()) == pytest.approx(found.step)


RATE_TEXTS = [
    ol.ManualSGD("auto"),
    ol.SGD(ol.schedules.Cosine("1/L", epochs=9)),
    ol.Averaged(ol.SGD("auto")),
    ol.TorchOptimizer(torch.optim.Adam, lr="auto"),
]


@pytest.mark.parametrize("optimizer", RATE_TEXTS, ids=repr)
def test_rates_that_are_text_get_their_numbers(optimizer: ol.Optimizer, short: None) -> None:
    assert step_parts(problem(), optimizer, 2, 0).step > 0


def test_no_part_is_left_patched_and_the_problem_is_untouched(short: None) -> None:
    before = torch.Tensor.backward, torch.autograd.grad, DataLoader.__iter__
    subject = problem()
    members = set(vars(subject))
    kept = [part.clone() for part in subject.data[:2]]
    step_parts(subject, ol.ManualSGD(0.001), 1, 0)
    assert (torch.Tensor.backward, torch.autograd.grad, DataLoader.__iter__) == before
    assert "loss" not in set(vars(subject)) - members
    assert all(torch.equal(a, b) for a, b in zip(kept, subject.data[:2], strict=True))


def test_a_phase_inside_another_counts_alone() -> None:
    now = iter(range(0, 10**6, 1000))
    with use_clock(Clock(lambda: next(now))):
        timer = PhaseTimer()
    timer.enter("outer")  # reads 0, 1000
    timer.enter("inner")  # reads 2000, 3000
    timer.leave()  # 4000, 5000
    timer.leave()  # 6000
    assert timer._nanoseconds == {"outer": 2000, "inner": 1000}


def test_shares_of_operations_in_a_profile() -> None:
    @dataclass
    class Range:
        start: float
        end: float

        def elapsed_us(self) -> float:
            return self.end - self.start

    @dataclass
    class Event:
        name: str
        time_range: Range
        cpu_parent: Event | None = None
        scope: int = 0

    events = []
    for step in range(8):
        at = 100.0 * step
        order = Event("optlab: order and gather", Range(at, at + 10), scope=7)
        forward = Event("optlab: forward", Range(at + 20, at + 60), scope=7)
        label = Event("Optimizer.step", Range(at + 65, at + 95), scope=7)
        operation = Event("aten::mv", Range(at + 30, at + 50), forward)
        inner = Event("aten::addmv_", Range(at + 35, at + 45), operation)
        update = Event("aten::add_", Range(at + 70, at + 75), label)
        events += [order, forward, label, operation, inner, update]
    assert _shares(events) == pytest.approx(
        {"order and gather": 0.0, "forward": 20 / 40, "update": 5 / 50}, abs=0.02
    )


def test_table_and_figure_of_results(short: None, tmp_path: Path) -> None:
    results = ol.compare(
        problem(), [ol.ManualSGD(0.01), ol.Lstsq(), ol.Newton()], batch_sizes=[2, "full"], epochs=1
    )
    anatomy = results.anatomy()
    table = anatomy.table.set_index(["optimizer", "batch"])
    assert table.loc[("Lstsq", "direct"), "message"] == "answers at once: it makes no steps"
    steps = table.drop(index=[("Lstsq", "direct")])
    assert list(steps["batch_size"]) == [2, 4, 4]
    assert (steps["step_seconds"] > 0).all()
    assert (steps["message"] == "").all()
    # 4 rows of 2 + 1 float32, and 3 parameters twice; 4 operations a row and parameter.
    ratio = steps["memory_seconds"].iloc[1] / steps["memory_seconds"].iloc[0]
    assert ratio == pytest.approx((4 * 12 + 24) / (2 * 12 + 24))
    ratio = steps["arithmetic_seconds"].iloc[1] / steps["arithmetic_seconds"].iloc[0]
    assert ratio == pytest.approx(2.0)
    assert anatomy.shares()[["order and gather", "Python"]].max().max() <= 1
    files = anatomy.save_figures(tmp_path)
    assert [path.name for path in files] == ["anatomy.png", "anatomy.svg"]
    text = files[1].read_text(encoding="utf-8")
    assert all(word in text for word in ("ManualSGD, batch size 2", "Newton", "bound of memory"))
    anatomy.save_figures(tmp_path)  # its own files may be replaced
    anatomy.to_csv(tmp_path / "a.csv")
    anatomy.to_csv(tmp_path / "a.csv")
    assert pickle.loads(pickle.dumps(results)).experiment_anatomy is None


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    results = ol.compare(problem(), ol.Lstsq(), epochs=1, store=tmp_path / "r.db")
    with pytest.raises(ValueError, match="nothing was measured of line: Lstsq: answers at once"):
        results.anatomy().figure()
    with pytest.raises(ValueError, match="name a problem, one of 'line'; 'plane' is none of them"):
        results.anatomy().figure("plane")
    with pytest.raises(ValueError, match="run `optlab profile"):
        ol.Results.load(tmp_path / "r.db").anatomy()


SCRIPT = """
import optlab as ol
problem = ol.LinearRegression([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], name="line")
experiment = ol.Experiment(problems=problem, optimizers=[ol.ManualSGD(0.01), ol.Lstsq()])
"""


def test_a_rate_that_there_is_not_is_told_once(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "s.py"
    curved = SCRIPT.replace("LinearRegression", "LogisticRegression").replace("2.0, 3", "0.0, 1")
    script.write_text(curved.replace("ManualSGD(0.01)", "SGD('2/(L+mu)')"), encoding="utf-8")
    command = ["profile", str(script), "--batch-sizes", "1,full"]
    assert app(command, result_action="return_value") == 1
    assert capsys.readouterr().err.count("SGD on line: has no learning rate: the loss of") == 1


def test_the_command(short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, csv = tmp_path / "s.py", tmp_path / "a.csv"
    script.write_text(SCRIPT, encoding="utf-8")

    def profile(*options: str) -> object:
        return app(["profile", str(script), *options], result_action="return_value")

    assert profile("--csv", str(csv), "--figures", str(tmp_path), "--batch-sizes", "1") == 0
    out = capsys.readouterr()
    assert all(word in out.out for word in ("ManualSGD", "order and gather", "bound of memory"))
    assert "Lstsq on line: answers at once" in out.err
    assert csv.read_text(encoding="utf-8").startswith("problem,optimizer,batch,")
    assert (tmp_path / "anatomy.svg").exists()
    (tmp_path / "other.csv").write_text("mine\n", encoding="utf-8")
    with pytest.raises(Exception, match="optlab did not write it"):
        profile("--csv", str(tmp_path / "other.csv"))
    with pytest.raises(Exception, match="--threads must be at least 1, not 0"):
        profile("--threads", "0")
