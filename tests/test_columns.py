"""The columns of all tables are explained, once; the README and help show the same."""

import re
from pathlib import Path

import pytest

import optlab as ol
from optlab.columns import MEANINGS, TABLES, meaning

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def results():
    data = [ol.datasets.tutorial().standardized(), ol.datasets.diabetes().standardized()]
    problems = [ol.LinearRegression.from_dataset(d) for d in data]
    optimizers = [ol.SGD("1/L"), ol.SGD(0.1), ol.Tuned(ol.HeavyBall(), trials=2), ol.Lstsq()]
    return ol.compare(problems, optimizers, epochs=3, stop_at=0.5, seeds=[0, 1])


def tables(results):
    yield "trials", results.trials
    yield "traces", results.traces
    yield "coefficients", ol.minimize(results_problem(), ol.Lstsq()).coefficients()
    for name in TABLES.keys() - {"trials", "traces", "coefficients"}:
        given = {
            "ratios": ["Lstsq"],
            "time_to_target": [0.5],
            "performance_profile": [0.5, "epochs"],
        }
        yield name, getattr(results, name)(*given.get(name, []))


def results_problem():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


def test_every_column_of_every_table_has_a_meaning(results):
    missing = [(name, column) for name, table in tables(results) for column in table
               if not meaning(str(column), name)]  # fmt: skip
    assert missing == []


def test_a_table_explains_no_column_that_it_does_not_have(results):
    for name, table in tables(results):
        assert not TABLES[name].keys() - set(table)


def test_no_meaning_is_left_over(results):
    used = {"hp_<name>", "validation_loss"}  # the latter where rows are held out
    for _, table in tables(results):
        used |= set(map(str, table))
    assert not MEANINGS.keys() - used


def test_help_shows_all_meanings():
    text = re.sub(r"\s+", " ", ol.columns.__doc__)
    for own in (MEANINGS, *TABLES.values()):
        for name, explained in own.items():
            assert f"{name} {explained}" in text


def test_the_readme_says_the_same():
    rows = re.findall(r"^\| `(\w+|hp_<name>)` \| (.+) \|$", README.read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 20
    assert dict(rows) == {name: MEANINGS[name] for name, _ in rows}
