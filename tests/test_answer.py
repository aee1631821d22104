"""The verdict and the ranked table: recomputed by plain loops, and looked at where they stand."""

import fcntl
import os
import pickle
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pytest
import torch

import optlab as ol
from optlab.optimizers.adapters.torch_methods import torch_method
from optlab.report.answer.html import answer_html
from optlab.report.answer.ranked_rows import ranked_rows
from optlab.report.answer.ranking import ranking
from optlab.report.answer.remarks import remarks
from optlab.report.answer.terminal import answer_text, fold
from optlab.report.answer.told_apart import beside_first
from optlab.report.answer.verdict import verdict
from optlab.report.glossary import TermLinks
from optlab.report.page.render import render_page
from optlab.report.views import TARGETS
from optlab.results import Results
from optlab.text import format_seconds, shown_path
from tests.commands import program
from tests.planted_results import EVIL, HOSTILE, plant
from tests.test_findings import RANDOM, cell_in, cells_of, hits_of, key, ratio_of

WELL = {"finished", "converged"}
RATES = {
    "seed": 9, "optimizers": ("Adam(learning_rate=0.1)", "Adam(learning_rate=0.2)", "SGD", "Lstsq"),
    "devices": ("cpu",), "mishaps": False,
}  # fmt: skip


@cache
def planted(seed):
    """Results that no test changes, kept with what is computed of them."""
    return plant(**next(settings for settings in (*RANDOM, RATES) if settings["seed"] == seed))


def plain_keys(results, problem, hits):
    """Return each cell's key, the least of the best, by loops; with its costs to the target."""
    found = {}
    for cell, trials in cells_of(results).items():
        if cell[0] != problem or {t["status"] for t in trials} == {"skipped"}:
            continue
        there = [(t, hit) for t, hit in hits[cell] if hit]
        ended = [t["suboptimality"] for t in trials if t["status"] in WELL]
        alone = [hit[0] for t, hit in there if not t["contended"]]
        if len(there) == len(hits[cell]) > 0:
            tier = (0, median(alone)) if alone else (1, median(hit[1] for _, hit in there))
        elif there:
            tier = (2, -len(there) / len(hits[cell]), median(ended) if ended else np.inf)
        else:
            tier = (3, median(ended)) if ended else (4,)
        found[cell] = tier
    return found


def smallest_target(every, problem):
    """Return the smallest target that a cell with batches reaches in every trial, by loops."""
    there = []
    for target, hits in every.items():
        own = [h for cell, h in hits.items() if cell[0] == problem and cell[2] is not None]
        there += [target] if any(h and all(hit for _, hit in h) for h in own) else []
    return min(there)


def paired(hits, mine, its):
    seconds = [
        {(t["seed"], t["repeat"]): hit[0] for t, hit in hits[cell] if not t["contended"]}
        for cell in (mine, its)
    ]
    return ratio_of([(seconds[0][k], seconds[1][k]) for k in seconds[0] if k in seconds[1]])


@pytest.mark.parametrize(
    "settings", [*RANDOM, RATES], ids=lambda settings: f"seed {settings['seed']}"
)
def test_the_ranking_and_the_verdict_are_those_of_plain_loops(settings):
    results = planted(settings["seed"])
    table, every = ranking(results), {target: hits_of(results, target) for target in TARGETS}
    said = {(s.problem, s.kind): s for s in verdict(results)}
    for problem in results.problems:
        hits = every[smallest_target(every, problem)]
        keys = plain_keys(results, problem, hits)
        best = {}
        for cell in sorted(keys, key=keys.get):
            best.setdefault(cell[1].partition("(")[0], cell)
        rows = table[table["problem"] == problem].to_dict("records")
        assert [key(row) for row in rows] == list(best.values())
        timed = [cell for cell in best.values() if keys[cell][0] == 0]
        for place, (row, cell) in enumerate(zip(rows, best.values(), strict=True)):
            tier = keys[cell]
            unranked = tier[0] == 4 or (tier[0] == 1 and timed)
            assert row["tier"] == tier[0]
            assert pd.isna(row["rank"]) == bool(unranked)
            if tier[0] in {0, 1}:
                assert row["seconds" if tier[0] == 0 else "epochs"] == pytest.approx(tier[1])
            if tier[0] == 0 and place:
                ratio = row["ratio"], row["ratio_low"], row["ratio_high"]
                assert ratio == pytest.approx(paired(hits, cell, timed[0]), nan_ok=True)
        check_verdict(hits, said, list(best.values()), keys)


