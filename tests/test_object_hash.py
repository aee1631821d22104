"""The hash of all that an object holds: it misses nothing, and what it cannot know it says."""

import copy
import dataclasses
import datetime as dt
import enum
import functools
import os
import pickle
import random
import subprocess
import sys
import threading
import types
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field, make_dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

import optlab as ol
from optlab.lab.keys.object_hash import UnknownValueError, object_hash
from tests.commands import program


@dataclass(frozen=True)
class Held:
    value: object


@dataclass(frozen=True, slots=True)
class Slotted:
    value: object = field(compare=False)


class Attribute:
    """Says the same of itself whatever it holds."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return "Attribute"

    def method(self):
        return super().__eq__(self.value)


class Pair(NamedTuple):
    first: object
    second: object = None


class Listing(list):
    pass


class Refuses(Attribute):
    def __reduce_ex__(self, protocol):
        raise RuntimeError("not me")

    def __getstate__(self):
        return {}


def default(value):
    return lambda held=value: held


def with_attribute(value):
    function = default(0)
    function.value = value
    return function


def subclass(value):
    listing = Listing()
    listing.value = value
    return listing


def extended(value):
    held = Held(0)
    object.__setattr__(held, "extra", value)
    return held


def local_class(value):
    class Local:
        rate = value

    return Local


def derived(value):
    class Local(local_class(value)):
        def rates(self):
            return super().rate

    return Local()


def scaled(by):
    def decorate(function):
        @functools.wraps(function)
        def inner(*arguments):
            return by * function(*arguments)

        return inner

    return decorate


def decorated(value):
    @scaled(value)
    def step():
        return 1

    return step


def in_a_name_space(value):
    return types.SimpleNamespace(value=value)


HOLDERS = {
    "list": lambda value: [1, value],
    "tuple": lambda value: (value, 1),
    "dict": lambda value: {"a": value},
    "key": lambda value: {value: "a"},
    "ordered dict": lambda value: OrderedDict(a=value),
    "set": lambda value: {"x", "y", value},
    "frozenset": lambda value: frozenset({"x", "y", value}),
    "proxy": lambda value: types.MappingProxyType({"a": value}),
    "name space": in_a_name_space,
    "array": lambda value: np.array([1, value]),
    "array of objects": lambda value: np.array([None, value], dtype=object),
    "structured array": lambda value: np.array([(1, value)], dtype=[("a", "i4"), ("b", "f8")]),
    "long array": lambda value: np.where(np.arange(5000) == 2500, value, 0),
    "numpy's number": np.float32,
    "numpy's text": lambda value: np.array([str(value)], dtype=np.dtypes.StringDType()),
    "tensor": lambda value: torch.tensor([1, value]),
    "bfloat16": lambda value: torch.tensor(value, dtype=torch.bfloat16),
    "complex": lambda value: torch.tensor([value + 1j]).conj(),
    "sparse tensor": lambda value: torch.tensor([[0, value]]).to_sparse(),
    "parameter": lambda value: torch.nn.Parameter(torch.tensor(float(value))),
    "module": lambda value: (
        torch.nn.Conv1d(1, 1, 3, padding=value, device="cpu")
        .requires_grad_(False)
        ._apply(torch.zeros_like)
    ),
    "sparse matrix": lambda value: scipy.sparse.csr_matrix([[0, value]]),
    "sparse array": lambda value: scipy.sparse.dok_array([[0, value]]),
    "frame": lambda value: pd.DataFrame({"a": [1, value], "b": ["x", None]}),
    "frame's text": lambda value: pd.DataFrame({"a": ["x", str(value)]}),
    "frame's categories": lambda value: pd.DataFrame({"a": pd.Categorical(["x"], ["x", value])}),
    "frame's times": lambda value: pd.DataFrame({"a": pd.to_datetime([f"2020-01-0{value}"])}),
    "series": lambda value: pd.Series([1.0, value], name="a"),
    "index": lambda value: pd.Index([1, value], name="a"),
    "dataclass": Held,
    "not compared, in a slot": Slotted,
    "made dataclass": lambda value: make_dataclass("Made", [("rate", int, value)])(),
    "named tuple": Pair,
    "own repr": Attribute,
    "subclass of list": lambda value: Listing([value]),
    "attribute of a list": subclass,
    "default": default,
    "function's attribute": with_attribute,
    "decorated": decorated,
    "partial": lambda value: partial(default, value),
    "bound method": lambda value: Attribute(value).method,
    "bound builtin": lambda value: [value].append,
    "local class": local_class,
    "local base class": derived,
    "not a field": extended,
    "what is pickled": Refuses,
    "property": lambda value: property(default(value)),
    "cached": lambda value: functools.lru_cache(default(value)),
    "compiled": lambda value: pytest.importorskip("numba").njit(default(value)),
    "long number": lambda value: 10**6000 + value,
    "path": lambda value: Path("folder") / str(value),
    "date": lambda value: dt.date(2020, 1, value),
    "fraction": lambda value: Fraction(1, value + 2),
    "range": range,
    "estimator": lambda value: Ridge(alpha=value),
    "problem": lambda value: ol.LinearRegression([[0.0], [1.0]], [1.0, value]),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_is_held_counts_and_where_it_lies_does_not(hold):
    kept = [hold(1), hold(1), hold(2)]  # alive at once, so that no address is used again
    hashes = [object_hash(held) for held in kept]
    assert hashes[0] == hashes[1] != hashes[2]


class Colour(enum.Enum):
    RED, BLUE = 1, 2


class Twin:
    """Two classes in one file with equal fields; their code is the same as well."""


class OtherTwin:
    pass


one, two = (lambda: 1), (lambda: 2)

DIFFERENT = {
    "classes": (Twin, OtherTwin),
    "instances": (Twin(), OtherTwin()),
    "functions of one name in one line": (one, two),
    "members": (Colour.RED, Colour.BLUE),
    "a member and its value": (Colour.RED, 1),
    "builtins": (torch.sin, torch.cos),
    "ufuncs": (np.sin, np.cos),
    "numpy's functions": (np.linalg.norm, np.linalg.lstsq),
    "installed functions": (torch.nn.functional.relu, torch.nn.functional.elu),
    "installed classes": (torch.optim.Adam, torch.optim.SGD),
    "modules": (np, torch),
    "nesting": ([[1], [2, 3]], [[1, 2], [3]]),
    "nesting of tuples": (((1, 2), 3), (1, (2, 3))),
    "a list and a tuple": ([1], (1,)),
    "a number and its text": (1, "1"),
    "types of number": (1, 1.0),
    "types of float": (np.float32(0.5), np.float64(0.5)),
    "truth": (1, True),
    "zeros": (0.0, -0.0),
    "zeros of arrays": (np.array(0.0), np.array(-0.0)),
    "nothing": (None, float("nan")),
    "text and bytes": ("a", b"a"),
    "text that holds a separator": (["a\0b"], ["a", "b"]),
    "sets in sets": ({frozenset("ab"), frozenset("c")}, {frozenset("a"), frozenset("bc")}),
    "sets and lists": ({1}, [1]),
    "order of entries": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "order in memory": (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3)))),
    "dtypes": (np.zeros(2), np.zeros(2, dtype=np.int64)),
    "an array and a number": (np.array(1.0), np.float64(1.0)),
    "dtypes of tensors": (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
    "gradients": (torch.zeros(2), torch.zeros(2, requires_grad=True)),
    "a tensor and an array": (torch.zeros(2), np.zeros(2, dtype=np.float32)),
    "layouts": (torch.eye(2), torch.eye(2).to_sparse()),
    "classes of mappings": ({"a": 1}, OrderedDict(a=1)),
    "a subclass and its base": ([1], Listing([1])),
    "a named tuple and a tuple": (Pair(1, 2), (1, 2)),
    "names of columns": (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "rows' names": (pd.DataFrame({"a": [1]}, index=[0]), pd.DataFrame({"a": [1]}, index=[7])),
    "many of one": ([Held(1)] * 256, []),
}


@pytest.mark.parametrize(("this", "that"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_told_apart(this, that):
    assert object_hash(this) != object_hash(that)
    assert object_hash(Held([this, 0])) != object_hash(Held([that, 0]))


def closure(value):
    return lambda: value


def nested_function(value):
    def rate():
        return value

    return rate


def holding_itself():
    own = []
    own.append(own)
    return own


def nested_deeply():
    deep = 1
    for _ in range(5000):
        deep = [deep]
    return deep


class Raises(Attribute):
    def __init__(self):
        self.value = 1

    @property
    def __dict__(self):
        raise ValueError("not me")


UNKNOWN = {
    "file": (lambda: sys.stdout.buffer, "an open file"),
    "lock": (threading.Lock, "a lock"),
    "reentrant lock": (threading.RLock, "a lock"),
    "generator": (lambda: (n for n in range(2)), "a generator"),
    "lambda over a local": (lambda: closure(1), "a lambda over the local variable `value`"),
    "function over a local": (lambda: nested_function(1), "a function over the local variable"),
    "nested deeply": (nested_deeply, "a value nested very deeply"),
    "random": (random.Random, "a random.Random"),
    "numpy generator": (np.random.default_rng, "a numpy.random._generator.Generator"),
    "torch generator": (torch.Generator, "a torch._C.Generator"),
    "factory of a dict": (lambda: defaultdict(list), "a collections.defaultdict"),
    "masked array": (lambda: np.ma.masked_array([1.0]), "a numpy.ma.MaskedArray"),
    "meta tensor": (lambda: torch.zeros(2, device="meta"), "a torch.Tensor"),
    "raises": (Raises, "a value that raises ValueError: not me"),
    "frame": (sys._getframe, "a builtins.frame"),
    "iterator": (lambda: iter([1]), "a builtins.list_iterator"),
}


@pytest.mark.parametrize(("make", "what"), UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("hold", [Held, Attribute, Slotted], ids=lambda hold: hold.__name__)
def test_what_cannot_be_known_is_said_with_the_place(hold, make, what):
    value = make()
    with pytest.raises(UnknownValueError) as error:
        object_hash({"options": [hold(value)]})
    assert str(error.value).startswith(what)
    if not {"nested", "raises"} & set(what.split()):
        assert str(error.value).endswith(" in `options.value`")


def network(*, tied):
    layer = torch.nn.Linear(3, 3)
    again = layer if tied else copy.deepcopy(layer)
    network = torch.nn.Sequential(layer, torch.nn.Tanh(), again, torch.nn.Linear(3, 1))
    for value in network.parameters():
        torch.nn.init.zeros_(value)
    return network


def test_a_shared_weight_tells_a_network_from_one_of_equal_weights():
    X, y = np.ones((4, 3)), np.ones((4, 1))

    def fingerprint(module):
        return object_hash(ol.ModuleProblem(module, torch.nn.MSELoss(), X, y, initial="given"))

    tied, untied = network(tied=True), network(tied=False)
    assert fingerprint(tied) == fingerprint(network(tied=True)) != fingerprint(untied)
    # One weight in layers of their own: the modules differ, the parameter does not.
    untied[2].weight = untied[0].weight
    assert len({fingerprint(module) for module in (tied, untied, network(tied=False))}) == 3


CHANGE_IN_PLACE = {
    "array": lambda: np.arange(3),
    "tensor": lambda: torch.arange(3),
    "parameter": lambda: torch.nn.Parameter(torch.zeros(2)),
    "module": torch.nn.Tanh,
    "list": lambda: [1],
    "dict": lambda: {"a": 1},
    "object": lambda: Attribute(1),
    "frame": lambda: pd.DataFrame({"a": [1]}),
    "sparse": lambda: scipy.sparse.csr_matrix(np.eye(2)),
}


@pytest.mark.parametrize("make", CHANGE_IN_PLACE.values(), ids=CHANGE_IN_PLACE)
def test_which_places_hold_one_object_counts_where_it_can_change(make):
    one, other = make(), make()
    structures = [lambda a, b: [a, b, a], lambda a, b: [a, b, b], lambda a, b: [a, a, b]]
    hashes = [object_hash(structure(make(), make())) for structure in structures]
    assert len({*hashes, object_hash([one, other, make()])}) == 3 + 1
    assert hashes == [object_hash(structure(other, one)) for structure in structures]


def test_one_object_or_several_is_the_same_where_it_cannot_change():
    index = pd.Index([1, 2])
    for value in (10**30, "text" * 9, (1, "a"), Held(1), Fraction(1, 3), frozenset({1}), index):
        several = pickle.loads(pickle.dumps(value))
        assert several is not value
        assert object_hash([value, value]) == object_hash([value, several])
    indices = index, index, index.copy(deep=True)
    frames = [pd.DataFrame({"a": [1, 2]}, index=kept) for kept in indices]
    assert object_hash(frames[:2]) == object_hash(frames[1:])


def test_an_object_that_holds_itself_counts_by_where():
    def ring(size):
        own = [1, [2]]
        own[1].append(own if size == 2 else own[1])
        return own

    assert object_hash(ring(2)) == object_hash(ring(2)) != object_hash(ring(1))
    assert object_hash(holding_itself()) == object_hash(holding_itself())


def test_a_set_of_objects_counts_in_any_order():
    kept = [Attribute([number // 2]) for number in range(40)]  # their order is by address
    shared = [1]
    for one in kept[::3]:
        one.value = shared
    hashes = {object_hash([set(kept[start:] + kept[:start]), shared]) for start in range(5)}
    assert hashes == {object_hash([set(copy.deepcopy(kept)), [1]])}
    # Which object of those met before a set is in it counts.
    pair = [Attribute(1), Attribute(1)]
    assert object_hash([pair, {pair[0]}]) != object_hash([pair, {pair[1]}])


class Computes:
    def __init__(self):
        self.inner = ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])

    @cached_property
    def total(self):
        return float(self.inner.y.sum())


@pytest.mark.parametrize("hold", [Held, Attribute, Slotted, lambda value: value])
def test_what_is_computed_of_the_rest_and_kept_does_not_count(hold):
    computes = Computes()
    before = object_hash(hold(computes))
    assert computes.total == 9
    computes.inner.evaluate(computes.inner.reference().parameters)
    assert object_hash(hold(computes)) == before


def test_looking_at_a_table_or_a_matrix_changes_nothing():
    frame = pd.DataFrame({"a": [1, 2]})
    frame["b"] = [3, 4]
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    before = object_hash([frame, matrix])
    assert frame.to_numpy().sum() + frame.sum().sum() == 20
    assert matrix.has_sorted_indices
    assert matrix.has_canonical_format
    assert object_hash([frame, matrix]) == before


def test_attributes_count_in_any_order():
    this, that = Attribute(1), Attribute(1)
    this.one, this.two = 1, 2
    that.two, that.one = 2, 1
    assert object_hash(this) == object_hash(that)


DEFINED = """
import enum
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple
from optlab.lab.keys.object_hash import object_hash
import numpy as np, torch

