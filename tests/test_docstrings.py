"""Every public name says what it takes, what it returns, and what stands beside it."""

import importlib
import inspect
import re

import pytest

import optlab as ol

MODULES = ("optlab.datasets", "optlab.linalg", "optlab.testing", "optlab.testing.oracles",
           "optlab.analysis")  # fmt: skip
CLASSES = ("Results", "Experiment", "Solution")


def public():
    for name in ol.__all__:
        yield f"optlab.{name}", getattr(ol, name)
    for name in MODULES:
        module = importlib.import_module(name)
        for own in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            yield f"{name}.{own}", getattr(module, own)
    for name in CLASSES:
        kind = getattr(ol, name)
        for own, value in vars(kind).items():
            if not own.startswith("_") and inspect.isroutine(value):
                yield f"optlab.{name}.{own}", getattr(kind, own)


NAMES = {name: value for name, value in public() if callable(value) and value is not ol.Parameters}


def sections(value):
    """The sections of a docstring, by their head."""
    parts = re.split(r"^(\w[\w ]+)\n-+$", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_what_it_returns_and_what_stands_beside_it(name):
    value, found = NAMES[name], sections(NAMES[name])
    assert "See Also" in found
    if inspect.isroutine(value):
        returned = inspect.signature(value).return_annotation
        assert str(returned) == "None" or "Returns" in found or "Yields" in found


@pytest.mark.parametrize("name", [n for n in NAMES if "Parameters" in sections(NAMES[n])])
def test_a_list_of_parameters_names_all_of_them(name):
    heads = re.findall(r"^(\S.*)$", sections(NAMES[name])["Parameters"], flags=re.MULTILINE)
    listed = {part.strip("* ") for head in heads for part in head.split(" : ")[0].split(",")}
    taken = [p.name for p in inspect.signature(NAMES[name]).parameters.values()]
    assert not {own for own in taken if not own.startswith("_")} - listed - {"self"}


def test_neighbours_in_see_also_exist():
    """Each name before a colon is one of optlab's, or of the class or module it stands in."""
    wrong = []
    for name, value in NAMES.items():
        for line in sections(value).get("See Also", "").strip().splitlines():
            for own in line.split(" : ")[0].split(","):
                if not _resolves(own.strip(), name):
                    wrong.append((name, own.strip()))
    assert wrong == []


def _resolves(own, beside):
    around = beside.rsplit(".", 1)[0]
    return any(
        _found(path) for path in (own, f"optlab.{own}", f"{around}.{own}", f"{beside}.{own}")
    )


def _found(path):
    parts = path.split(".")
    if parts[0] != "optlab":
        return False
    value = ol
    for number, part in enumerate(parts[1:], 1):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(".".join(parts[: number + 1]))
            except ImportError:
                fields = getattr(value, "__dataclass_fields__", {})
                return part in fields and number == len(parts) - 1
    return True


def test_help_of_the_datasets_lists_them():
    module = ol.datasets
    for name in vars(module):
        if not name.startswith("_") and callable(getattr(module, name)):
            assert f"`{name}`" in module.__doc__


def test_the_statuses_are_explained_where_help_shows_them():
    for status in ol.Status:
        assert f"``{status}``" in ol.Status.__doc__
