"""The recorded provenance of results."""

import shutil
import subprocess
from datetime import datetime

import pytest

import optlab as ol
from optlab.lab.measure import provenance as provenance_module
from optlab.lab.measure.provenance import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "v1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commit_is_the_full_one_and_says_whether_files_differ(repository):
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert provenance("command")["commit"] == head
    (repository / "file").write_text("two")
    assert provenance(lasting=True)["commit"] == f"{head}-dirty"
    assert set(provenance()) == {"started"}


def test_without_git_or_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(provenance("c")) == {"started", "command"}
    monkeypatch.setenv("PATH", "")
    assert set(provenance("c")) == {"started", "command"}


def test_a_repository_too_large_to_be_looked_at_costs_seconds_only(repository, monkeypatch):
    def slow(*_, **__):
        raise subprocess.TimeoutExpired("git", 2)

    monkeypatch.setattr(provenance_module.subprocess, "run", slow)
    assert "commit" not in provenance("c")


def test_a_stored_run_tells_when_by_which_command_and_from_which_commit(repository, tutorial):
    path = repository / "results.db"
    experiment = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq())
    experiment.run(store=path, command="optlab run it.py")
    definition = ol.Results.load(path).definition
    assert datetime.fromisoformat(definition["started"]).tzinfo is not None
    assert definition["command"] == "optlab run it.py"
    assert len(definition["commit"].removesuffix("-dirty")) == 40


def test_what_git_says_may_be_no_utf8(tmp_path, monkeypatch):
    (tmp_path / ".git").write_bytes(b"gitdir: /\xff/nowhere\n")
    monkeypatch.chdir(tmp_path)
    assert set(provenance("c")) == {"started", "command"}
