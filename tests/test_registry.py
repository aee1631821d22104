"""The one registry of optimizers, problems and datasets, and what other packages add to it."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import optlab as ol
import optlab.registry
from optlab import datasets, optimizers, problems
from optlab.optimizers.examples import examples
from optlab.registry import Registry


@pytest.fixture
def plugins(monkeypatch):
    points = {
        "root": EntryPoint("root", "math:sqrt", "g"),
        "mine": EntryPoint("mine", "math:cbrt", "g"),
        "broken": EntryPoint("broken", "no_such_module:f", "g"),
        "number": EntryPoint("number", "math:pi", "g"),
    }
    monkeypatch.setattr(
        optlab.registry, "entry_points", lambda group: points.values() if group == "g" else ()
    )
    return Registry("function", "g", {"root": "math:isqrt", "held": abs}, callable)


def test_a_package_adds_names_and_takes_none_of_ours(plugins):
    assert plugins.names() == ["root", "held", "broken", "mine", "number"]
    assert plugins.get("root")(17) == 4
    assert plugins.get("held") is plugins.get("Held") is abs
    assert plugins.get("mine")(27.0) == pytest.approx(3, rel=1e-15)
    for name in ("root", "mine"):
        with pytest.raises(ValueError, match=f"the function name '{name}' is taken by math:"):
            plugins.register(name, max)
    plugins.register("largest", max)
    plugins.register("largest", max)
    assert plugins.names()[-1] == "largest"
    assert plugins.get("largest") is max


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("broken", r"function 'broken' \(no_such_module:f\) cannot be loaded: ModuleNotFoundError"),
        ("number", r"function 'number' \(math:pi\) is none, but 3.14"),
        ("Ro-ot", "unknown function 'Ro-ot': did you mean 'root'"),
        ("zzz", "unknown function 'zzz': there are root, held, broken, mine, number"),
    ],
)
def test_a_name_that_gives_nothing_is_refused(plugins, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        plugins.get(name)


def test_what_is_no_such_thing_cannot_be_registered(plugins):
    with pytest.raises(ValueError, match="5 is no function that can be registered as 'five'"):
        plugins.register("five", 5)


def test_what_is_defined_again_at_its_place_takes_the_place_of_the_old(plugins):
    def cell():
        class Mine:
            pass

        return Mine, lambda: None

    (first, one), (second, other) = cell(), cell()
    plugins.register("mine-too", first)
    plugins.register("mine-too", second)
    assert plugins.get("mine-too") is second
    plugins.register("short", one)
    for name, value in (("short", other), ("mine-too", max)):
        words = f"the function name '{name}' is taken by .*: register yours under another name"
        with pytest.raises(ValueError, match=words):
            plugins.register(name, value)


def test_every_built_in_name_can_be_loaded():
    assert dict(optimizers.registry.items())["lstsq"] is ol.Lstsq
    assert dict(problems.registry.items())["linear"] is ol.LinearRegression
    assert datasets.registry.get("tutorial") is datasets.tutorial
    groups = {r.group for r in (optimizers.registry, problems.registry, datasets.registry)}
    assert groups == {"optlab.optimizers", "optlab.problems", "optlab.datasets"}


def test_the_kept_table_of_conformance_has_a_row_for_each_example():
    kept = sorted((Path(__file__).parents[1] / "benchmarks" / "results").glob("*-conformance.md"))[
        -1
    ]
    rows = re.findall(r"^\| `(.*?)` \|", kept.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(examples())