def check_verdict(hits, said, best, keys):
    """Check the sentence on the first, and on the first iterative, with the next beside it."""
    problem = best[0][0]
    iterative = [cell for cell in best if cell[2] is not None]
    if best[0][2] is None:
        sentence = said[problem, "direct"]
        assert cell_in(sentence.numbers) == best[0]
        assert format_seconds(keys[best[0]][1]) in sentence.text
    if not iterative or keys[iterative[0]][0] != 0:
        return
    sentence = said[problem, "first"]
    assert cell_in(sentence.numbers) == iterative[0]
    assert sentence.numbers["seconds"] == pytest.approx(keys[iterative[0]][1])
    assert format_seconds(keys[iterative[0]][1]) in sentence.text
    if len(iterative) > 1 and keys[iterative[1]][0] == 0:
        following = sentence.numbers["next"]
        assert cell_in(following) == iterative[1]
        ratio = following["ratio"], following["ratio_low"], following["ratio_high"]
        assert ratio == pytest.approx(paired(hits, iterative[1], iterative[0]), nan_ok=True)


def texts(results):
    return [sentence.text for sentence in verdict(results)]


def quiet(**settings):
    usual = {"problems": ("one",), "devices": ("cpu",), "mishaps": False, "sizes": ("full",),
             "epochs": (1, 4, 16, 64, 256, 1000, 4000)}  # fmt: skip
    return plant(**usual | settings)


def test_each_line_of_the_verdict_names_its_problem_where_there_are_several():
    usual = {"direct": (), "optimizers": ("A", "B")}
    planted = quiet(**usual), quiet(**usual, problems=("one", "two"))
    one, two = (ol.Results(**vars(own)) for own in planted)
    assert one.verdict().splitlines() == texts(one)
    assert two.verdict().splitlines() == [f"{s.problem}: {s.text}" for s in verdict(two)]
    assert {line[:5] for line in two.verdict().splitlines()} == {"one: ", "two: "}


def test_where_nobody_reaches_a_target_the_nearest_is_named_and_no_winner():
    results = quiet(direct=(), optimizers=("A", "B"), epochs=(1,))
    (text,) = texts(results)
    starts = results.traces[results.traces["epoch"] == 0].set_index("trial")["suboptimality"]
    parts = results.trials["suboptimality"] / results.trials["trial"].map(starts)
    least = parts.groupby(results.trials["optimizer"]).median()
    tenth = "0.1 (a tenth left of what there was to gain)"
    assert text.startswith(f"No method reached {tenth} in every trial: ")
    assert f"none reached {tenth}" in ranked_rows(results)[0].caption
    assert f"{least.idxmin()} (learning_rate=0.01, full batch) is nearest" in text
    assert f", at {least.min():.3g} after 1 epoch." in text
    assert ranking(results)["rank"].tolist() == [1, 2]


def test_direct_methods_alone_are_ranked_by_time_among_those_of_as_many_digits():
    results = quiet(optimizers=("fast", "right", "exact"), direct=("fast", "right", "exact"))
    trials = results.trials
    errors = trials["optimizer"].map({"fast": 1e-6, "right": 1e-15, "exact": 0.9e-15})
    seconds = trials["optimizer"].map({"fast": 1e-4, "right": 2e-4, "exact": 3e-4})
    results = replace(results, trials=trials.assign(parameter_error=errors, seconds=seconds),
                      traces=with_seconds(results, seconds))  # fmt: skip
    assert ranking(results)["method"].tolist() == ["right", "exact", "fast"]
    (text,) = texts(results)
    assert text.startswith("Use right (learning_rate=0.01): right to 15.0 digits in 200 µs; exact")
    assert "times as long" in text


def with_seconds(results, seconds):
    by_trial = dict(zip(results.trials["trial"], seconds, strict=True))
    traces = results.traces
    return traces.assign(seconds=traces["trial"].map(by_trial) * (traces["epoch"] > 0))


def test_a_direct_method_that_is_first_does_not_hide_one_with_more_digits():
    results = quiet(
        optimizers=("fast", "right", "Adam"), direct=("fast", "right"), sizes=(8, "full")
    )
    trials = results.trials
    errors = trials["optimizer"].map({"fast": 1e-6, "right": 1e-15, "Adam": 0.1})
    seconds = trials["optimizer"].map({"fast": 1e-4, "right": 2e-4, "Adam": 1.0})
    results = replace(results, trials=trials.assign(parameter_error=errors, seconds=seconds),
                      traces=with_seconds(results, seconds))  # fmt: skip
    first, second = texts(results)
    assert first == (
        "Use fast (learning_rate=0.01): right to 6.0 digits in 100 µs; right (learning_rate=0.01) "
        "is right to 15.0 digits in 200 µs."
    )
    assert second.startswith("The one iterative method, Adam (learning_rate=0.01, ")


