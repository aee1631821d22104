"""The reference of a problem in lines, as the page shows it."""

from dataclasses import replace

import numpy as np
import pytest

import optlab as ol
from optlab.lab import ProblemSummary
from optlab.lab.store.problem_summary import ReferenceSummary
from optlab.report.page.reference_lines import MOST_PARAMETERS, reference_lines
from optlab.text import number


def test_a_certificate_is_given_in_words():
    problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
    facts = ProblemSummary.of("diabetes", problem)
    shown, known = reference_lines(facts), facts.certificate
    lines = dict(shown.lines)
    assert lines["problem"] == "LinearRegression, 442 rows, 10 columns, float64"
    assert lines["digits predicted"] == f"{known['digits']:.3g}, of the least accurate parameter"
    assert lines["rank"] == "11 of 11 (of singular values, those below 9.81e-14 are 0)"
    assert (lines["to be trusted"], lines["found"]) == ("yes", known["message"])
    bmi = facts.parameters["weight"][2], known["standard_errors"]["weight"][2]
    data = ol.datasets.diabetes().X[:, 2]  # a unit of the raw column is 1 / its deviation
    both = [number(value, 10) for value in (*(value / data.std() for value in bmi), *bmi)]
    assert ("bmi", *both) in shown.rows
    assert shown.head[1:] == [
        "coefficient", "standard error", "as fitted", "standard error as fitted"
    ]  # fmt: skip
    assert lines["preparation of the data"][-1][1].startswith("each feature standardized")


def test_coefficients_of_raw_columns_are_given_once():
    problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes())
    shown = reference_lines(ProblemSummary.of("diabetes", problem))
    assert (shown.head, shown.fitted) == (
        ["name", "coefficient", "standard error"], "442 rows fitted"
    )  # fmt: skip


def test_missing_facts_are_left_out_and_others_shown_as_they_are():
    problem = ol.LinearRegression(np.eye(30)[:, :29], np.ones(30))
    facts = ProblemSummary.of("<many>", problem)
    own = {"message": "by hand", "rank": 3, "own_fact": 0.25, "backward_error": None}
    reference = replace(facts.reference, certificate=own)
    shown = reference_lines(replace(facts, reference=reference))
    lines = dict(shown.lines)
    assert (lines["own fact"], lines["rank"]) == ("0.25", "3")
    assert "backward error" not in lines
    assert shown.head == ["name", "coefficient"]
    assert (len(shown.rows), shown.parameters) == (MOST_PARAMETERS, 30)


@pytest.mark.parametrize(
    ("reference", "line", "others"),
    [
        (ReferenceSummary("certified", 0.5, bound=1e-17), "certified: a proof comes with it",
         {"its loss": "0.5", "proven bound": "at most 1e-17 above the infimum"}),
        (ReferenceSummary("certified", 0.5, message="30 digits by NIST", digits=11.0),
         "certified: by those who publish the problem; how, is said below",
         {"found": "30 digits by NIST", "digits predicted": "11, of the least accurate parameter"}),
        (ReferenceSummary("computed", 0.5, unique=False, trusted=False),
         "computed: a solver's answer, without a proof",
         {"minimiser": "one of many", "to be trusted": "no"}),
        (None, "none: no trial recorded a finite loss", {}),
    ],
)  # fmt: skip
def test_the_kind_of_a_reference_is_said_in_words(reference, line, others):
    facts = ProblemSummary("p", "Mine", 3, 2, "float64", (), reference=reference)
    shown = reference_lines(facts)
    lines = dict(shown.lines)
    assert lines["reference"] == line
    assert others.items() <= lines.items()
    assert shown.rows == []  # there is no table of what is not known
    assert "rank" not in lines
