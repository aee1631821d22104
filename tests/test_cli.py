"""The commands, as subprocesses: the way people run them."""

import inspect
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import optlab as ol
from optlab.app import cli
from optlab.app.problem_options import FURTHER, USUAL, usual_optimizers
from optlab.app.summary_table import print_summary
from tests.commands import OPTLAB, program
from tests.conftest import run_in
from tests.forked_server import forks

ROOT = Path(__file__).parents[1]
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")

SCRIPT = """
import optlab as ol

problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(
    name="small", problems=problem, optimizers=[ol.ManualSGD(), ol.Lstsq()], epochs=3
)

if __name__ == "__main__":
    experiment.main()
"""

FAILING = """
import optlab as ol


class Fails:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ZeroDivisionError("on purpose")


problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(problems=problem, optimizers=[ol.ManualSGD(), Fails()], epochs=3)
"""

SLOW = """
import time

import optlab as ol


class Slow:
    uses_batches = True

    def iterates(self, problem, batches, start):
        while True:
            time.sleep(0.4)  # the bar is drawn a few times a second at most
            yield ol.Iterate(start)


problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(problems=problem, optimizers=[Slow(), ol.Lstsq()], epochs=3)
"""

# The first of two repeats takes two passes of `iterates` (cold, then timed); the second hangs.
HANGING = """
import pathlib
import time

import optlab as ol


class HangsInRepeatTwo:
    uses_batches = True
    calls = 0

    def iterates(self, problem, batches, start):
        HangsInRepeatTwo.calls += 1
        yield ol.Iterate(start)
        if HangsInRepeatTwo.calls > 2:
            pathlib.Path("hanging").touch()
            time.sleep(200)


problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
experiment = ol.Experiment(
    problems=problem, optimizers=[ol.ManualSGD(), HangsInRepeatTwo(), ol.Lstsq()],
    epochs=3, repeats=3,
)
"""


def run(*command, cwd=ROOT, env=None):
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip


def optlab(*arguments, **options):
    return run(program("optlab"), *arguments, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with tables and scripts, good and bad."""
    folder = tmp_path_factory.mktemp("cli")
    generator = np.random.default_rng(1)
    X = generator.standard_normal((40, 2)) * [1, 100]
    frame = pd.DataFrame({"age": X[:, 0], "size": X[:, 1], "y": X @ [1, 2] + 3})
    frame.to_csv(folder / "some.csv", index=False)
    frame.assign(size=frame["size"].where(frame.index != 7)).to_csv(folder / "nan.csv", index=False)
    frame.assign(age="old").to_csv(folder / "text.csv", index=False)
    species = np.where(frame["y"] + 50 * generator.standard_normal(40) > 3, "owl", "cat")
    frame.assign(y=species).to_csv(folder / "species.csv", index=False)
    for name, text in (
        ("small", SCRIPT), ("slow", SLOW), ("failing", FAILING), ("hanging", HANGING),
        ("empty", "x = 1\n"), ("wrong", SCRIPT.replace("epochs=3", "epochs=0")),
    ):  # fmt: skip
        (folder / f"{name}.py").write_text(text)
    return folder


ARTICLE = """
import dataclasses
import runpy

tutorial = runpy.run_path("experiments/tutorial.py")["experiment"]
experiment = dataclasses.replace(tutorial, optimizers=tutorial.optimizers[:1])
"""


def test_the_tutorial_prints_the_articles_log_and_final_parameters(tmp_path):
    (tmp_path / "article.py").write_text(ARTICLE)  # without the methods that the log is not of
    done = run_in(tmp_path, "optlab run article.py --batch-sizes 1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for published in (
        "Epoch 0  Loss 45.0782",
        "Epoch 10  Loss 26.4366",
        "Epoch 1970  Loss 0.2523",
        "Epoch 1980  Loss 0.2521",
        "Epoch 1990  Loss 0.0471",
    ):
        assert published in lines
    assert lines[-1] == "Final Parameters: 2.706723928451538 4.969954013824463"
    logged = [line for line in lines if line.startswith("Epoch ")]
    assert [line.split()[1] for line in logged] == [str(epoch) for epoch in range(0, 2000, 10)]


def test_the_tutorial_compares_four_optimizers_at_four_batch_sizes_on_both_devices(tutorial_run):
    done, _ = tutorial_run
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    devices = 2 if torch.cuda.is_available() else 1  # what was skipped has a line, not rows
    assert len(rows) == (2 * 4 + 2) * devices


def test_the_tutorial_saves_its_figures(tutorial_run):
    _, folder = tutorial_run
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names >= {"convergence.png", "seconds.png", "fit.png"}


def test_a_line_a_trial_is_written_to_stderr_when_it_is_no_terminal(tutorial_run):
    done, _ = tutorial_run
    *lines, page, figures = done.stderr.splitlines()
    assert page.startswith("wrote ")
    assert re.match(r"wrote \d+ files into .*figures$", figures)
    assert [line.partition(" ")[0] for line in lines] == [f"{k}/20" for k in range(1, 21)]
    assert all(": skipped" in line or ": finished in " in line for line in lines)


def without_seconds(text):
    """Return what a run prints, less its timings, what they decide, and remarks on the machine."""
    heading, settings, rest = text.partition("every setting")
    text = heading.partition("\n")[0] + settings + rest
    text = re.sub(r"^(crowded|unstable): .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r" *[\d.e+-]+ (µs|ms|s) *", " ? ", text)


def test_python_and_optlab_run_do_the_same_with_the_same_options(folder):
    options = ("--batch-sizes", "2,full", "--epochs", "4", "--seeds", "7,8", "--dtypes", "float32")
    a = optlab("run", "small.py", *options, "--csv", "a", cwd=folder)
    b = run(program("python"), "small.py", *options, "--csv", "b", cwd=folder)
    assert a.returncode == b.returncode == 0, a.stderr + b.stderr
    assert without_seconds(a.stdout) == without_seconds(b.stdout)
    for name in ("trials.csv", "traces.csv"):
        read = [
            table.drop(columns=[c for c in table if "seconds" in c or c == "cores_short"])
            for table in (pd.read_csv(folder / side / name) for side in "ab")
        ]
        pd.testing.assert_frame_equal(*read)
    assert set(read[0]["epoch"]) <= set(range(5))


def test_a_script_has_the_options_of_optlab_run_in_its_help(folder):
    ours, theirs = (
        run(*command, "--help", cwd=folder).stdout
        for command in ([program("optlab"), "run"], [program("python"), "small.py"])
    )
    options = set(re.findall(r"--[a-z-]+", ours)) - {"--version"}
    assert {"--devices", "--batch-sizes", "--epochs", "--csv", "--figures"} <= options
    assert options <= set(re.findall(r"--[a-z-]+", theirs))


@NO_CUDA
@pytest.mark.usefixtures("one_figure")
def test_compare_ends_with_the_table_and_cuda_rows_are_skipped_with_the_reason(main, folder):
    status, out, err = main(
        "compare", "some.csv", "--target", "y",
        "--optimizers", "manual-sgd,torch-sgd,lstsq,sklearn",
        "--batch-sizes", "1,32,full", "--devices", "cpu,cuda", "--epochs", "20",
        "--repeats", "1", "--csv", "tables", "--figures", "drawn",
    )  # fmt: skip
    assert status == 0, err
    header = next(line for line in out.splitlines() if "optimizer" in line)
    assert [cell.strip() for cell in re.split("[┃│|]", header) if cell.strip()] == [
        "optimizer", "batch size", "device", "status", "epochs", "seconds", "loss",
        "suboptimality", "parameter error", "learning rate",
    ]  # fmt: skip
    # Below the table only these, and then the table of coefficients.
    _, below, _ = re.split("^└.*┘$", out, flags=re.MULTILINE)
    reasons, _, coefficients = below.partition("coefficients of the reference of some")
    assert re.findall(r"^│ (\w+)", coefficients, re.MULTILINE)[0] == "intercept"
    assert re.search("^skipped: no (cuda|CUDA) device", out, re.MULTILINE)
    assert all(
        re.match(r"(skipped|finished|crowded): |reference of some", line)
        for line in reasons.split("\n")
        if line
    )
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert len(trials) == (2 * 3 + 2) * 2
    assert set(trials.loc[trials["device"] == "cuda", "status"]) == {"skipped"}
    assert set(trials.loc[trials["device"] == "cpu", "status"]) <= {"finished", "converged"}
    # Standardized columns are of order 1: closed forms are right to some 100 eps.
    direct = trials[(trials["batch"] == "direct") & (trials["device"] == "cpu")]
    assert (direct["parameter_error"] < 1e-13).all()
    assert (folder / "drawn" / "seconds.png").exists()


@NO_CUDA
def test_where_every_trial_is_skipped_the_exit_status_is_0(main):
    status, _, err = main("run", "small.py", "--devices", "cuda")
    assert status == 0, err


def test_a_failing_optimizer_gives_exit_status_1_and_its_row_with_the_message(main, folder):
    status, out, err = main("run", "failing.py", "--csv", "failed")
    assert status == 1
    assert re.search(
        r"failed: ZeroDivisionError: on purpose \(.*failing.py:\d+\) "
        r"\(Fails at batch size full on cpu\)",
        out,
    )
    assert "Traceback" not in out + err
    trials = pd.read_csv(folder / "failed" / "trials.csv").set_index("optimizer")
    assert trials["status"].to_dict() == {"ManualSGD": "finished", "Fails": "failed"}


PLANTED = """
import sys

sys.path.insert(0, {tests!r})
import planted
import optlab as ol

good = {{"good": ol.ManualSGD(0.01), "good too": ol.Lstsq()}}
bad = ["Raises", "HangsInC", "Exits", "Segfaults", "Allocates", "YieldsNothing", "MutatesData"]
experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=good | {{name: getattr(planted, name)() for name in bad}},
    batch_sizes=[5], epochs=3, repeats=1, recorded_epochs=1,
)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory is held on Linux")
def test_bad_optimizers_have_their_rows_harm_no_good_one_and_the_status_is_1(tmp_path):
    tests = str(Path(__file__).parent)
    (tmp_path / "planted_experiment.py").write_text(PLANTED.format(tests=tests))
    limits = ("--isolate", "--time-limit", "4", "--memory-limit", "500M")
    command = ("run", "planted_experiment.py", *limits, "--csv", "tables")
    done = optlab(*command, cwd=tmp_path, env=os.environ | forks())
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    trials = pd.read_csv(tmp_path / "tables" / "trials.csv").set_index("optimizer")
    assert trials["status"].to_dict() == {
        "good": "finished", "good too": "finished", "Raises": "failed", "HangsInC": "timed out",
        "Exits": "crashed", "Segfaults": "crashed", "Allocates": "failed",
        "YieldsNothing": "failed", "MutatesData": "failed",
    }  # fmt: skip
    assert trials["message"]["Exits"] == "its process died: exit code 3"
    assert "SIGSEGV" in trials["message"]["Segfaults"]
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    good = {"good": ol.ManualSGD(0.01), "good too": ol.Lstsq()}
    alone = ol.compare(problem, good, batch_sizes=[5], epochs=3, recorded_epochs=1).trials
    for row in alone.itertuples():
        assert trials["loss"][row.optimizer] == row.loss


