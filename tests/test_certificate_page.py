"""The certificate of an optimum, as the page tells it."""

import re
from dataclasses import replace

import numpy as np

import optlab as ol
from optlab.lab import ProblemSummary
from optlab.report.page.certificate_table import MOST_PARAMETERS, certificate


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_what_a_certificate_says_is_told_in_words():
    problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
    facts = ProblemSummary.of("diabetes", problem)
    said = text_of(certificate(facts))
    known = facts.certificate
    for words in (
        "LinearRegression, 442 rows, 10 columns, float64",
        f"digits predicted {known['digits']:.3g}, of the least accurate parameter",
        "rank 11 of 11 (of singular values, those below 9.81e-14 are 0)",
        "to be trusted yes",
        known["message"],
    ):
        assert words in said
    bmi = facts.optimum["weight"][2], known["standard_errors"]["weight"][2]
    assert f"bmi {bmi[0]:.10g} {bmi[1]:.10g}" in said


def test_what_is_not_known_is_left_out_and_what_is_not_ours_is_told_as_it_is():
    problem = ol.LinearRegression(np.eye(30)[:, :29], np.ones(30))
    facts = ProblemSummary.of("<many>", problem)
    own = {"message": "by hand", "rank": 3, "own_fact": 0.25, "backward_error": None}
    html = certificate(replace(facts, certificate=own))
    assert "&lt;many&gt;" in html
    said = text_of(html)
    assert "own fact 0.25" in said
    assert "rank 3 " in said
    assert "backward error" not in said
    assert "standard error" not in said
    assert html.count("<tr>") == 1 + MOST_PARAMETERS
    assert f"{MOST_PARAMETERS} of 30 parameters" in said