def test_a_faster_direct_method_of_fewer_digits_is_named_with_its_digits():
    results = quiet(optimizers=("fast", "right"), direct=("fast", "right"), seeds=1, repeats=1)
    trials = results.trials
    errors = trials["optimizer"].map({"fast": 1e-6, "right": 1e-15})
    seconds = trials["optimizer"].map({"fast": 1e-5, "right": 2e-4})
    results = replace(results, trials=trials.assign(parameter_error=errors, seconds=seconds),
                      traces=with_seconds(results, seconds))  # fmt: skip
    (text,) = texts(results)
    assert text == (
        "Use right (learning_rate=0.01): right to 15.0 digits in 200 µs; fast (learning_rate=0.01) "
        "is right to 6.0 digits only, in 10 µs."
    )


def beside(**second):
    """Return three rows of a ranking, the second as given, the third not told apart."""
    row = {"label": "A", "method": "A", "seconds": 1.0, "low": 0.9, "high": 1.1, "timed": 3,
           "pairs": 3, "ratio": 1.2, "ratio_low": 1.1, "ratio_high": 1.3,
           "verdict": "slower"}  # fmt: skip
    second = {"label": "B", "method": "B", "seconds": 1.2} | second
    third = {"label": "C", "method": "C", "ratio_low": 0.9, "verdict": "no difference shown"}
    return pd.DataFrame([row, row | second, row | third])


def test_the_words_beside_the_first_agree_with_the_medians_and_name_who_may_be_as_fast():
    text = beside_first(beside())
    assert text == "B takes 1.20 times as long [1.10, 1.30]; C is not told apart from it"
    text = "B takes, trial by trial, 1.20 times as long [1.10, 1.30]; C is not told apart from it"
    assert beside_first(beside(seconds=1.6)) == text
    same = {"verdict": "no difference shown", "ratio_low": 0.8}
    text = "B takes 1.20 times as long [0.800, 1.30] (3 trials each: not told apart; likewise C)"
    assert beside_first(beside(**same)) == text
    wide = same | {"ratio_low": 0.05, "ratio_high": 50.0}
    assert beside_first(beside(**wide)) == "B is not told apart from it (3 trials each; likewise C)"
    few = {"verdict": "too few repeats to say", "ratio": 0.135, "ratio_low": np.nan, "pairs": 1,
           "ratio_high": np.nan, "seconds": 1.35, "timed": 1}  # fmt: skip
    assert beside_first(beside(**few)) == (
        "B has a higher median, 1.35 s; trial by trial it takes 0.135 times as long (1 trial in "
        "common: not yet certain; likewise C)"
    )


def test_the_verdict_says_that_threads_waited_for_cores():
    results = quiet(optimizers=("A", "B"), direct=())
    assert "busy" not in texts(results)[0]
    short = (results.trials["repeat"] == 1).astype(float)
    busy = replace(results, trials=results.trials.assign(cores_short=short))
    doubt = "; in 4 of 12 trials threads waited for busy cores, so who is fastest is not certain."
    assert texts(busy) == [texts(results)[0].removesuffix(".") + doubt]
    alone = quiet(optimizers=("A",), direct=())
    alone = replace(alone, trials=alone.trials.assign(cores_short=1.0))
    assert texts(alone)[0].endswith(
        "threads waited for busy cores, so the seconds are not certain."
    )


def test_without_stop_at_the_method_that_goes_on_is_first_and_the_coarse_target_is_told_after():
    """B is at 0.01 at once and stays there; A is exact, later."""
    results = quiet(optimizers=("A", "B"), direct=(), sizes=(1, 2, 4, "full"))
    named = results.trials.set_index("trial")
    traces = results.traces
    of_a, exact = (
        traces["trial"].map(named[name]).eq(value).to_numpy()
        for name, value in (("optimizer", "A"), ("batch", "full"))
    )
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    share = np.where(of_a & exact, np.where(traces["epoch"] < 64, 1.0, 1e-13), 0.01)
    share[traces["epoch"] == 0] = 1
    traces = traces.assign(suboptimality=share * traces["trial"].map(start),
                           seconds=0.001 * traces["epoch"])  # fmt: skip
    results = replace(results, traces=traces)
    (text,) = texts(results)
    assert text.startswith("Use A (learning_rate=0.01, full batch): it alone reaches 1e-12: 64 ms")
    assert re.search(r"; to 0\.01 [AB] \(.*\) is faster: 1 ms, 1 epoch\.$", text)
    own = replace(results, definition={"stop_at": {"measure": "suboptimality", "share": 0.01}})
    assert "1e-12" not in texts(own)[0]


