"""A log beside a results file that is not its own is neither applied nor deleted."""

import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
from pathlib import Path

import pytest

from optlab.lab.store.store import Store, StoreError
from tests.commands import program
from tests.planted_store import plant, record_of, sql

PAGE, SECTOR, NONCE = 4096, 512, 12345


def journal_of(before, after):
    """The rollback journal that a process leaves that is killed between two states of a file."""
    pages = [before[at : at + PAGE] for at in range(0, len(before), PAGE)]
    changed = [n for n, page in enumerate(pages) if page != after[n * PAGE : (n + 1) * PAGE]]
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + struct.pack(">IIIII", len(changed), NONCE, len(pages), SECTOR, PAGE)
    records = [
        struct.pack(">I", number + 1)
        + pages[number]
        + struct.pack(">I", NONCE + sum(pages[number][at] for at in range(PAGE - 200, 0, -200)))
        for number in changed
    ]
    return head.ljust(SECTOR, b"\0") + b"".join(records)


@pytest.fixture
def states(tmp_path):
    """A file before and after a transaction."""
    path = plant(tmp_path / "first.db")
    before = path.read_bytes()
    with Store(path) as store:
        store.add("late", record_of(9), {}, 1)
    return before, path.read_bytes()


def keys(path):
    with Store(path) as store:
        return store.finished_keys()


def test_what_a_killed_process_half_wrote_is_undone_at_whichever_page_it_was(states, tmp_path):
    before, after = states
    path, log = tmp_path / "r.db", tmp_path / "r.db-journal"
    pages = max(len(before), len(after)) // PAGE
    for written in range(pages + 1):
        path.write_bytes(after[: written * PAGE] + before[written * PAGE :])
        log.write_bytes(journal_of(before, after))
        assert keys(path) == {"k0", "k1", "k2"}
        assert not log.exists()
        assert sql(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("other", ["moved away", "another file", "an older copy", "a later state"])
def test_a_journal_that_is_not_the_files_own_is_neither_applied_nor_deleted(
    states, tmp_path, other, create
):
    before, after = states
    path, log = tmp_path / "r.db", tmp_path / "r.db-journal"
    if other == "another file":
        plant(path, trials=5)
    if other == "an older copy":
        path.write_bytes(before)
        with Store(path) as store:
            for number in range(3):
                store.add(f"x{number}", record_of(number), {}, 1)
        before = path.read_bytes()
        with Store(path) as store:
            store.add("y", record_of(8), {}, 1)
        log.write_bytes(journal_of(before, path.read_bytes()))
        path.write_bytes(states[0])
    elif other == "a later state":
        path.write_bytes(after)
        with Store(path) as store:
            store.add("z", record_of(8), {}, 1)
            store.add("y", record_of(8), {}, 1)
    if not log.exists():
        log.write_bytes(journal_of(before, after))
    files = {p: p.read_bytes() for p in tmp_path.glob("r.db*")}
    with pytest.raises(StoreError, match=r"r\.db-journal is not the log|there is no file"):
        Store(path, create=create)
    assert {p: p.read_bytes() for p in tmp_path.glob("r.db*")} == files


@pytest.mark.parametrize("content", [b"", b"\0" * 600, b"something else"])
def test_a_journal_that_sqlite_would_not_apply_but_delete(tmp_path, content):
    path, log = plant(tmp_path / "r.db"), tmp_path / "r.db-journal"
    log.write_bytes(content)
    if content.startswith(b"some"):
        with pytest.raises(StoreError, match="not the log"):
            Store(path)
        assert log.read_bytes() == content
    else:
        assert keys(path) == {"k0", "k1", "k2"}


@pytest.mark.parametrize("there", [True, False])
def test_a_write_ahead_log_beside_a_file_that_has_none_is_refused(tmp_path, there):
    old = sqlite3.connect(tmp_path / "old.db")
    old.execute("PRAGMA journal_mode = WAL")
    old.execute("CREATE TABLE t (x)")
    path, log = tmp_path / "r.db", tmp_path / "r.db-wal"
    if there:
        plant(path)
    shutil.copy(tmp_path / "old.db-wal", log)
    old.close()
    before = log.read_bytes()
    with pytest.raises(StoreError, match=r"r\.db-wal is not the log"):
        Store(path)
    assert log.read_bytes() == before


def test_the_log_beside_the_file_that_a_link_points_to_is_the_one_that_counts(states, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "link.db").symlink_to(plant(folder / "real.db"))
    (folder / "real.db-journal").write_bytes(journal_of(*states))
    with pytest.raises(StoreError, match=r"real\.db-journal is not the log of real\.db"):
        Store(tmp_path / "link.db")


# For each line that it reads a process of its own that writes until it is killed: they are forked
# from one that has loaded torch, which takes seconds.
WRITES = """
import os
import sys
from optlab.lab.store.store import Store
from tests.planted_store import record_of, row

for _ in sys.stdin:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        with Store(sys.argv[1]) as store:
            for number in range(10**6):
                record = record_of(number, trace=[row(epoch) for epoch in range(100)])
                store.add(f"t{number}", record, {}, 1)
                print(number, flush=True)
    _, status = os.wait()
    print("ended by signal", os.WTERMSIG(status), flush=True)
"""


@pytest.fixture
def writers(tmp_path):
    """A process that forks others, which write into a file."""
    command = [program("python"), "-c", WRITES, str(tmp_path / "r.db")]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        yield process
        process.stdin.close()


def write_and_kill(writers, count):
    """Let a new process write so many trials, kill it; the number of the last it told of."""
    print("begin", file=writers.stdin, flush=True)
    pid = int(writers.stdout.readline())
    for _ in range(count):
        last = writers.stdout.readline()
    os.kill(pid, signal.SIGKILL)
    while not (line := writers.stdout.readline()).startswith("ended"):
        last = line
    assert line == f"ended by signal {signal.SIGKILL:d}\n"
    return int(last)


def test_what_was_told_as_finished_is_in_the_file_alone_when_the_process_is_killed(
    tmp_path, writers
):
    chance, torn = random.Random(1), 0
    path = tmp_path / "r.db"
    for kill in range(6):
        plant(path)
        last = write_and_kill(writers, chance.randint(3, 30))
        told = {f"t{number}" for number in range(last + 1)}
        alone, moved = tmp_path / f"copy{kill}.db", tmp_path / f"moved{kill}.db"
        shutil.copy(path, alone)
        log = Path(f"{path}-journal")
        os.rename(path, moved)  # noqa: PTH104 - as `mv` does
        try:
            assert told <= keys(alone)
        except StoreError:  # killed between the first and last page that it overwrote
            torn += 1
            assert log.exists()
        if log.exists():
            log.rename(f"{moved}-journal")
        assert told <= keys(moved)
    assert torn <= 1
