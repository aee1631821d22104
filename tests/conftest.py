import gc
import os
import pickle
import shutil
import subprocess
import time
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from _pytest.doctest import DoctestModule
from hypothesis import settings

import optlab as ol

# Derandomized: the same examples on every run, so that a red test is red for everybody.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=10, print_blob=True)
settings.load_profile("ci")


if not torch.cuda.is_available():
    # Kernels are run by Triton's interpreter; triton reads this when it is first imported.
    os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).parents[1]
gc.disable()  # until all test files are loaded: it would walk over what only grows


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """Let tests side by side, and what they start, have one thread each.

    Threads that wait for each other spin, which would take the cores from the other tests; where a
    test needs several, they sleep.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def run_in(folder, command):
    """Run a command line as a person types it, in a folder with the experiments."""
    shutil.copytree(ROOT / "experiments", folder / "experiments", dirs_exist_ok=True)
    from tests.commands import program

    scripts = f"{Path(program('optlab')).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": scripts, "MPLBACKEND": "Agg"},
        capture_output=True, text=True, timeout=250, shell=True, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def number_of_threads_is_left_as_it_was():
    """Blame the test that changes it, not a later one whose sums have other bits."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.fixture
def new_children():
    """A function: the processes that this one has begun since the test began, and that run."""
    before = psutil.Process().children()  # other tests' libraries may keep some for good
    return lambda: [p for p in psutil.Process().children() if p not in before and p.is_running()]


def pytest_ignore_collect(collection_path, config):
    """Load no file without a test that runs alone where only such tests are asked for."""
    if config.option.markexpr == "alone" and collection_path.suffix == ".py":
        return "mark.alone" not in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Look for doctests in the package alone: of these files no docstring has any."""
    return [found for found in (yield) if not isinstance(found, DoctestModule)]


def pytest_collection_finish():
    """Let no garbage collection walk over what all test files have loaded."""
    gc.freeze()
    gc.enable()


def run_once(tmp_path_factory, name, command):
    """Run a command once for all processes of a test run: what came of it, and its folder."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    outcome = folder.with_suffix(".pickle")
    try:
        folder.mkdir()
    except FileExistsError:  # another process runs it
        while not outcome.exists():
            time.sleep(0.05)
    else:
        try:
            done = run_in(folder, command)
        except subprocess.TimeoutExpired as error:
            done = error
        written = folder.with_suffix(".part")
        written.write_bytes(pickle.dumps(done))
        written.replace(outcome)
    done = pickle.loads(outcome.read_bytes())
    if isinstance(done, subprocess.TimeoutExpired):
        raise done
    return done, folder


DIABETES = (
    "optlab run experiments/diabetes.py --epochs 100 --store diabetes.db --repeats 3 "
    "--report diabetes.html"
)


@pytest.fixture(scope="session")
def diabetes_run(tmp_path_factory):
    """The README's longest command: what came of it, and its folder."""
    return run_once(tmp_path_factory, "diabetes", DIABETES)


@pytest.fixture
def one_figure(monkeypatch):
    """Let one figure be drawn of a problem, where a test only looks if some were written."""
    from optlab.report.figures import draw

    def seconds_alone(results, problem, *, paper=draw.PAGE):
        return {"seconds": draw.seconds(results, problem, paper=paper)}

    monkeypatch.setattr(draw, "all_figures", seconds_alone)


@pytest.fixture(scope="session")
def tutorial_run(tmp_path_factory):
    """The whole tutorial with a few epochs: what came of it, and its folder."""
    from tests.commands import program

    outputs = "--figures figures --report tutorial.html"
    command = f"{program('optlab')} run experiments/tutorial.py --epochs 20 {outputs}"
    return run_once(tmp_path_factory, "tutorial", command)


@pytest.fixture(scope="session")
def tutorial():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


@pytest.fixture(scope="session")
def problem():
    """Twenty rows, two features and an intercept, well conditioned."""
    return ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, condition=2, seed=1))


@pytest.fixture(scope="session")
def trajectory():
    """The iterates after each epoch, copied, as (n_parameters,) vectors; the start comes first."""

    def run(problem, optimizer, epochs, *, batch_size="full", seed=0):
        generator = torch.Generator().manual_seed(seed)
        start = problem.start(generator)
        batches = ol.Batches(problem.X, problem.y, batch_size, generator)
        points = [flat(start)]
        iterates = optimizer.iterates(problem, batches, start)
        points += [flat(iterate.parameters) for iterate in islice(iterates, epochs)]
        return torch.stack(points)

    return run


def flat(parameters):
    return torch.cat([value.detach().clone().reshape(-1) for value in parameters.values()])


ROWS = 2000
CITIES = ("Lima", "Oslo", "Rome")


def write_flats(path):
    """Write the README's messy table: an index, an id, dates, text, gaps and decimal commas."""
    draw = np.random.default_rng(0)
    size, floor = draw.uniform(20, 200, ROWS), draw.integers(0, 9, ROWS)
    city, weight = draw.integers(0, 3, ROWS), draw.uniform(0.5, 2, ROWS)
    price = 2.5 * size - 3 * floor + np.array([-25, 0, 40])[city] + draw.normal(0, 5, ROWS)

    def comma(number, digits):
        return f"{number:.{digits}f}".replace(".", ",")

    with path.open("w", encoding="utf-8") as file:
        file.write(";id;date;size;floor;city;w;price\n")
        for i in range(ROWS):
            gap = "" if i % 97 == 3 else comma(size[i], 2)
            date = f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}"
            numbers = f"{floor[i]};{CITIES[city[i]]};{comma(weight[i], 3)};{comma(price[i], 4)}"
            file.write(f"{i};F{i:05d};{date};{gap};{numbers}\n")