COMPARE = ("compare", "some.csv", "--target", "y")
REFUSED = {
    "missing target": (("compare", "some.csv", "--target", "price"),
                       "no column 'price'", "'age', 'size', 'y'"),
    "no target": (("compare", "some.csv"), "--target is missing"),
    "no target but columns": (("compare", "some.csv", "--drop", "age"), "--target is missing"),
    "dataset and columns": (("compare", "diabetes", "--drop", "age"), "with a file, not with the"),
    "no such file": (("compare", "nowhere.csv", "--target", "y"), "nowhere.csv does not exist"),
    "nan": (("compare", "nan.csv", "--target", "y"), "column 'size'", "row 7", "1 missing"),
    "text": (("compare", "text.csv", "--target", "y"), "column 'age' holds text", "'old' in row 0"),
    "batch size 0": ((*COMPARE, "--batch-sizes", "1,0"), "at least 1 or 'full', not 0"),
    "batch size -4": ((*COMPARE, "--batch-sizes", "-4"), "with commas between, not '-4'"),
    "batch size x": ((*COMPARE, "--batch-sizes", "half"), "--batch-sizes takes whole numbers"),
    "rate 0": ((*COMPARE, "--learning-rate", "0"), "learning_rate must be positive and finite"),
    "rate -1": ((*COMPARE, "--learning-rate", "-1"), "learning_rate must be positive and finite"),
    "rate nan": ((*COMPARE, "--learning-rate", "nan"), "learning_rate must be positive and finite"),
    "memory limit": ((*COMPARE, "--isolate", "--memory-limit", "much"),
                     "memory_limit must be a size such as 500M or 2G, not 'much'"),
    "memory limit alone": ((*COMPARE, "--memory-limit", "2G"),
                           "memory_limit needs isolate or jobs"),
    "redo alone": ((*COMPARE, "--redo", "failed"), "name the store"),
    "epochs 0": ((*COMPARE, "--epochs", "0"), "epochs must be a whole number of at least 1, not 0"),
    "epochs x": ((*COMPARE, "--epochs", "many"), "--epochs", "many"),
    "optimizer": ((*COMPARE, "--optimizers", "manual-sdg"),
                  "unknown optimizer 'manual-sdg': did you mean 'manual-sgd'?"),
    "device": ((*COMPARE, "--devices", "cudda"), "unknown device 'cudda': did you mean 'cuda'?"),
    "dataset": (("compare", "diabets"), "unknown dataset 'diabets': did you mean 'diabetes'?",
                "`optlab list datasets`", "diabets is no file either"),
    "problem": ((*COMPARE, "--problem", "huger"),
                "unknown problem 'huger': did you mean 'huber'? there are linear, logistic"),
    "problem's option": ((*COMPARE, "--problem", "huber", "--delta", "2", "--quantile", "0.5"),
                         "--problem huber does not take --quantile: it takes --l1, --l2, --delta"),
    "labels": (("compare", "species.csv", "--target", "y"), "it is the target, which must be num",
               "--problem logistic"),
    "labels of numbers": ((*COMPARE, "--problem", "logistic"), "y must hold class labels"),
    "option": ((*COMPARE, "--epoch", "3"), "--epoch"),
    "list": (("list", "animals"), "animals", "optimizers", "datasets", "devices"),
    "command": (("comprae",), "comprae"),
    "script": (("run", "nowhere.py"), "there is no file nowhere.py"),
    "no experiment": (("run", "empty.py"), "must hold `experiment = optlab.Experiment(...)`"),
    "wrong script": (("run", "wrong.py"), "wrong.py, line 5: epochs must be"),
}  # fmt: skip


