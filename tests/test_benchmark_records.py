"""Records of benchmarks: planted seconds are read back, compared, and told to be slower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import optlab as ol
from benchmarks import benchopt_peer, compare, step_speed
from benchmarks.record import Case, Record
from optlab.lab import machine

MACHINE = machine()


def planted(
    seed: int, *, slowdown: float = 1.0, pace: float = 1.0, rounds: int = 9, noise: float = 0.02
) -> Record:
    """A record of three contenders 1, 4 and 16 times as fast as the baseline, one slowed down."""
    draw = np.random.default_rng(seed)

    def values(seconds: float) -> list[float]:
        return (pace * seconds * np.exp(noise * draw.standard_normal(rounds))).tolist()

    seconds = {"peer": values(1.0), "same": values(1.0), "ours": values(0.25 * slowdown)}
    case = Case(
        "a case", "peer", seconds | {"many steps": values(10 / 16)},
        work={"many steps": 10}, unit="step", bounds={"memory": 0.1}, goals={"ours": 3.0},
        notes=["Compiling took 3 s."],
    )  # fmt: skip
    return Record("planted", "How fast?", [case], machine=dict(MACHINE))


def test_ratios_are_per_unit_of_work_and_have_intervals() -> None:
    case = planted(0).cases[0]
    for name, factor in {"same": 1.0, "ours": 4.0, "many steps": 16.0}.items():
        middle, low, high = case.ratio(name)
        assert low < middle < high
        assert low / 1.02 < factor < high * 1.02
    assert case.ratio("peer") == (1.0, 1.0, 1.0)


def test_the_table_tells_goals_bounds_and_notes() -> None:
    table = planted(0).cases[0].table()
    assert "3: reached" in table
    assert "| bound: memory | 100 ms | 10" in table
    assert table.endswith("Compiling took 3 s.")
    assert "3: not reached" in planted(0, slowdown=2.0).cases[0].table()
    assert "3: not certain" in planted(0, slowdown=4 / 3).cases[0].table()


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = planted(0)
    path = record.save(tmp_path)
    assert Record.load_file(path) == record
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert record.cases[0].table() in page
    assert "`python -m benchmarks.planted`" in page


def test_a_planted_slowdown_is_found_on_a_machine_twice_as_slow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = planted(1).save(tmp_path / "old")
    new = planted(2, slowdown=1.3, pace=2.0).save(tmp_path / "new")
    assert compare.main([str(old), str(new)]) == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if "| planted |" in line]
    verdicts = {row.split("|")[3].strip(): row.split("|")[-2].strip() for row in rows}
    assert verdicts == {
        "ours": "slower", "same": "no difference shown", "many steps": "no difference shown",
    }  # fmt: skip
    assert compare.main([str(new), str(old)]) == 0  # the other way round it is faster
    assert "| faster |" in capsys.readouterr().out
    assert compare.main([str(old), str(new), "--least", "1.5"]) == 0


def test_few_of_the_unchanged_are_called_slower() -> None:
    verdicts = []
    for seed in range(150):
        pair = planted(2 * seed, noise=0.1), planted(2 * seed + 1, noise=0.1)
        verdicts += [change.verdict(1.0) for change in compare.changes(*pair)]
    wrong = sum(verdict != "no difference shown" for verdict in verdicts)
    assert len(verdicts) == 450
    # 5 % are expected at most, three of a case sharing a baseline: 22 and four deviations.
    assert wrong <= 22 + 4 * np.sqrt(3 * 450 * 0.05 * 0.95)


def test_the_newest_record_of_a_folder_counts_and_what_is_missing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = planted(1, slowdown=5.0)
    earlier.date = "2026-01-01"
    earlier.save(tmp_path / "old")
    planted(2).save(tmp_path / "old")
    other = planted(3)
    other.cases.append(Case("new case", "a", {"a": [1.0], "b": [2.0]}))
    other.machine["torch"] = "9.9"
    other.save(tmp_path / "new")
    assert compare.main([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert "planted, new case: only in the new record" in out
    assert "torch was" in out
    assert "3 compared, 0 slower" in out


def test_one_round_says_nothing() -> None:
    (change, *_) = compare.changes(planted(0, rounds=1), planted(1, rounds=1, slowdown=3.0))
    assert change.verdict(1.05) == "too few rounds to say"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "cases": [{}]}'])
def test_another_file_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(path), str(path)])
    assert "is no record of a benchmark" in capsys.readouterr().err


def test_cases_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="the baseline must be a contender"):
        Case("a case", "peer", {"ours": [1.0]})
    with pytest.raises(ValueError, match="as many rounds"):
        Case("a case", "peer", {"ours": [1.0], "peer": [1.0, 2.0]})


def test_committed_records_can_be_read() -> None:
    folder = Path(__file__).parents[1] / "benchmarks" / "results"
    for path in folder.glob("*.json"):
        record = Record.load_file(path)
        assert record.cases
        assert record.benchmark.replace("_", "-") in path.name
        assert json.loads(path.read_text(encoding="utf-8"))["format"] == 1


def test_every_peer_makes_steps() -> None:
    X = np.random.default_rng(0).normal(size=(16, 2))
    problem = ol.LogisticRegression(X, (X.sum(1) > 0).astype(float), name="classes")
    case = step_speed.measure("a case", problem, 1, 1, with_compile=False)
    assert len(case.seconds) == 9
    assert any("scikit-learn SGD" in name for name in case.seconds)
    assert all(case.per_unit(name) > 0 for name in case.seconds)
    assert case.work["FusedSGD"] == 40 * 16


def test_without_benchopt_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchopt_peer"])
    monkeypatch.delenv(benchopt_peer.VARIABLE, raising=False)
    assert benchopt_peer.main() == 0
    assert "left out: OPTLAB_BENCHOPT_PYTHON" in capsys.readouterr().out


def test_of_a_single_round_no_record_is_written(tmp_path: Path) -> None:
    record = planted(0, rounds=1)
    assert record.save(tmp_path) is None
    assert not list(tmp_path.iterdir())
