"""Commands write no file over an input or a stranger's, and each whole or not at all."""

import errno
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.app import cli
from optlab.app.execute import execute
from optlab.app.exit_status import UnavailableError
from optlab.app.outputs import Outputs
from optlab.lab.store.store import Store
from optlab.report import views
from optlab.report.figures.file_names import figure_file
from optlab.report.output_file import output_file
from optlab.report.page.render import render_page
from optlab.report.table_files import without_formulas
from tests.commands import program

SCRIPT = """
import helper
import optlab as ol

problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(problems=problem, optimizers=ol.Lstsq())
if __name__ == "__main__":
    experiment.main()
"""


@pytest.fixture(scope="module")
def results():
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
    return ol.compare(problem, [ol.ManualSGD(), ol.Lstsq()], epochs=3)


@pytest.fixture(scope="module")
def one_page(results):
    return render_page(results)


@pytest.fixture
def same_page(one_page, monkeypatch):
    """Let every page be the same, rendered once, where it matters only who wrote the file."""
    monkeypatch.setattr("optlab.report.page.render.render_page", lambda *_: one_page)


@pytest.fixture
def no_summary(monkeypatch):
    """Let commands print no summary, where it matters only what they write."""
    monkeypatch.setattr("optlab.app.summary_table.print_results", lambda *_, **__: [])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A results file."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(9, 1, seed=1))
    path = tmp_path_factory.mktemp("stored") / "r.db"
    ol.compare(problem, ol.Lstsq(), store=path)
    return path


@pytest.fixture
def folder(stored, tmp_path, monkeypatch):
    """A folder with data, a script with a helper, and a results file."""
    table = "a,y\n" + "".join(f"{k},{k * k % 7}\n" for k in range(12))
    for name in ("data.csv", "trials.csv"):
        (tmp_path / name).write_text(table)
    (tmp_path / "exp.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("x = 1\n")
    shutil.copy(stored, tmp_path / "r.db")
    (tmp_path / "notes.html").write_text("<p>my notes</p>")
    os.link(tmp_path / "data.csv", tmp_path / "hard.csv")
    (tmp_path / "soft.csv").symlink_to("data.csv")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("helper", None)
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))


@pytest.fixture
def command(folder, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["optlab", *arguments])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code, *capsys.readouterr()

    return call


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


DATA = "compare data.csv --target y --optimizers lstsq"
INPUTS = [
    f"{DATA} --report data.csv",
    f"{DATA} --report hard.csv",
    f"{DATA} --report soft.csv",
    f"{DATA} --store ./data.csv",
    "compare trials.csv --target y --optimizers lstsq --csv .",
    "run exp.py --report exp.py",
    "run exp.py --report helper.py",
    "run exp.py --store r.db --report r.db",
    "run exp.py --store new.db --report new.db",
    "run exp.py --store new.db --report new.db-journal",
    "report r.db -o r.db",
]
STRANGERS = [
    f"{DATA} --report notes.html",
    f"{DATA} --csv .",
    "run exp.py --report notes.html",
    "report r.db -o notes.html",
    "report r.db -o data.csv",
    "export r.db --csv .",
]


@pytest.mark.parametrize("forced", ["", " --force"])
@pytest.mark.parametrize("line", INPUTS)
def test_an_output_that_is_an_input_is_refused_by_name_before_anything_runs(
    command, folder, line, forced
):
    before = contents(folder)
    status, out, err = command(*(line + forced).split())
    assert (status, out) == (2, "")
    assert re.search(r"error: --\w+ (would overwrite|and --\w+ would both write) ", err), err
    assert contents(folder) == before


@pytest.mark.usefixtures("same_page", "no_summary")
@pytest.mark.parametrize("line", STRANGERS)
def test_a_file_that_optlab_did_not_write_is_overwritten_by_force_only(command, folder, line):
    before = contents(folder)
    status, out, err = command(*line.split())
    assert (status, out) == (2, "")
    assert "exists, and optlab did not write it" in err
    assert "--force" in err
    assert contents(folder) == before
    assert command(*line.split(), "--force")[0] == 0
    assert command(*line.split())[0] == 0  # and now it is optlab's