def assert_refused(status, out, err, sentences):
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())  # a box, folded to the terminal
    for sentence in sentences:
        assert sentence in said


@pytest.fixture
def main(monkeypatch, folder, capsys):
    """Call what the command `optlab` calls, without the seconds that loading torch takes."""

    def call(*arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["optlab", *arguments])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gives_exit_status_2_and_says_what_is_wrong_without_a_traceback(main, name):
    arguments, *sentences = REFUSED[name]
    assert_refused(*main(*arguments), sentences)


@pytest.mark.parametrize("name", ["option", "wrong script"])
def test_bad_input_to_the_command_itself_ends_likewise(folder, name):
    arguments, *sentences = REFUSED[name]
    done = optlab(*arguments, cwd=folder)
    assert_refused(done.returncode, done.stdout, done.stderr, sentences)


def test_ctrl_c_gives_exit_status_130_and_keeps_what_had_finished(folder):
    # A shell that starts us in the background makes us ignore SIGINT, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [program("optlab"), "run", "hanging.py", "--csv", "stopped"], cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        while not (folder / "hanging").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in out
    trials = pd.read_csv(folder / "stopped" / "trials.csv")
    assert len(trials) == 9
    assert set(trials.loc[trials["repeat"] == 1, "status"]) == {"finished"}
    assert set(trials.loc[trials["repeat"] == 3, "status"]) == {"interrupted"}
    stopped = trials[(trials["optimizer"] == "HangsInRepeatTwo") & (trials["repeat"] == 2)].iloc[0]
    assert (stopped["status"], stopped["epochs"]) == ("interrupted", 1)


def test_a_terminal_shows_trials_done_and_the_current_ones_epoch_and_loss(folder):
    ours, theirs = pty.openpty()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [program("optlab"), "run", "slow.py"], cwd=folder, stdout=out, stderr=theirs,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "150", "LINES": "40"},
        )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"trials .* 1/2 .*", plain)
    assert "2/2" in plain
    assert re.search(r"Slow at batch size full on cpu +epoch [123]/3 +loss \d", plain)
    assert "parameter error" in (folder / "out").read_text()


