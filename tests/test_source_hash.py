"""The sources that a trial's key depends on: a person's own by content, installed by version."""

import sys
import types
import warnings
from importlib.metadata import version

import numpy as np
import pytest

import optlab
from optlab.lab.keys import source_hash as module
from optlab.lab.keys.object_hash import object_hash
from optlab.lab.keys.source_hash import distribution, owner, source_hash


@pytest.fixture(autouse=True)
def _no_memory():
    """Let each test write folders anew: a process looks at each folder and file once."""
    for cached in (module.distribution, module._metadata, module._files):
        cached.cache_clear()


def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    hashes = []
    for text in ("def broken(:\n", "def broken(:\n", "def broken(::\n"):
        (tmp_path / "broken_sibling.py").write_text(text)
        (tmp_path / "uses_broken.py").write_text("def later():\n    import broken_sibling\n")
        hashes.append(source_hash(["uses_broken"]))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("package", ["part", "part.deeper"])
@pytest.mark.parametrize("initial", [["part/__init__.py"], []], ids=["package", "namespace"])
@pytest.mark.parametrize(
    "how", ["from {}.helper import STEP", "import {}.helper", "from {} import helper"]
)
def test_a_helper_imported_later_by_a_dotted_name_counts_unrun(
    tmp_path, monkeypatch, package, initial, how
):  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    helper = tmp_path.joinpath(*package.split("."), "helper.py")
    helper.parent.mkdir(parents=True)
    for file in initial:
        (tmp_path / file).write_text("raise SystemExit('a package was run')")
    (tmp_path / "lazy_user.py").write_text(f"def later():\n    {how.format(package)}\n")
    hashes = []
    for step in ("1", "1", "2.0"):
        helper.write_text(f"STEP = {step}\n")
        hashes.append(source_hash(["lazy_user"]))
    assert hashes[0] == hashes[1] != hashes[2]
    assert "part" not in sys.modules
    if initial:  # importing a part runs the package
        (tmp_path / initial[0]).write_text("")
        assert source_hash(["lazy_user"]) != hashes[2]


def installed(folder, listing, *, kind="some_kit-1.2.dist-info", text=None):
    """Write a package, and beside it what an installer writes of a distribution."""
    (folder / "kit").mkdir(parents=True)
    for file in ("kit/__init__.py", "single_kit.py", "by_hand.py", "kit/by_hand.py"):
        (folder / file).write_text("")
    if kind:
        (folder / kind).mkdir()
        (folder / kind / listing).write_text(
            text or "kit/__init__.py,sha256=x,0\nsingle_kit.py,sha256=y,0\n"
        )


INSTALLED = {
    "a virtual environment": ("lib/python3/site-packages", {"listing": "RECORD"}),
    "pip --target, on PYTHONPATH": ("anywhere", {"listing": "RECORD"}),
    "Debian, without a list of files": (
        "usr/lib/python3/dist-packages",
        {"listing": "top_level.txt", "text": "kit\nsingle_kit\n"},
    ),
    "an old installer": (
        "site-packages",
        {"listing": "top_level.txt", "text": "kit\nsingle_kit\n", "kind": "some_kit-1.2.egg-info"},
    ),
}


@pytest.mark.parametrize(("folder", "how"), INSTALLED.values(), ids=INSTALLED)
def test_what_a_distribution_lists_is_installed(tmp_path, folder, how):
    installed(tmp_path / folder, **how)
    for file in ("kit/__init__.py", "single_kit.py"):
        whose = distribution(str(tmp_path / folder / file))
        assert whose is not None
        assert whose.startswith("some_kit-1.2")
    assert distribution(str(tmp_path / folder / "by_hand.py")) is None


OWN = {
    "a project": ("project", {"listing": "x", "kind": ""}),
    "an editable install": (
        "site-packages",
        {"listing": "RECORD", "text": "__editable__.some_kit.pth,sha256=x,0\n"},
    ),
    "a project that was built": (
        "project",
        {"listing": "top_level.txt", "text": "kit\n", "kind": "some_kit.egg-info"},
    ),
}


@pytest.mark.parametrize(("folder", "how"), OWN.values(), ids=OWN)
def test_what_no_distribution_lists_is_a_person_s_own(tmp_path, folder, how):
    installed(tmp_path / folder, **how)
    for file in ("kit/__init__.py", "single_kit.py", "by_hand.py", "kit/by_hand.py"):
        assert distribution(str(tmp_path / folder / file)) is None


def test_what_is_installed_is_known_through_a_link(tmp_path):
    installed(tmp_path / "store", "RECORD")
    (tmp_path / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "alone.py").symlink_to(tmp_path / "store" / "single_kit.py")
    assert distribution(str(tmp_path / "linked" / "single_kit.py")) == "some_kit-1.2"
    assert distribution(str(tmp_path / "alone.py")) == "some_kit-1.2"


def test_who_has_written_the_modules_here():
    import _thread
    import json

    import sklearn
    import torch

    assert owner(json) == owner(_thread) == "Python"
    assert owner(optlab) == "optlab"
    assert owner(np) == f"numpy-{version('numpy')}"
    assert owner(torch.backends.cudnn) == owner(torch._C._nn) == f"torch-{version('torch')}"
    assert owner(sklearn) == f"scikit_learn-{version('scikit-learn')}"
    assert owner(sys.modules[__name__]) is owner(types.ModuleType("made")) is None


def test_the_version_of_an_installed_package_that_is_used_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "uses_kit.py").write_text(
        "import kit\n\ndef step():\n    return kit\n\ndef other():\n    return 1\n"
    )
    installed(tmp_path, "RECORD")
    import uses_kit

    before = object_hash(uses_kit.step), object_hash(uses_kit.other)
    (tmp_path / "kit" / "__init__.py").write_text("# its version says what is in it")
    assert (object_hash(uses_kit.step), object_hash(uses_kit.other)) == before
    (tmp_path / "some_kit-1.2.dist-info").rename(tmp_path / "some_kit-1.3.dist-info")
    for cached in (module.distribution, module._metadata, module._files):
        cached.cache_clear()
    assert object_hash(uses_kit.step) != before[0]
    assert object_hash(uses_kit.other) == before[1]
    del sys.modules["kit"], sys.modules["uses_kit"]


def test_no_attribute_of_a_module_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "old_names.py").write_text(
        "import warnings\nRATE = 1\n\ndef __getattr__(name):\n"
        "    warnings.warn(name, DeprecationWarning, stacklevel=2)\n"
        "    raise AttributeError(name)\n"
    )
    (tmp_path / "uses_old_names.py").write_text(
        "import old_names\n\ndef step():\n    return old_names.RATE, old_names.missing\n"
    )
    import uses_old_names

    with warnings.catch_warnings(action="error"):
        before = object_hash(uses_old_names.step)
    uses_old_names.old_names.RATE = 2
    assert object_hash(uses_old_names.step) != before
    del sys.modules["old_names"], sys.modules["uses_old_names"]


def test_code_that_was_loaded_before_its_file_changed_is_told_from_the_file_s(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    hashes = []
    for load in (True, False, True):  # as it is, with an edit that is not loaded, then loaded
        rate = 1 if not hashes else 2
        (tmp_path / "edited.py").write_text(f"def step():\n    return {rate}\n")
        if load:
            sys.modules.pop("edited", None)
        import edited

        hashes.append(object_hash(edited.step))
    del sys.modules["edited"]
    assert len(set(hashes)) == 3
