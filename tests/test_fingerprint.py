"""What tells one trial from another: no stale result is taken, and none is computed twice."""

import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab.fingerprint import (
    optimizer_fingerprint,
    problem_fingerprint,
    source_fingerprint,
)


class Scaled(ol.LinearRegression):
    def __init__(self, scale):
        super().__init__([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        self.scale = scale


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.tensor(0.1), torch.tensor(0.2)),
        (np.array([1.0, 2.0]), np.array([1.0, 2.5])),
        (np.float32(0.1), np.float32(0.2)),
        ((1, 2), (1, 3)),
        ({"a": 1}, {"a": 2}),
        (0.1, 0.2),
    ],
)
def test_every_setting_of_a_problem_counts(one, other):
    assert problem_fingerprint(Scaled(one)) == problem_fingerprint(Scaled(one))
    assert problem_fingerprint(Scaled(one)) != problem_fingerprint(Scaled(other))


def test_what_a_problem_has_computed_does_not_count():
    problem = Scaled(0.1)
    before = problem_fingerprint(problem)
    problem.evaluate(problem.optimum().parameters)
    assert problem_fingerprint(problem) == before


class Rate:
    """Says the same of itself whatever it holds."""

    def __init__(self, rate):
        self.held = (rate,)

    def __repr__(self):
        return "Rate"

    def of(self, epoch):
        return self.held[0]


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


def closure(rate):
    return lambda epoch: rate


def schedule(epoch, rate=0.1):
    return rate


@dataclass(frozen=True)
class Scheduled:
    schedule: object


HOLDERS = {
    "own repr": Rate,
    "slots": Slotted,
    "closure": closure,
    "partial": lambda rate: partial(schedule, rate=rate),
    "bound method": lambda rate: Rate(rate).of,
    "cached": lambda rate: lru_cache(closure(rate)),
    "list": lambda rate: [Rate(rate)],
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_a_held_object_holds_counts_and_where_it_lies_does_not(hold):
    kept = [hold(0.1), hold(0.1), hold(0.2)]  # alive at once, so that no address is used again
    prints = [optimizer_fingerprint(Scheduled(held)) for held in kept]
    assert prints[0] == prints[1] != prints[2]


def test_a_function_is_known_again_in_another_process(tmp_path):
    (tmp_path / "held.py").write_text(
        "from dataclasses import dataclass\n"
        "def rate(epoch): return 0.1\n"
        "@dataclass(frozen=True)\nclass Held:\n    schedule: object = rate\n"
    )
    command = (
        "import held; from optlab.lab.fingerprint import optimizer_fingerprint as p; "
        "print(p(held.Held()))"
    )
    prints = {
        subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True,
                       text=True, check=True).stdout
        for _ in range(2)
    }  # fmt: skip
    assert len(prints) == 1


def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_sibling.py").write_text("def broken(:\n")
    (tmp_path / "uses_broken.py").write_text(
        "class Uses:\n    def later(self):\n        import broken_sibling\n"
    )
    import uses_broken

    assert source_fingerprint(uses_broken.Uses)