@pytest.mark.parametrize("mark", ["contended", "shared"])
def test_seconds_of_trials_that_did_not_run_alone_rank_nothing(mark):
    results = quiet(optimizers=("A", "B"), direct=())
    results = replace(results, trials=results.trials.assign(**{mark: True}))
    table = ranking(results)
    assert table["epochs"].is_monotonic_increasing
    assert table["seconds"].isna().all()
    assert "seconds" not in ranked_rows(results)[0].columns
    (text,) = texts(results)
    how = "in a sweep" if mark == "shared" else "beside others"
    assert "needs the fewest epochs to 1e-12: " in text
    assert f" (its trials ran {how}: seconds are not ranked); A (" in text
    assert not re.search(r"\d (s|ms|µs)\b", text)
    # Where one method alone was timed, the others have no rank.
    some = results.trials.assign(**{mark: results.trials["optimizer"] == "A"})
    assert ranking(replace(results, trials=some))["rank"].fillna(0).tolist() == [1, 0]


def test_one_trial_each_is_not_yet_certain_and_equal_seconds_are_no_difference():
    single = quiet(optimizers=("A", "B"), direct=(), seeds=1, repeats=1)
    assert texts(single)[0].endswith("(1 trial each: not yet certain).")
    busy = replace(single, trials=single.trials.assign(cores_short=1.0))
    assert re.search(
        r"; [AB] \([^)]*\) took \S+ m?s \(1 trial each: not compared\)", texts(busy)[0]
    )
    assert "times as long" not in texts(busy)[0]
    several = quiet(optimizers=("A", "B"), direct=(), seeds=1, repeats=6)
    same = {(row["repeat"], row["epoch"]): row["seconds"] for row in
            several.traces.merge(several.trials[["trial", "repeat", "optimizer"]])
            .query("optimizer == 'A'").to_dict("records")}  # fmt: skip
    repeats = several.traces["trial"].map(several.trials.set_index("trial")["repeat"])
    at = zip(repeats, several.traces["epoch"], strict=True)
    b_is_a = several.traces.assign(seconds=[same[where] for where in at], suboptimality=lambda t: t[
        "suboptimality"].where(t["epoch"] == 0, 0.0))  # fmt: skip
    tied = replace(several, traces=b_is_a)
    first, second = ranking(tied)[["seconds", "epochs"]].to_numpy()
    assert (first == second).all()
    assert "takes 1.00 times as long [1.00, 1.00] (6 trials each: not told apart)" in texts(tied)[0]


def test_results_without_any_answer_say_so():
    results = quiet(optimizers=("A",), direct=())
    for status in ("diverged", "failed", "skipped"):
        traces = results.traces[:0] if status == "skipped" else results.traces
        trials = results.trials.assign(status=status, message="no luck")
        none = replace(results, trials=trials, traces=traces)
        assert texts(none) == [f"No trial ended with an answer: 6 {status}."]
        assert ("skipped: no luck (6 trials of A)" in answer_text(none)) == (status == "skipped")
        assert "No trial ended" in answer_html(none)


def test_methods_without_an_answer_are_named_after_the_others():
    results = quiet(optimizers=("A", "B"), direct=())
    bad = results.trials["optimizer"] == "B"
    trials = results.trials.assign(status=results.trials["status"].mask(bad, "diverged"))
    results = replace(results, trials=trials)
    assert texts(results)[-1] == "B (diverged) has no answer."
    assert ranking(results)["rank"].fillna(0).tolist() == [1, 0]


def test_the_target_of_another_measure_decides_and_more_may_be_better():
    results = quiet(optimizers=("A", "B"), direct=())
    own = {"measure": "accuracy", "at_least": 0.9}
    names = results.trials.set_index("trial")["optimizer"]
    good = results.traces["trial"].map(names) == "A"
    last = results.traces["epoch"] == results.traces["epoch"].max()
    accuracy = np.where(last, np.where(good, 0.8, 0.7), 0.1)
    ends = results.trials["optimizer"].map({"A": 0.8, "B": 0.7})
    trials = results.trials.assign(reference="", accuracy=ends)
    results = replace(results, trials=trials, traces=results.traces.assign(accuracy=accuracy),
                      definition={"stop_at": own})  # fmt: skip
    (text,) = texts(results)
    assert text.startswith("No method reached accuracy >= 0.9 in every trial: A (")
    assert "with accuracy 0.8 after 4000 epochs" in text
    assert ranking(results)["method"].tolist() == ["A", "B"]
    assert "accuracy" in ranked_rows(results)[0].columns