def imported(*command):
    done = run(sys.executable, "-X", "importtime", *command)
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    "command", [(OPTLAB, "--help"), ("-c", "import optlab")], ids=["help", "import"]
)
def test_nothing_heavy_is_imported_for(command):
    modules = imported(*command)
    assert "optlab" in modules
    assert not modules & {"torch", "sklearn", "pandas", "matplotlib", "numpy"}


def test_help_names_the_commands():
    said = optlab("--help").stdout
    for command in ("compare", "run", "list", "info"):
        assert re.search(rf"^│ {command} ", said, re.MULTILINE)


def test_compare_makes_another_problem_of_a_table_and_gives_it_to_those_that_can_solve_it(main):
    command = ("compare", "species.csv", "--target", "y", "--problem", "logistic", "--l2", "0.01")
    status, out, err = main(*command, "--epochs", "5", "--csv", "logistic")
    assert status == 0, err
    assert "reference of species, standardized (certified): " in out
    tables = Path("logistic")
    facts = pd.read_csv(tables / "references.csv").iloc[0]
    assert (facts["kind"], facts["reference"]) == ("LogisticRegression", "certified")
    trials = pd.read_csv(tables / "trials.csv")
    assert {"ManualSGD", "TorchSGD"} <= set(trials["optimizer"])
    assert trials["optimizer"].isin(["Lstsq", "SklearnLinearRegression"]).sum() == 0
    assert "skipped" not in set(trials["status"])


def test_list_names_optimizers_problems_datasets_and_devices(main):
    optimizers, problems, datasets, devices = (
        main("list", what)[1] for what in ("optimizers", "problems", "datasets", "devices")
    )
    for name in ("linear", "logistic", "huber"):
        assert re.search(rf"^ *{name} +\S", problems, re.MULTILINE)
    for name in ("manual-sgd", "torch-sgd", "lstsq", "sklearn"):
        assert re.search(rf"^ *{name} +\S", optimizers, re.MULTILINE)
    assert "Dataset('diabetes', n=442, d=10, float64)" in " ".join(datasets.split())
    assert "cpu" in devices


def test_info_says_what_decides_speed_and_last_digits(main):
    _, said, _ = main("info")
    assert torch.__version__ in said
    for word in ("processor", "torch threads", "scikit-learn", "numpy"):
        assert word in said


def test_a_closed_stdout_costs_neither_tables_nor_page(folder):
    command = f"{program('optlab')} run small.py --csv unread --report unread.html | true"
    subprocess.run(command, cwd=folder, shell=True, check=True, capture_output=True, timeout=100)
    assert len(pd.read_csv(folder / "unread" / "trials.csv")) == 2
    assert (folder / "unread.html").read_text(encoding="utf-8").endswith("</html>\n")


def test_names_that_stdout_cannot_encode_are_printed_escaped(folder):
    script = SCRIPT.replace('"small"', '"snow ☃"')
    (folder / "snow.py").write_text(script, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [OPTLAB, "run", "snow.py"], cwd=folder, env=environment, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"snow \\u2603")


@pytest.mark.parametrize(("threads", "advice"), [(None, "try --threads 1"), (1, "nothing else")])
def test_crowded_trials_are_not_told_to_do_what_was_done(threads, advice, capsys):
    problem = ol.LinearRegression([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])
    summary = ol.compare(problem, ol.Lstsq()).summary().assign(cores_short=1.0)
    print_summary(summary, "name", threads)
    crowded = next(line for line in capsys.readouterr().out.splitlines() if "crowded:" in line)
    assert advice in crowded
    assert ("--threads" in crowded) == (threads is None)


def test_compares_help_names_the_optimizers_that_it_runs():
    softmax = ol.SoftmaxRegression([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], l2=0.1)
    line = ol.LinearRegression([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])
    assert usual_optimizers(line) == list(USUAL)
    names = [name for name in (*USUAL, *FURTHER) if name in usual_optimizers(softmax)]
    assert names == usual_optimizers(softmax)
    text = " ".join(inspect.getdoc(cli.compare).split())
    assert all(name in text for name in (*USUAL, *FURTHER))
