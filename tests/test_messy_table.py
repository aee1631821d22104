"""A messy table, from the shell in one line and from pandas in five: the right coefficients."""

import csv
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import optlab as ol
from tests.commands import program
from tests.conftest import CITIES, ROWS, write_flats

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
(COMMAND,) = re.findall(r"^\$ (optlab compare flats\.csv .*)$", README, flags=re.MULTILINE)
(FROM_PANDAS,) = re.findall(
    r"^```python\n(import pandas.*?)^```$", README, re.MULTILINE | re.DOTALL
)
COMPARE = """
results = ol.compare(flat_prices, [ol.ManualSGD(0.1), ol.Lstsq()], epochs=100, stop_at=1e-6)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the messy table."""
    folder = tmp_path_factory.mktemp("messy")
    write_flats(folder / "flats.csv")
    return folder


@pytest.fixture(scope="module")
def from_pandas(folder):
    """The names that the five lines of pandas define."""
    names = {"ol": ol}
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(FROM_PANDAS + COMPARE, names)
    finally:
        os.chdir(before)
    return names


class Solved:
    """The weighted fit of the training rows and its loss on the others, by numpy alone."""

    def __init__(self, file, held_out):
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter=";"))

        def numbers(name):
            return np.array([float(row[name].replace(",", ".") or "nan") for row in rows])

        w, y, size = numbers("w"), numbers("price"), numbers("size")
        held = np.array([pair in held_out for pair in zip(y, w, strict=True)])
        assert held.sum() == len(held_out) == ROWS // 5
        size[np.isnan(size)] = np.nanmedian(size[~held])
        towns = [np.array([row["city"] == town for row in rows], float) for town in CITIES[1:]]
        A = np.column_stack([np.ones(ROWS), size, numbers("floor"), *towns])
        root = np.sqrt(w[~held])
        rows_scaled, y_scaled = A[~held] * root[:, None], y[~held] * root
        self.coefficients = np.linalg.lstsq(rows_scaled, y_scaled, rcond=None)[0]
        squares = (A[held] @ self.coefficients - y[held]) ** 2
        self.validation_loss = np.average(squares, weights=w[held])


@pytest.fixture(scope="module")
def solved(folder, from_pandas):
    held = from_pandas["data"].validation
    pairs = set(zip(held.y.tolist(), held.sample_weight.tolist(), strict=True))
    return Solved(folder / "flats.csv", pairs)


def test_pandas_in_five_lines_finds_the_coefficients_in_the_units_of_the_table(from_pandas, solved):
    table = from_pandas["flat_prices"].coefficients()
    assert table["name"].tolist() == ["intercept", "size", "floor", "city=Oslo", "city=Rome"]
    # Both solvers are backward stable on columns of condition below 1e4: 1e4 eps, and some more.
    np.testing.assert_allclose(table["coefficient"], solved.coefficients, rtol=1e-10)
    assert (table["standard_error"] > 0).all()
    # The truth is 2.5 a square metre, a price 40 higher in Rome than in Oslo.
    gap = abs(table["coefficient"][1] - 2.5)
    assert gap < 5 * table["standard_error"][1]
    trials = from_pandas["results"].trials
    assert set(trials["status"]) == {"converged"}
    by_descent, exact = trials["validation_loss"]
    assert exact == pytest.approx(solved.validation_loss, rel=1e-9)
    assert by_descent == pytest.approx(exact, rel=0.01)  # it stops at 1e-6 of its start


def test_the_shell_prints_the_same_coefficients(folder, solved):
    name, *arguments = COMMAND.split()
    done = subprocess.run(
        [program(name), *arguments],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=200, check=False,
        env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^│ (intercept|size|floor|city=\w+) +│ +(\S+) │", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["intercept", "size", "floor", "city=Oslo", "city=Rome"]
    found = [float(number) for _, number in rows]
    np.testing.assert_allclose(found, solved.coefficients, rtol=1e-5)  # six digits are printed
    (loss,) = re.findall(r"validation loss (\d\S*)", done.stdout)
    assert float(loss) == pytest.approx(solved.validation_loss, rel=1e-5)
    for sentence in ("decimal comma", "'id', 'date'", "held out at random", "row weights are"):
        assert sentence in done.stderr