def test_where_no_reference_is_known_the_least_loss_is_the_first():
    results = quiet(optimizers=("A", "B"), direct=())
    unknown = {
        name: replace(f, reference=None, parameters={}) for name, f in results.problems.items()
    }
    blank = {"suboptimality": np.nan, "parameter_error": np.nan}
    losses = results.trials["optimizer"].map({"A": 0.5, "B": 0.4})
    results = replace(results, problems=unknown, trials=results.trials.assign(loss=losses, **blank),
                      traces=results.traces.assign(**blank))  # fmt: skip
    assert ranking(results)["method"].tolist() == ["B", "A"]
    assert "B (learning_rate=0.01, full batch) is nearest, with loss 0.4 after" in texts(results)[0]


def test_a_direct_method_without_digits_is_near_by_its_suboptimality():
    results = quiet(optimizers=("Lstsq", "slow"), direct=("Lstsq", "slow"))
    seconds = results.trials["optimizer"].map({"Lstsq": 1e-4, "slow": 1e-3})
    trials = results.trials.assign(parameter_error=np.nan, suboptimality=5e-15, seconds=seconds)
    results = replace(results, trials=trials, traces=with_seconds(results, seconds))
    (text,) = texts(results)
    assert text.startswith("Use Lstsq (learning_rate=0.01): suboptimality 5e-15 in 100 µs; slow")


def test_a_direct_method_that_did_not_run_alone_has_no_seconds():
    results = quiet(optimizers=("Lstsq",), direct=("Lstsq",))
    results = replace(results, trials=results.trials.assign(contended=True))
    (text,) = texts(results)
    assert text.startswith("Use Lstsq (learning_rate=0.01): ")
    assert not re.search(r"\d (s|ms|µs)\b", text)


@dataclass(frozen=True)
class Breaks(ol.SGD):
    """An SGD that raises at one rate."""

    def iterates(self, problem, batches, start):
        for iterate in super().iterates(problem, batches, start):
            if self.learning_rate == 0.2:
                raise RuntimeError("my bug")
            yield iterate


def test_failed_trials_of_a_method_with_an_answer_are_told_with_their_line(tutorial):
    methods = [Breaks(0.1), Breaks(0.2)]
    results = ol.compare(tutorial, methods, epochs=3, seeds=[1, 2])
    *_, told = texts(results)
    assert told == "Breaks failed in 2 of 4 trials."
    line = Breaks.iterates.__code__.co_firstlineno + 3
    place = f"{shown_path(Path(__file__))}:{line}"
    messages = results.trials.loc[results.trials["status"] == "failed", "message"]
    assert set(messages) == {f"RuntimeError: my bug ({place})"}


def test_where_no_problem_is_solved_none_is_the_first():
    results = quiet(problems=tuple("abcde"), optimizers=("A",), direct=(), epochs=(1,))
    (text,) = texts(results)
    tenth = "0.1 (a tenth left of what there was to gain)"
    assert text == f"No method reached {tenth} in every trial of any of 5 problems."


def test_of_many_problems_the_firsts_are_counted():
    results = plant(problems=tuple("abcde"), mishaps=False, devices=("cpu",))
    first = ranking(results).query("rank == 1")
    (text,) = texts(results)
    counts = first["method"].value_counts()
    assert text.startswith(f"{counts.index[0]} is fastest to 1e-12 on ")
    assert f" on {counts.iloc[0]} of 5 problems" in text
    assert len(ranked_rows(results)) == 5


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize(
    "settings", [RANDOM[0], RATES, RANDOM[4]], ids=["two devices", "rates", "dtypes"]
)
def test_at_every_width_the_verdict_and_each_column_are_whole(width, settings):
    results = planted(settings["seed"])
    check_whole(answer_text(results, width), results, width)


