import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import optlab

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "optlab"
SCRIPTS = Path(sys.executable).parent


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


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_every_file_is_short_enough_to_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


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
