"""The certificate of an optimum in lines, as the page shows it."""

from dataclasses import replace

import numpy as np

import optlab as ol
from optlab.lab import ProblemSummary
from optlab.report.page.certificate_lines import MOST_PARAMETERS, certificate_lines


def test_a_certificate_is_given_in_words():
    problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
    facts = ProblemSummary.of("diabetes", problem)
    shown, known = certificate_lines(facts), facts.certificate
    lines = dict(shown.lines)
    assert lines["problem"] == "LinearRegression, 442 rows, 10 columns, float64"
    assert lines["digits predicted"] == f"{known['digits']:.3g}, of the least accurate parameter"
    assert lines["rank"] == "11 of 11 (of singular values, those below 9.81e-14 are 0)"
    assert (lines["to be trusted"], lines["found"]) == ("yes", known["message"])
    bmi = facts.optimum["weight"][2], known["standard_errors"]["weight"][2]
    assert ("bmi", f"{bmi[0]:.10g}", f"{bmi[1]:.10g}") in shown.rows


def test_missing_facts_are_left_out_and_others_shown_as_they_are():
    problem = ol.LinearRegression(np.eye(30)[:, :29], np.ones(30))
    facts = ProblemSummary.of("<many>", problem)
    own = {"message": "by hand", "rank": 3, "own_fact": 0.25, "backward_error": None}
    shown = certificate_lines(replace(facts, certificate=own))
    lines = dict(shown.lines)
    assert (lines["own fact"], lines["rank"]) == ("0.25", "3")
    assert "backward error" not in lines
    assert shown.head == ["parameter", "at the optimum"]
    assert (len(shown.rows), shown.parameters) == (MOST_PARAMETERS, 30)