def check_whole(text, results, width):
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    packed = re.sub(r"\s", "", text)
    for sentence in texts(results):
        assert re.sub(r"\s", "", sentence) in packed
    assert "left out" not in text
    for ranked in ranked_rows(results):
        assert all(word in packed for name in ranked.columns for word in name.split()
                   if width >= 200 or name != "hyperparameters")  # fmt: skip
        for row in ranked.rows:
            numbers = dict(zip(ranked.columns, row, strict=True))
            shown = [
                numbers[name] for name in ("epochs", "seconds", "batch size") if name in numbers
            ]
            assert any(all(value in line for value in shown) for line in lines), row
        assert all(re.sub(r"\s", "", part) in packed for part in ranked.caption.split(", "))
    assert all(re.sub(r"\s", "", remark) in packed for remark in remarks(results))


def test_methods_that_differ_in_kind_are_named_once(tutorial):
    methods = [
        ol.AdamW(0.1, weight_decay=0.02), ol.SGD(0.1), ol.Averaged(ol.Lion(0.1, weight_decay=0.3)),
        ol.TorchOptimizer(torch.optim.AdamW, lr=0.1), ol.TorchOptimizer(torch.optim.Adam, lr=0.1),
        ol.TorchSGD(0.1, weight_decay=0.5), ol.SVRG(0.1), ol.Newton(), ol.Lstsq(),
    ]  # fmt: skip
    results = ol.compare(tutorial, methods, batch_sizes=[5, "full"], epochs=4)
    slow, decay, costs = remarks(results)
    assert slow == (
        "SGD (learning_rate=0.1, full batch) misses 1e-12 in 4 epochs: the error's slowest mode "
        "halves every 3.11 epochs at the learning rate 0.1 (1/L = 0.5 is faster) and the condition "
        "number 1"
    )
    assert decay == (
        "AdamW (weight decay 0.02), Averaged(Lion) (weight decay 0.3), torch AdamW (weight decay "
        "0.01) and TorchSGD (weight decay 0.5) minimise another function: decay pulls the "
        "parameters towards 0, away from the minimum of the loss"
    )
    spent = results.trials.query("optimizer in ('SVRG', 'Newton')").groupby("optimizer")
    each = spent[["gradient_evaluations", "hessian_products", "epochs"]].median()
    newton, svrg = each.loc["Newton"], each.loc["SVRG"]
    for part in (
        f"SVRG ({svrg['gradient_evaluations'] / svrg['epochs']:.3g} gradients)",
        f", {newton['hessian_products'] / newton['epochs']:.3g} Hessian products)",
    ):
        assert part in costs
    assert all(name not in costs for name in ("SGD", "Adam", "Lstsq"))
    for text in (str(results), results._repr_html_(), render_page(results)):
        packed = re.sub(r"\s", "", text)
        assert [packed.count(re.sub(r"\s", "", remark)) for remark in (decay, costs)] == [1, 1]
    (alone,) = remarks(results.filter(optimizer=["SGD", "Lstsq"]))
    assert alone == slow.replace("1e-12", "0.1")


def test_what_keeps_descent_slow_is_said_in_two_sentences():
    X = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None].repeat(1, 2)
    X[:, 1] = torch.linspace(-1, 1, 60).square() * 4
    problem = ol.LinearRegression(X, X.sum(1) + torch.linspace(0, 40, 60).sin(), name="curved")
    results = ol.compare(
        problem, [ol.SGD("auto"), ol.TorchSGD("auto"), ol.Lstsq()], batch_sizes=[4, "full"],
        epochs=400, stop_at=1e-8,
    )  # fmt: skip
    slow, noisy = remarks(results)
    rows = results.theory().set_index(["optimizer", "batch"])
    full, batches = rows.loc[("SGD", "full")], rows.loc[("SGD", "4")]
    assert f"halves every {full['half_life']:.3g} epochs" in slow
    assert f"condition number {full['condition']:.3g}" in slow
    scale = results.trials["stop_scale"].iloc[0]
    level = float(re.search(r"keeps it near (\S+) of what there was", noisy)[1])
    assert level == pytest.approx(batches["noise_floor"] / scale, rel=0.06)
    assert batches["noise_floor"] > 1e-8 * scale
    html = render_page(results)
    assert '<a href="#coefficients">Coefficients</a>' in html
    assert html.count('<table class="parameters">') == 1 == html.count("60 rows fitted")
    short = ol.compare(problem, ol.SGD("auto"), batch_sizes=[4], epochs=2, stop_at=1e-8)
    assert remarks(short) == []  # it is far above its noise still: more epochs would do
    several = ol.compare([problem], ol.SGD(0.01), epochs=20, stop_at=1e-8)
    (line,) = remarks(several)
    assert "in 20 epochs" in line
    assert "1/L = " in line