class Colour(enum.Enum):
    RED, BLUE, GREEN = 1, 2, 3
    def mixed(self): return Colour.RED

@dataclass(frozen=True)
class Base:
    names: frozenset = frozenset({"weight", "bias", "scale", "shift"})
    listed: list = field(default_factory=list)
    def bound(self): return super().__repr__()
    @torch.no_grad()
    def use(self, name): return helper(name) in {"one", "two", "three"}

class Pair(NamedTuple):
    one: int = 1

def helper(name): return RATE * Base().use(name) * np.pi
RATE = 1

def local():
    class Local(Base):
        pass
    return Local()

held = [
    Base(), Base().use, Colour, Colour.RED, {Colour.RED, Colour.BLUE, Colour.GREEN}, helper,
    lambda name: {"one", "two", name}, lru_cache(helper), local(), object(), torch.sin,
    {("a", 1), ("b", 2), None, 3.0, frozenset("abc")}, {frozenset("ab"), frozenset("bc")},
    partial(helper, {"x", "y", "z"}), Pair(), Pair,
]
print([object_hash(value)[:16] for value in held])
before = object_hash(Base())
RATE = 2  # what a global name stands for counts, through all functions between
assert object_hash(Base()) != before
"""


END = "sys.stdout.flush()\nos._exit(0)  # to free what was loaded would take half a second\n"


def test_hashes_are_the_same_in_every_process(tmp_path):
    (tmp_path / "in_a_file.py").write_text(DEFINED)
    code = f"{DEFINED}\nimport in_a_file, os, sys\nprint(hash('a'), file=sys.stderr)\n{END}"
    # Strings hash by a seed that a process starts with; one of those that are forked has its own.
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    running = [
        subprocess.Popen(
            [python, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": seed},
        )
        for python in (sys.executable, program("python"))
    ]  # fmt: skip
    said, seeds = zip(*(process.communicate() for process in running), strict=True)
    assert [process.returncode for process in running] == [0, 0], seeds
    assert seeds[0] != seeds[1]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 2  # typed, and in a file


# Leaves of all kinds, then instructions for building, so that one structure can be built twice.
arrays = st.tuples(
    st.just("array"), st.sampled_from(["f8", "f4", "i8"]), st.lists(st.integers(-9, 9), max_size=3)
)
plain = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.booleans(), st.none(), st.dates(), st.fractions(), st.sampled_from(Colour), arrays,
)  # fmt: skip
BUILD = {
    "list": list,
    "tuple": tuple,
    "dict": lambda parts: dict(enumerate(parts)),
    "proxy": lambda parts: types.MappingProxyType(dict(enumerate(parts))),
    "dataclass": Held,
    "slots": Slotted,
    "partial": lambda parts: partial(default, *parts),
    "object": Attribute,
    "named": lambda parts: Pair(*[*parts, None][:2]) if len(parts) < 3 else Pair(parts),
    "name space": in_a_name_space,
    "default": default,
    "class": local_class,
    "objects": lambda parts: np.array([*map(Held, parts), None], dtype=object),
}
plans = st.recursive(
    plain.map(lambda value: ("leaf", value)),
    lambda inner: st.tuples(st.sampled_from(list(BUILD)), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=12,
)


def leaf(value):
    is_array = isinstance(value, tuple) and value[0] == "array"
    return np.array(value[2], dtype=value[1]) if is_array else value


def build(plan):
    how, inside = plan
    return leaf(inside) if how == "leaf" else BUILD[how]([build(part) for part in inside])


def leaves(plan, path=()):
    how, inside = plan
    if how == "leaf":
        yield path
        return
    for number, part in enumerate(inside):
        yield from leaves(part, (*path, number))


def changed(plan, path, value):
    how, inside = plan
    if not path:
        return ("leaf", value)
    first, *rest = path
    return how, [changed(p, rest, value) if n == first else p for n, p in enumerate(inside)]


def leaf_at(plan, path):
    for number in path:
        plan = plan[1][number]
    return plan[1]


@given(plans, plain, st.data())
def test_equal_structures_are_alike_and_any_changed_leaf_tells(plan, value, data):
    path = data.draw(st.sampled_from(list(leaves(plan))))
    kept = [build(plan), build(plan), build(changed(plan, path, value))]
    hashes = [object_hash(held) for held in kept]
    assert hashes[0] == hashes[1]
    assert (hashes[0] == hashes[2]) == (repr(leaf_at(plan, path)) == repr(value))


@settings(max_examples=20)
@given(plans, st.sampled_from(list(CHANGE_IN_PLACE)))
def test_an_object_shared_by_two_structures_tells_wherever_it_is(plan, kind):
    def both(first, second):
        path = next(leaves(plan))
        return [build(changed(plan, path, value)) for value in (first, second)]

    one, other, third = (CHANGE_IN_PLACE[kind]() for _ in range(3))
    assert object_hash(both(one, other)) == object_hash(both(third, one))
    assert object_hash(both(one, one)) == object_hash(both(other, other))
    assert object_hash(both(one, one)) != object_hash(both(one, other))


@given(plans, st.sampled_from(list(UNKNOWN)), st.data())
def test_one_unknown_part_makes_the_whole_unknown(plan, kind, data):
    path = data.draw(st.sampled_from(list(leaves(plan))))
    with pytest.raises(UnknownValueError):
        object_hash(build(changed(plan, path, UNKNOWN[kind][0]())))


@given(
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=6, unique=True), st.randoms()
)
def test_sets_count_by_what_is_in_them(values, order):
    shuffled = order.sample(values, len(values))
    assert object_hash(set(values)) == object_hash(set(shuffled))
    assert object_hash(frozenset(values)) != object_hash(frozenset([*values, "one more"]))


@given(st.sampled_from([f.name for f in dataclasses.fields(ol.TorchSGD)]), st.data())
def test_each_hyperparameter_of_an_optimizer_counts(name, data):
    before = ol.TorchSGD()
    value = data.draw(st.floats(0.01, 0.5) | st.just(0))
    try:
        after = dataclasses.replace(before, **{name: value})
    except ValueError:  # it is refused
        return
    same = repr(getattr(after, name)) == repr(getattr(before, name))
    assert (object_hash(before) == object_hash(after)) == same
