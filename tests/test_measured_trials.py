"""Tables and sentences are about measured trials, whatever the tuning trials did."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.analysis.theory_tables import modes
from optlab.report.answer.terminal import answer_text
from optlab.report.findings.all_findings import findings
from optlab.report.findings.caveats import caveats
from optlab.report.page.page_data import page_data
from optlab.report.table_files import all_tables
from optlab.report.views import views_of
from optlab.results import Results

OF_TUNING = {
    "tuning", "tuning_settings", "best_of_k", "tuning_ranks", "plot_tuning",
    "scores",  # of k tuning trials
}  # fmt: skip
OF_ALL_TRIALS = {
    "filter", "sort", "of_trials",  # selections of rows
    "parameters", "parameter_history", "traceback",  # of the trial that is named
    "load", "of", "anatomy", "save",  # which read no tables, or write all of them
    "to_csv", "export", "report", "save_figures", "figures",  # of what is compared below
    "plot_win_rates",
}  # fmt: skip

ANSWERS = {
    "summary": lambda r: r.summary(),
    "ratios": lambda r: r.ratios("SGD(learning_rate=0.3)"),
    "theory": lambda r: r.theory(),
    "modes": modes,
    "time_to_target": lambda r: r.time_to_target(0.01),
    "performance_profile": lambda r: r.performance_profile(0.01),
    "win_rates": lambda r: r.win_rates(0.01),
    "expected_cost": lambda r: r.expected_cost(0.01),
    "diff": lambda r: r.diff(replace(r, trials=r.trials.assign(seconds=2.0))).table,
    "to_latex": lambda r: r.to_latex(),
    "ranking": lambda r: r.ranking(),
    "verdict": lambda r: r.verdict(),
    "best": lambda r: r.best().trials,
    "best traces": lambda r: r.best("batch").traces,
    "views": lambda r: [(view.table, *view.extra.values()) for view in views_of(r).values()],
    "findings": lambda r: findings(r, views_of(r)),
    "caveats": lambda r: caveats(r, views_of(r)),
    "page": lambda r: page_data(r.measured, views_of(r))["tables"],
    "exported parameters": lambda r: all_tables(r)["parameters"],
    "answer": lambda r: answer_text(r).splitlines()[1:],
    "plot_convergence": lambda r: _drawn(r.plot_convergence()),
    "plot_theory": lambda r: _drawn(r.plot_theory()),
    "plot_fit": lambda r: _drawn(r.plot_fit()),
    "plot_hyperparameter": lambda r: _drawn(r.plot_hyperparameter("learning_rate")),
    "plot_seconds": lambda r: _drawn(r.plot_seconds()),
    "plot_batch_sizes": lambda r: _drawn(r.plot_batch_sizes()),
}


def _drawn(figure) -> list[object]:
    texts = [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []
    lines = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    return [texts, *lines]


@pytest.fixture(scope="module")
def results() -> Results:
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    optimizers = [ol.SGD(0.3), ol.SGD(0.05), ol.Lstsq()]
    return ol.compare(
        problem, optimizers, batch_sizes=[5, "full"], seeds=[0, 1], epochs=12, stop_at=1e-3,
        recorded_epochs=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def with_tuning(results) -> Results:
    """The same, after tuning trials of each setting that are quick, exact and of another rate."""
    trials, more = results.trials, 1000
    planted = trials.assign(
        trial=trials["trial"] + more, stage="tuning", setting=1, status="converged", seed=77,
        message="planted", hp_learning_rate=0.9, loss=0.0, suboptimality=0.0, epochs=1,
        seconds=1e-9,
    )  # fmt: skip
    skipped = planted.iloc[:1].assign(trial=2 * more, status="skipped")
    own = results.traces["trial"] + more
    traces = results.traces.assign(trial=own, suboptimality=0.0, loss=0.0)
    told = results.predictions.assign(
        trial=results.predictions["trial"] + more, learning_rate=0.9, stable_rate=9.0,
        predicted_epochs=1.0, noise_floor=7.0,
    )  # fmt: skip
    found = results.final_parameters.items()
    zeros = {number + more: {k: 0 * v for k, v in own.items()} for number, own in found}
    return replace(
        results,
        trials=pd.concat([planted, skipped, trials], ignore_index=True).astype(trials.dtypes),
        traces=pd.concat([traces, results.traces], ignore_index=True),
        predictions=pd.concat([told, results.predictions], ignore_index=True),
        final_parameters=zeros | results.final_parameters,
        tracebacks={more: "planted"},
    )


def test_every_method_of_results_is_of_measured_trials_or_has_a_reason():
    public = {n for n, _ in inspect.getmembers(Results, inspect.isfunction) if n[0] != "_"}
    classmethods = {n for n, _ in inspect.getmembers(Results, inspect.ismethod) if n[0] != "_"}
    assert public | classmethods == OF_TUNING | OF_ALL_TRIALS | set(ANSWERS) & (public)


@pytest.mark.parametrize("name", ANSWERS)
def test_tuning_trials_change_no_answer(name, results, with_tuning):
    assert _plain(ANSWERS[name](with_tuning)) == _plain(ANSWERS[name](results))


def test_counts_tell_tuning_trials_apart(results, with_tuning):
    said = repr(results)
    assert repr(with_tuning) == f"{said[:-1]}; 11 to tune)"
    assert "10 trials: " in answer_text(with_tuning).splitlines()[0]
    assert "; 11 to tune" in with_tuning._repr_html_()


def _plain(value: object) -> object:
    """Return a value that can be compared: tables and arrays as text, to the last bit."""
    if isinstance(value, pd.DataFrame):
        return value.reset_index(drop=True).to_json(double_precision=15), list(
            map(str, value.dtypes)
        )
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return str(value)