def test_default_learning_rates_are_told_on_every_surface(tutorial):
    methods = [ol.Adam(), ol.Lion(), ol.TorchOptimizer(torch.optim.Adam), ol.SGD("auto"),
               ol.RMSprop(), ol.RMSprop(0.1), ol.Lstsq()]  # fmt: skip
    results = ol.compare(tutorial, methods, epochs=4)
    (told,) = (remark for remark in remarks(results) if "default" in remark)
    assert told == (
        "Adam (0.001), Lion (0.0001) and torch Adam (0.001) ran at their default learning rate: "
        "others, or tuning, may do better (--lr, --tune; in Python Tuned)"
    )
    for text in (str(results), results._repr_html_(), render_page(results)):
        assert re.sub(r"\s", "", text).count(re.sub(r"\s", "", told)) == 1
    one = remarks(results.filter(optimizer=["Adam", "Lstsq"]))[0]
    assert one.startswith("Adam ran at its default learning rate, 0.001: ")
    rest = remarks(results.filter(optimizer=["SGD", "Lstsq"]))
    assert not any("default" in remark for remark in rest)


def test_what_finds_no_room_is_named():
    results = planted(RANDOM[0]["seed"])
    text = answer_text(results, 48)
    assert "left out for width: interval" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 48
    assert fold("a" * 30, 10) == "a" * 30  # no place to break: the console folds it


def test_the_options_of_an_adapter_stand_for_themselves_in_the_caption(tutorial):
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.1, betas=(0.9, 0.99))
    falling = partial(torch.optim.lr_scheduler.StepLR, step_size=3)
    others = [torch_method(torch.optim.RMSprop)(lr=0.2), ol.TorchSGD(0.1)]
    sgd = ol.TorchOptimizer(torch.optim.SGD, lr=0.3, scheduler=falling)
    results = ol.compare(tutorial, [adam, sgd, *others], batch_sizes=["full"], epochs=2)
    assert dict(results.ranking()[["method", "hyperparameters"]].to_numpy()) == {
        "torch Adam": "lr=0.1, betas=[0.9, 0.99]",
        "torch SGD": "lr=0.3, scheduler=StepLR(step_size=3)",
        "torch RMSprop": "lr=0.2",
        "TorchSGD": "learning_rate=0.1",
    }
    assert "lr=0.1, betas=[0.9, 0.99]" in str(results.filter(method="torch Adam"))


def test_terminal_notebook_and_page_show_the_same_and_escape_names():
    results = plant(optimizers=(HOSTILE, "Adam", "Lstsq"), direct=("Lstsq",))
    page, notebook = render_page(results), results_of(results)._repr_html_()
    answer = answer_html(results, whole=True, link=TermLinks())
    assert answer in page
    assert HOSTILE not in answer + notebook
    assert EVIL not in answer + notebook
    printed = re.sub(r"\s", "", str(results_of(results)))
    for sentence in verdict(results):
        assert re.sub(r"\s", "", sentence.text) in printed
    for ranked in ranked_rows(results):
        assert all(value in answer for row in ranked.rows for value in row if "<" not in value)


def results_of(tables):
    names = ("name", "trials", "traces", "problems", "machine", "definition")
    return Results(**{name: getattr(tables, name) for name in names})


SHOW = """
import fcntl, pickle, struct, sys, termios
from pathlib import Path
from optlab.app.outputs import Outputs
from optlab.app.summary_table import print_results
results = pickle.load(open(sys.argv[1], "rb"))
for width in (80, 100, 200):
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    print_results(results)
    Outputs(csv=Path("tables")).write(results)
    print("=" * 8)
"""


def test_in_a_pseudo_terminal_the_answer_is_whole_at_each_width(tmp_path, tutorial):
    rates = [ol.ManualSGD(rate) for rate in (0.001, 0.01, 0.1)]
    methods = [*rates, ol.TorchSGD(0.01, momentum=0.9), ol.Adam(0.1), ol.Lstsq()]
    results = ol.compare(tutorial, methods, batch_sizes=[5, "full"], epochs=30, stop_at=1e-3,
                         devices=["cpu", "cuda:7"])  # fmt: skip
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "results.pkl").write_bytes(pickle.dumps(results))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "NO_COLOR"}}
    child = subprocess.Popen(
        [program("python"), "show.py", "results.pkl"], cwd=tmp_path, stdout=theirs,
        stderr=subprocess.PIPE, env=environment | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    told = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 0, told
    assert told.splitlines() == ["wrote 10 files into tables"] * 3
    shown = re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).replace("\r\n", "\n").split("=" * 8)
    for width, text in zip((80, 100, 200), shown, strict=False):
        answer, _, settings = text.strip().partition("every setting")
        check_whole(answer, results, width)
        assert answer.count("skipped: ") == 1
        assert "cuda:7" not in settings.partition("reference of")[0]
        table = [line for line in settings.splitlines() if line[:1] in "┏┃│└" and line]
        assert len(table) == 3 + 11
        assert max(map(len, table)) <= width


