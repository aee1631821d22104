"""The hash of all that an object is made of: it misses nothing, and is the same everywhere."""

import os
import random
import subprocess
import sys
import threading
import types
import warnings
from dataclasses import dataclass, make_dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.lab.keys.object_hash import object_hash as fingerprint


@dataclass(frozen=True)
class Held:
    value: object


class Attribute:
    """Says the same of itself whatever it holds."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return "Attribute"

    def method(self):
        return self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Listing(list):
    pass


class Unpicklable(Attribute):
    def __reduce_ex__(self, protocol):
        raise RuntimeError("not me")


def closure(value):
    return lambda: value


def default(value):
    return lambda held=value: held


def with_attribute(value):
    function = closure(0)
    function.value = value
    return function


def local_class(value):
    class Local:
        rate = value

    return Local


def class_of_closure(value):
    class Local:
        def rate(self):
            return value

    return Local()


def class_with_base(value):
    class Local(local_class(value)):
        pass

    return Local()


def extended(value):
    held = Held(0)
    object.__setattr__(held, "extra", value)
    return held


def subclassed_array(value):
    return np.ma.masked_array([1.0, 2.0], mask=[False, False], fill_value=value)


def with_lock(value):
    held = Attribute(value)
    held.lock = threading.Lock()
    return held


def compressed(value):
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # "in beta state"
        return torch.tensor([[0.0, value]]).to_sparse_csr()


HOLDERS = {
    "list": lambda value: [1, value],
    "tuple": lambda value: (value, 1),
    "dict": lambda value: {"a": value},
    "key": lambda value: {value: "a"},
    "set": lambda value: {"x", "y", value},
    "frozenset": lambda value: frozenset({"x", "y", value}),
    "proxy": lambda value: types.MappingProxyType({"a": value}),
    "dict's keys": lambda value: {value: "a"}.keys(),
    "array": lambda value: np.array([1, value]),
    "array of objects": lambda value: np.array([None, value], dtype=object),
    "tensor": lambda value: torch.tensor([1, value]),
    "bfloat16": lambda value: torch.tensor(value, dtype=torch.bfloat16),
    "complex": lambda value: torch.tensor([value + 1j]).conj(),
    "sparse tensor": lambda value: torch.tensor([[0, value]]).to_sparse(),
    "compressed tensor": compressed,
    "parameter": lambda value: torch.nn.Parameter(torch.tensor(float(value))),
    "module": lambda value: torch.nn.Linear(value, 1, device="meta"),
    "sparse matrix": lambda value: scipy.sparse.csr_matrix([[0, value]]),
    "sparse array": lambda value: scipy.sparse.dok_array([[0, value]]),
    "frame": lambda value: pd.DataFrame({"a": [1, value], "b": ["x", "y"]}),
    "frame's text": lambda value: pd.DataFrame({"a": ["x", str(value)]}),
    "series": lambda value: pd.Series([1.0, value], name="a"),
    "index": lambda value: pd.Index([1, value]),
    "numpy generator": np.random.default_rng,
    "numpy's old generator": np.random.RandomState,
    "random": random.Random,
    "torch generator": lambda value: torch.Generator().manual_seed(value),
    "dataclass": Held,
    "made dataclass": lambda value: make_dataclass("Made", [("rate", int, value)])(),
    "own repr": Attribute,
    "slots": Slotted,
    "subclass of list": lambda value: Listing([value]),
    "closure": closure,
    "default": default,
    "function's attribute": with_attribute,
    "partial": lambda value: partial(closure, value),
    "bound method": lambda value: Attribute(value).method,
    "bound builtin": lambda value: [value].append,
    "cached": lambda value: lru_cache(closure(value)),
    "property": lambda value: property(closure(value)),
    "static": lambda value: staticmethod(closure(value)),
    "local class": local_class,
    "class of closure": class_of_closure,
    "local base class": class_with_base,
    "not a field": extended,
    "masked array": subclassed_array,
    "beside a lock": with_lock,
    "refuses to be pickled": Unpicklable,
    "compiled": lambda value: pytest.importorskip("numba").njit(closure(value)),
    "long number": lambda value: 10**6000 + value,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_is_held_counts_and_where_it_lies_does_not(hold):
    kept = [hold(1), hold(1), hold(2)]  # alive at once, so that no address is used again
    prints = [fingerprint(held) for held in kept]
    assert prints[0] == prints[1] != prints[2]


class Twin:
    """Two classes in one file with equal fields; their code is the same as well."""


class OtherTwin:
    pass


one, two = (lambda: 1), (lambda: 2)

DIFFERENT = {
    "classes": (Twin, OtherTwin),
    "instances": (Twin(), OtherTwin()),
    "functions of one name": (one, two),
    "builtins": (torch.sin, torch.cos),
    "ufuncs": (np.sin, np.cos),
    "builtins in closures": (closure(torch.sin), closure(torch.cos)),
    "descriptors": (torch.Tensor.sin, torch.Tensor.cos),
    "installed functions": (torch.nn.functional.relu, torch.nn.functional.elu),
    "modules": (np, torch),
    "nesting": ([[1], [2, 3]], [[1, 2], [3]]),
    "nesting of tuples": (((1, 2), 3), (1, (2, 3))),
    "a list and a tuple": ([1], (1,)),
    "a number and its text": (1, "1"),
    "types of number": (1, 1.0),
    "truth": (1, True),
    "zeros": (0.0, -0.0),
    "text and bytes": ("a", b"a"),
    "text that holds a separator": (["a\0b"], ["a", "b"]),
    "sets in sets": ({frozenset("ab"), frozenset("c")}, {frozenset("a"), frozenset("bc")}),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "dtypes": (np.zeros(2), np.zeros(2, dtype=np.int64)),
    "dtypes of tensors": (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
    "many of one": ([Held(1)] * 256, []),
}


@pytest.mark.parametrize(("this", "that"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_is_told_apart(this, that):
    assert fingerprint(this) != fingerprint(that)
    assert fingerprint(Held([this, 0])) != fingerprint(Held([that, 0]))


@pytest.mark.parametrize("position", range(4))
def test_each_of_several_temporary_values_counts(position):
    # Cells and arguments are listed anew as they are read: their addresses are soon used again.
    for hold in (closure, Slotted, lambda value: partial(closure, value)):
        values = [1, 2, 3, 4]
        before = fingerprint([hold(value) for value in values])
        values[position] = 9
        assert fingerprint([hold(value) for value in values]) != before


def test_shared_and_copied_are_the_same():
    array = np.arange(3)
    assert fingerprint([array, array]) == fingerprint([array, array.copy()])


class Computes:
    def __init__(self):
        self.inner = ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])

    @cached_property
    def total(self):
        return float(self.inner.y.sum())


@pytest.mark.parametrize("hold", [Held, Attribute, Slotted, closure, lambda value: value])
def test_what_is_computed_of_the_rest_and_kept_does_not_count(hold):
    computes = Computes()
    before = fingerprint(hold(computes))
    assert computes.total == 9
    computes.inner.evaluate(computes.inner.optimum().parameters)
    assert fingerprint(hold(computes)) == before


def test_looking_at_a_table_or_a_matrix_changes_nothing():
    frame = pd.DataFrame({"a": [1, 2]})
    frame["b"] = [3, 4]
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    before = fingerprint([frame, matrix])
    assert frame.to_numpy().sum() + frame.sum().sum() == 20
    assert matrix.has_sorted_indices
    assert matrix.has_canonical_format
    assert fingerprint([frame, matrix]) == before


def test_what_cannot_be_pickled_counts_by_its_type(tmp_path):
    with (tmp_path / "file").open("w") as file:
        values = [threading.Lock(), file, sys._getframe(), (number for number in range(2))]
        assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(threading.Lock()) == fingerprint(threading.Lock())


def ring(values):
    nodes = [Attribute([value, None]) for value in values]
    for node, following in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
        node.value[1] = following
    return nodes[0]


def test_what_holds_itself_ends_and_counts():
    assert fingerprint(ring([1, 2, 3, 4])) == fingerprint(ring([1, 2, 3, 4]))
    prints = {fingerprint(ring(values)) for values in ([1, 2], [2, 1], [1, 2, 3], [1, 2, 4], [1])}
    assert len(prints) == 5
    own = []
    own.append(own)
    assert fingerprint(own) != fingerprint([[]])


def test_depth_has_no_limit():
    deep, other = 1, 2
    for _ in range(5000):
        deep, other = [deep], [other]
    assert fingerprint(deep) != fingerprint(other)


DEFINED = """
import enum
from functools import lru_cache, partial
from optlab.lab.keys.object_hash import object_hash as fingerprint
import numpy as np, torch