@pytest.mark.usefixtures("same_page")
def test_a_link_is_not_followed_and_what_optlab_wrote_is_written_again(results, tmp_path):
    page, link = results.report(tmp_path / "page.html"), tmp_path / "link.html"
    results.report(page)
    for target in (page, tmp_path / "nowhere"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(ValueError, match="is a symbolic link: name the file itself"):
            results.report(link)
    results.report(link, force=True)
    assert not link.is_symlink()
    assert not (tmp_path / "nowhere").exists()


def check_known_again(write):
    files = write()
    assert write() == files
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(b"mine")
        with pytest.raises(ValueError, match=f"{path.name} exists"):
            write()
        assert path.read_bytes() == b"mine"
        path.write_bytes(whole)


@pytest.mark.parametrize("kind", ["csv", "parquet", "latex"])
def test_each_kind_of_table_is_known_again(results, tmp_path, kind):
    check_known_again(lambda: results.export(tmp_path, kind))


def test_a_file_of_the_name_of_a_table_that_is_empty_is_neither_refused_nor_touched(
    results, tmp_path
):
    mine = tmp_path / "tuning.csv"
    mine.write_text("mine")
    assert mine not in results.export(tmp_path, "csv")
    assert mine.read_text() == "mine"


@pytest.mark.usefixtures("one_figure")
def test_figures_are_known_again_where_their_format_names_the_software(results, tmp_path):
    check_known_again(lambda: results.save_figures(tmp_path, ["png", "svg", "pdf"]))
    (tmp_path / "fit.jpg").write_bytes(b"mine")  # it has no place for a name
    with pytest.raises(ValueError, match="optlab did not write it"):
        results.save_figures(tmp_path, ["jpg"])


def test_the_keys_of_views_are_those_that_figures_are_named_by(results):
    assert tuple(views.views_of(results)) == views.KEYS


@pytest.mark.usefixtures("same_page")
def test_devices_and_pipes_are_written_into(results, tmp_path):
    null = Path(os.devnull)
    before = null.stat().st_ino
    assert results.report(null) == null
    assert null.stat().st_ino == before
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    results.report(tmp_path / "pipe")
    reader.join()
    assert read[0].endswith(b"</html>\n")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_stdout_is_written_into_also_where_it_is_a_file(folder):
    with (folder / "out.html").open("w") as out:
        line = [program("optlab"), "report", "r.db", "-o", "/dev/stdout"]
        subprocess.run(line, stdout=out, check=True)
    assert (folder / "out.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_what_cannot_be_written_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "page.html"
    path.write_bytes(b"% optlab old")

    def write():
        with output_file(path, "latex") as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert contents(tmp_path) == {"page.html": b"% optlab old"}


def test_the_mode_is_that_of_the_umask(tmp_path):
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            with output_file(tmp_path / f"{mask}", "csv"):
                pass
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}").stat().st_mode) == 0o666 & ~mask


@given(st.text(max_size=5), st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", "a", ""]))
def test_no_text_is_a_formula_and_numbers_stay_numbers(text, first):
    table = pd.DataFrame({"n": [-1.5], first + text: [first + text], "mixed": [-2]}, dtype=object)
    safe = without_formulas(table)
    cells = [*safe.columns, safe.iloc[0, 1]]
    assert not any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)
    assert cells[-1].removeprefix("'") in (first + text).removeprefix("'") or not cells[-1]
    assert safe.iloc[0, 0] == -1.5
    assert safe.iloc[0, 2] == -2


NAMES = st.lists(
    st.one_of(
        st.text(st.characters(), min_size=1, max_size=8),  # lone surrogates too
        st.sampled_from(["..", "/", "a/../../b", "A", "a", "\x00\n", "x" * 10_000, "CON", "~"]),
    ),
    min_size=1, max_size=6, unique=True,
)  # fmt: skip


@given(NAMES)
def test_figure_files_never_leave_the_folder_and_never_share_a_name(names):
    folder = Path("folder")
    files = [
        figure_file(folder, names, number, key, "svg")
        for number in range(len(names))
        for key in views.KEYS
        if key != "profile"
    ]
    assert {path.parent for path in files} == {folder}
    assert len({path.name.lower() for path in files}) == len(files)
    assert max(len(os.fsencode(path.name)) for path in files) < 255
    assert not any(re.search(r"[\x00-\x1f/\\]", path.name) for path in files)


HOSTILE = ["=cmd|'/c calc'!A0", r"\input{/etc/passwd}", "../../up", "x" * 10_000]


class Raises:
    """Raises a message that is no text."""

    uses_batches = False

    def iterates(self, problem, batches, start):
        raise ValueError("=1+1 \ud800")


def test_hostile_names_are_escaped_in_every_output(tmp_path):
    data = ol.datasets.synthetic(8, 1, seed=1)
    problems = [ol.LinearRegression(data.X, data.y, name=name) for name in HOSTILE]
    optimizers = {name: ol.Lstsq() for name in HOSTILE[:2]} | {"@bad": Raises()}
    results = ol.compare(problems, optimizers, store=tmp_path / "r.db")
    for held in (results, ol.Results.load(tmp_path / "r.db")):
        held.export(tmp_path / "t", "csv")
        held.export(tmp_path / "t", "parquet")
        held.export(tmp_path / "t", "latex")
        trials = pd.read_csv(tmp_path / "t" / "trials.csv", keep_default_na=False)
        assert set(trials["optimizer"]) == {"'" + HOSTILE[0], HOSTILE[1], "'@bad"}
        assert r"\input" not in (tmp_path / "t" / "summary.tex").read_text()
    held.report(tmp_path / "page.html")
    held.export(tmp_path / "t", "csv", raw=True)
    assert HOSTILE[0] in set(pd.read_csv(tmp_path / "t" / "trials.csv")["optimizer"])


def test_a_problems_name_that_is_no_text_is_refused():
    data = ol.datasets.synthetic(8, 1, seed=1)
    with pytest.raises(ValueError, match=r"a problem cannot be called 'a\\ud800b'"):
        ol.compare(ol.LinearRegression(data.X, data.y, name="a\ud800b"), ol.Lstsq())


@pytest.mark.usefixtures("same_page")
def test_files_whose_names_are_no_utf8_are_read_and_written(command, folder):
    name = os.fsdecode(b"caf\xe9")
    (folder / f"{name}.csv").write_bytes((folder / "data.csv").read_bytes())
    status, _, err = command(
        "compare", f"{name}.csv", "--target", "y", "--optimizers", "lstsq",
        "--repeats", "1", "--csv", name, "--report", f"{name}.html", "--store", f"{name}.db",
    )  # fmt: skip
    assert status == 0, err
    assert r"wrote 8 files into" in err
    assert len(pd.read_csv(folder / name / "trials.csv")) == 1
    assert (folder / f"{name}.html").exists()


def test_figures_of_hostile_names_are_drawn(tmp_path):
    data = ol.datasets.synthetic(8, 1, seed=1)
    _, tex, up, long = HOSTILE
    problems = [ol.LinearRegression(data.X, data.y, name=name) for name in (f"{up}/{tex}", long)]
    results = ol.compare(problems, ol.Lstsq())
    saved = results.save_figures(tmp_path / "drawn", ["svg"])
    assert sorted(saved) == sorted((tmp_path / "drawn").iterdir())
    assert sorted(tmp_path.iterdir()) == [tmp_path / "drawn"]


def test_the_summary_is_printed_before_outputs_fail_and_each_is_told(command, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ol.Results, "report", full)
    line = "run exp.py --report page.html --csv tables"
    status, out, err = command(*line.split())
    assert status == 3
    assert "Lstsq" in out
    assert "wrote 6 files into" in err
    assert re.search(r"error: .*page.html is not written, or not whole: .*No space left", err)
    assert "with --store FILE.db every trial is kept" in err
    status, _, err = command(*line.split(), "--store", "kept.db")
    assert status == 3
    assert f"every trial is in {folder / 'kept.db'}" in err


@pytest.mark.usefixtures("same_page")
def test_ctrl_c_while_figures_are_made_comes_after_the_summary(command, folder, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ol.Results, "save_figures", stopped)
    status, out, err = command("run", "exp.py", "--figures", "drawn", "--report", "page.html")
    assert status == 130
    assert "Lstsq" in out
    assert "wrote page.html" in err
    assert f"stopped: {folder / 'drawn'} is not written" in err


class Locks:
    """Keeps the results file locked, as another process may, from its own trial on."""

    uses_batches = False

    def __init__(self, path):
        self.path, self.lock = path, None

    def iterates(self, problem, batches, start):
        if self.lock is None:
            self.lock = sqlite3.connect(self.path, isolation_level=None)
            self.lock.execute("BEGIN EXCLUSIVE")
        yield ol.Iterate(start)


def test_a_lock_in_mid_run_ends_with_the_rows_of_what_is_held_and_status_3(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("optlab.experiment.Store", partial(Store, busy_seconds=0.05))
    path, data = tmp_path / "r.db", ol.datasets.synthetic(8, 1, seed=1)
    locks = Locks(path)
    experiment = ol.Experiment(
        problems=ol.LinearRegression.from_dataset(data),
        optimizers={"one": ol.Lstsq(), "locks": locks, "three": ol.Lstsq()},
    )
    with pytest.raises(UnavailableError, match="another process keeps it locked") as raised:
        execute(experiment, outputs=Outputs(store=path, csv=tmp_path / "tables"))
    locks.lock.close()
    assert "run the same command again, which computes none of them twice" in str(raised.value)
    assert "locks" in capsys.readouterr().out
    trials = pd.read_csv(tmp_path / "tables" / "trials.csv").set_index("optimizer")
    assert len(trials) == 3
    assert trials["status"]["locks"] == "finished"
    held = ol.Results.load(path).trials.set_index("optimizer")["status"]
    assert held["locks"] == "interrupted"


SMALL_DISKS = """
import ctypes
import os
import subprocess
import sys
from pathlib import Path

from optlab.app import cli

user, group = os.getuid(), os.getgid()
if ctypes.CDLL(None).unshare(0x10000000 | 0x00020000):  # of users and of mounts: `unshare -rm`
    sys.exit(77)
for name, text in (("uid_map", f"0 {user} 1"), ("setgroups", "deny"), ("gid_map", f"0 {group} 1")):
    Path("/proc/self", name).write_text(text)
for pages in sys.argv[1:]:
    os.mkdir(pages)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * int(pages)}k", "none", pages]
    if subprocess.run(mount).returncode:
        sys.exit(77)
    if (child := os.fork()) == 0:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{pages}.{name}", os.O_WRONLY | os.O_CREAT), number)
        command = ["run", "exp.py", "--store", f"{pages}/s.db", "--report", f"{pages}/p.html"]
        sys.argv = ["optlab", *command]
        cli.main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no namespaces")
def test_a_full_disk_ends_with_the_summary_and_status_3(folder):
    sizes = ["8", "64", "400"]
    done = subprocess.run(
        [program("python"), "-c", SMALL_DISKS, *sizes], cwd=folder,
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    assert done.stdout.split() == ["3"] * len(sizes), done.stderr
    for pages in sizes:
        said = (folder / f"{pages}.err").read_text()
        assert "Traceback" not in said
        assert "full" in said or "No space left" in said
    assert "Lstsq" in (folder / "400.out").read_text()  # the store fits, the page does not


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("streams", "status"),
    [("2>&-", 0), ("2>&- >&- <&-", 0), ("2>/dev/full", 0), (">/dev/full", 3)],
)
def test_closed_and_full_streams_end_no_run(folder, streams, status):
    line = f"{program('optlab')} run exp.py --store s.db --csv tables {streams}"
    done = subprocess.run(line, shell=True, cwd=folder, check=False, timeout=200)
    assert done.returncode == status
    assert len(pd.read_csv(folder / "tables" / "trials.csv")) == 1
    assert len(ol.Results.load(folder / "s.db").trials) == 1


SLOW = """
import pathlib
import time

import optlab as ol


class Slow:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        pathlib.Path("running").touch()
        time.sleep(200)


problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(problems=problem, optimizers=[ol.Lstsq(), Slow()], epochs=3)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_ends_a_run_as_sigterm_does(folder):
    (folder / "slow.py").write_text(SLOW)
    line = [program("optlab"), "run", "slow.py", "--csv", "tables"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        while not (folder / "running").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in out
    assert len(pd.read_csv(folder / "tables" / "trials.csv")) == 2