def test_results_are_filtered_sorted_and_cut_to_the_best(tutorial, tmp_path):
    rates = [ol.ManualSGD(rate) for rate in (0.001, 0.01, 0.1)]
    results = ol.compare(tutorial, [*rates, ol.Lstsq()], batch_sizes=[5, "full"], epochs=20)
    full = results.filter(batch="full", hp_learning_rate=[0.01, 0.1])
    assert full.trials["hp_learning_rate"].tolist() == [0.01, 0.1]
    assert set(full.traces["trial"]) == set(full.trials["trial"])
    number = int(full.trials["trial"].iloc[0])
    assert full.parameters(number) is results.parameters(number)
    with pytest.raises(ValueError, match="there is no trial 99: they run from"):
        full.parameters(99)
    assert results.filter(batch=5).trials["batch"].tolist() == ["5"] * 3
    fast = results.filter(hp_learning_rate=lambda rate: rate > 0.005)
    assert set(fast.trials["hp_learning_rate"]) == {0.01, 0.1}
    for conditions, words in (
        ({"batchsize": 5}, "no column is called 'batchsize'"),
        ({"batch": 7}, "no trial has batch = 7: there are '5', 'full', 'direct'"),
        ({"batch": 5, "optimizer": "Lstsq"}, "no trial meets all of"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            results.filter(**conditions)
    best = results.best(per="optimizer")
    assert best.trials["optimizer"].tolist() == ["Lstsq", ranking(results)["optimizer"].iloc[1]]
    per_batch = results.filter(
        optimizer=[f"ManualSGD(learning_rate={r})" for r in (0.001, 0.01, 0.1)]
    )
    assert len(per_batch.best(per=["optimizer", "batch"]).trials) == 2
    assert len(results.best(per="hp_learning_rate").trials) == 4
    with pytest.raises(ValueError, match=r"per must be of .* not 'loss'"):
        results.best(per="loss")
    ordered = results.sort("suboptimality", ascending=False)
    assert ordered.trials["suboptimality"].is_monotonic_decreasing
    with pytest.raises(ValueError, match="no column is called 'sub'"):
        results.sort("sub")
    assert best.report(tmp_path / "page.html").exists()
    assert full.plot_convergence().axes
    assert best.export(tmp_path / "csv", "csv")


def test_a_solution_predicts_and_gives_its_coefficients_in_the_units_of_the_data():
    data = ol.datasets.diabetes()
    problem = ol.LinearRegression.from_dataset(data.standardized())
    solution = ol.minimize(problem, ol.Lstsq())
    table = solution.coefficients()
    raw = table["coefficient"].to_numpy()
    by_hand = raw[0] + np.asarray(data.X) @ raw[1:]
    np.testing.assert_allclose(solution.predict(data.X).numpy(), by_hand, rtol=1e-9)
    np.testing.assert_allclose(solution.predict().numpy(), by_hand, rtol=1e-9)
    np.testing.assert_array_equal(table["standard_error"], problem.coefficients()["standard_error"])
    # A point that is no minimiser has coefficients, but no standard errors.
    far = ol.minimize(problem, ol.ManualSGD(0.01), epochs=3)
    assert far.coefficients()["standard_error_as_fitted"].isna().all()
    assert far.plot().axes
    valley = ol.minimize(ol.Rosenbrock(), ol.LBFGS(), epochs=5)
    for ask in (valley.predict, valley.coefficients):
        with pytest.raises(ValueError, match="Rosenbrock"):
            ask()


def test_a_run_that_only_climbs_is_not_said_to_reach_the_best_known_loss():
    X = torch.linspace(-1, 1, 16)[:, None]
    problem = ol.ModuleProblem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), X, 3 * X)
    results = ol.compare(problem, ol.SGD(4.0), epochs=2, recorded_epochs=1)
    assert (results.trials["best_epoch"] == 0).all()
    assert results.verdict().startswith("No method found a lower loss than its start")
    assert ol.compare(problem, ol.SGD(0.1), epochs=2).verdict().startswith("Use SGD")