class Colour(enum.Enum):
    RED, BLUE, GREEN = 1, 2, 3
    def mixed(self): return Colour.RED

class Base:
    names = {"weight", "bias"}
    def __init__(self): self.skip = frozenset({"weight", "bias", "scale", "shift"})
    def bound(self): return super().__repr__()
    def use(self, name): return helper(name) in {"one", "two", "three"}

def helper(name): return RATE
RATE = 1

def local():
    class Local(Base):
        pass
    return Local()

held = [
    Base(), Base().use, Colour, Colour.RED, {Colour.RED, Colour.BLUE, Colour.GREEN}, helper,
    lambda name: {"one", "two", name}, lru_cache(helper), local(), object(), torch.sin,
    {("a", 1), ("b", 2), None, 3.0, frozenset("abc")}, {frozenset("ab"), frozenset("bc")},
    torch.nn.Linear(2, 1, device="meta"), partial(helper, {"x", "y", "z"}),
]
print([fingerprint(value)[:16] for value in held])
"""
# A function that was typed has no file to read: what it uses counts.
CHANGED = """
before = fingerprint(local())
RATE = 2
assert fingerprint(local()) != before
import in_a_file
"""


def test_prints_are_the_same_in_every_process(tmp_path):
    (tmp_path / "in_a_file.py").write_text(DEFINED)
    running = [
        subprocess.Popen(
            [sys.executable, "-"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": seed},
        )
        for seed in "01"
    ]  # fmt: skip
    told = [process.communicate(DEFINED + CHANGED)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 2  # typed, and in a file


numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.booleans(), st.none()
)
# Instructions for building: (how, parts), so that one structure can be built twice.
plans = st.recursive(
    numbers.map(lambda value: ("leaf", value)),
    lambda inner: st.tuples(
        st.sampled_from(
            [
                "list",
                "tuple",
                "dict",
                "values",
                "array",
                "dataclass",
                "partial",
                "closure",
                "object",
            ]
        ),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)


def build(plan):
    how, inside = plan
    if how == "leaf":
        return inside
    parts = [build(part) for part in inside]
    match how:
        case "tuple":
            return tuple(parts)
        case "dict":
            return dict(enumerate(parts))
        case "values":
            return {number: Held(part) for number, part in enumerate(parts)}.values()
        case "array":
            array = np.empty(len(parts), dtype=object)
            array[:] = [Held(part) for part in parts]
            return array
        case "dataclass":
            return Held(parts)
        case "partial":
            return partial(closure, *parts)
        case "closure":
            return closure(parts)
        case "object":
            return Attribute(parts)
    return parts


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


@settings(max_examples=60, deadline=None)
@given(plans, numbers, st.data())
def test_equal_structures_are_alike_and_any_changed_leaf_tells(plan, value, data):
    path = data.draw(st.sampled_from(list(leaves(plan))))
    kept = [build(plan), build(plan), build(changed(plan, path, value))]
    prints = [fingerprint(held) for held in kept]
    assert prints[0] == prints[1]
    same = repr(leaf_at(plan, path)) == repr(value)
    assert (prints[0] == prints[2]) == same
    assert fingerprint([kept[0], kept[2]]) == fingerprint([kept[1], kept[2]])


plain = st.one_of(st.integers(), st.text(max_size=3), st.tuples(st.integers(), st.text(max_size=2)))


@settings(max_examples=60, deadline=None)
@given(st.lists(plain, max_size=6, unique=True), st.randoms())
def test_sets_count_by_what_is_in_them(values, order):
    shuffled = order.sample(values, len(values))
    assert fingerprint(set(values)) == fingerprint(set(shuffled))
    assert fingerprint(frozenset(values)) != fingerprint(frozenset([*values, "one more"]))
