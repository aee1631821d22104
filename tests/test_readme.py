import os
import re
import subprocess
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from tests.commands import program
from tests.conftest import DIABETES, write_flats
from tests.test_messy_table import COMMAND as MESSY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for language, text in BLOCKS
    for line in text.splitlines()
    if language == "console" and line.startswith("$ optlab")
]


def run(command, folder):
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "PATH": f"{Path(program('optlab')).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200,
        shell=isinstance(command, str), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_two_code_blocks_are_one_command_line_each():
    for language, text in BLOCKS[:2]:
        assert language == "sh"
        assert text.count("\n") == 1
        assert text.strip()


def test_the_first_command_installs_and_runs_the_tutorial():
    install, _, tutorial = BLOCKS[0][1].strip().partition(" && ")
    assert install.startswith("python -m pip install ")
    assert tutorial == "optlab run experiments/tutorial.py"


def test_ci_runs_the_second_command_word_for_word():
    command = BLOCKS[1][1].strip()
    assert command.endswith("python -m nox -s tests")
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_python_blocks_run_one_after_the_other(tmp_path):
    code = [text for language, text in BLOCKS if language == "python"]
    assert code
    a_tenth = re.sub(r"epochs=(\d+)0\b", r"epochs=\1", "\n".join(code))
    (tmp_path / "readme.py").write_text(a_tenth, encoding="utf-8")
    write_flats(tmp_path / "flats.csv")
    # Not as __main__: the experiment script's last lines would run it and exit.
    run_as_module = "import runpy; runpy.run_path('readme.py', run_name='readme')"
    printed = run([program("python"), "-c", run_as_module], tmp_path)
    assert "ManualSGD" in printed
    assert (tmp_path / "convergence.png").exists()


def test_the_experiment_of_the_readme_runs_as_a_script(tmp_path):
    (code,) = [text for language, text in BLOCKS if "experiment.main()" in text]
    (tmp_path / "my_experiment.py").write_text(code, encoding="utf-8")
    assert "my experiment" in run(
        [program("python"), "my_experiment.py", "--epochs", "2"], tmp_path
    )


def test_the_diabetes_command_runs(diabetes_run):
    done, folder = diabetes_run
    assert DIABETES in COMMANDS
    assert done.returncode == 0, done.stderr
    assert (folder / "diabetes.html").stat().st_size > 1e6


# The messy table's command is run by test_messy_table.py, which looks at its coefficients.
@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in {DIABETES, MESSY}])
def test_the_commands_it_shows_run(tmp_path, command):
    rows = "".join(f"{x},{2 * x + x % 3}\n" for x in range(4))
    (tmp_path / "points.csv").write_text("x,y\n" + rows)
    write_flats(tmp_path / "flats.csv")
    iris = load_iris(as_frame=True)
    species = iris.target.map(dict(enumerate(iris.target_names)))
    iris.data.assign(species=species).to_csv(tmp_path / "iris.csv", index=False)
    (own,) = [text for language, text in BLOCKS if "class EpochMean" in text]
    (tmp_path / "mine.py").write_text(own.partition("ol.register")[0])
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    run(command, tmp_path)


def test_every_file_that_it_names_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"`((?:experiments|benchmarks)/[\w/.]*)`", README):
        assert (ROOT / name).exists(), name
