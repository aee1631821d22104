import ast
import inspect
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import grimp
import pytest

import optlab

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "optlab"
SCRIPTS = Path(sys.executable).parent


# The program `mypy`, without garbage collections: they walk over all types, in a third of its time.
MYPY = """
import gc
gc.disable()
gc.enable = gc.disable
from mypy.__main__ import console_entry
console_entry()
"""


@pytest.mark.parametrize(
    "command",
    [
        [SCRIPTS / "ruff", "check", "."],
        [SCRIPTS / "ruff", "format", "--check", "."],
        [SCRIPTS / "mypy"],
        [SCRIPTS / "lint-imports"],
    ],
    ids=lambda command: " ".join([command[0].name, *command[1:]]),
)
def test_check_passes(command):
    if command[0].name == "mypy":
        command = [sys.executable, "-c", MYPY]
        if not (ROOT / ".mypy_cache").exists():
            command += ["--cache-dir", os.devnull]  # to write one takes seconds
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def public_names():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return [alias.asname for node in imports for alias in node.names]


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_there_and_documented(name):
    public = getattr(optlab, name)
    assert name in dir(optlab)
    if inspect.ismodule(public):
        assert public.__doc__
        assert all(hasattr(public, part) for part in public.__dict__.get("__all__", ()))
    elif inspect.isclass(public) or inspect.isroutine(public):
        # Its own words, not those of a base class or of dataclass.
        own = public.__dict__.get("__doc__") if inspect.isclass(public) else public.__doc__
        assert own.strip().partition("\n")[0].endswith((".", ":"))
        assert not own.startswith(f"{name}(")


MODULES = sorted(PACKAGE.rglob("*.py"))


def functions():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path.relative_to(PACKAGE), node


def test_every_function_fits_a_screen():
    long = []
    for path, function in functions():
        documented = ast.get_docstring(function) and len(function.body) > 1
        first = function.body[1 if documented else 0]
        if function.end_lineno - first.lineno >= 40:
            long.append(f"{path}: {function.name}")
    assert not long


def test_no_two_modules_have_one_name():
    names = [path.stem for path in MODULES if path.stem != "__init__"]
    assert sorted(names) == sorted(set(names))


def strings_of(tree):
    """Yield the docstrings of a module, its classes and functions, and those under attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def test_every_docstring_begins_with_a_plain_sentence():
    """Convention: the thing in the field's own word, not a question about it."""
    questions = re.compile(r"\s*(What|How|Who|Which|Whatever|Where|Whose)\b")
    folders = [ROOT / name for name in ("optlab", "tests", "benchmarks", "experiments")]
    wrong = [
        f"{path.relative_to(ROOT)}: {doc.partition(chr(10))[0]}"
        for path in chain.from_iterable(folder.rglob("*.py*") for folder in folders)
        if path.suffix in {".py", ".pyi"}
        for doc in strings_of(ast.parse(path.read_text(encoding="utf-8")))
        if questions.match(doc)
    ]
    assert not wrong


def test_the_rooms_of_the_lab_have_few_arrows_between_them():
    """Imports between the files and rooms that lie in `lab/` itself, by grimp."""
    graph = grimp.build_graph("optlab")
    inside = graph.find_children("optlab.lab")
    for room in inside:
        graph.squash_module(room)
    arrows = [
        (importer, imported)
        for importer in inside
        for imported in graph.find_modules_directly_imported_by(importer) & inside
    ]
    assert 0 < len(arrows) <= 40
    assert not [(a, b) for a, b in arrows if (b, a) in arrows]


def committed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize(
    "forbidden",
    # Written in two parts, so that this file does not hold them.
    [
        "/wor" + "k/",
        "pypi." + "org",
        "python" + "hosted.org",
        "download." + "pytorch",
        "--index" + "-url",
    ],
)
def test_nothing_committed_names_a_machine_or_a_package_registry(forbidden):
    files = committed()
    assert files
    found = [path.name for path in files if forbidden.encode() in path.read_bytes()]
    assert not found


def test_every_pinned_package_has_one_exact_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.strip() and not line.startswith("#")]
    assert pins
    assert all(line.count("==") == 1 for line in pins)
    assert "torch==2.13.0" in pins
