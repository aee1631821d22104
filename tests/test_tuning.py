"""Tuning: searches, the choice, censored optima, and what is said of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.analysis.order_statistics import best_of, expected_attempts
from optlab.analysis.tuning import _is_near
from optlab.lab.execution_options import Execution
from optlab.lab.store.store import Store
from optlab.lab.tuning.range_edge import UNSURE, edge_of
from optlab.lab.tuning.samplers import design
from optlab.lab.tuning.scores import Outcome, Score, score
from optlab.lab.tuning.search import Search
from optlab.optimizers import registry
from optlab.optimizers.ranges import range_of
from optlab.optimizers.search_space import default_space, with_hyperparameters
from optlab.report.findings.sentence import Sentence
from optlab.report.findings.tuning_findings import tuning_findings
from optlab.report.page.section import Section

RATES = ol.LogUniform(1e-4, 10.0)


def line() -> ol.LinearRegression:
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


# --- ranges and samplers


@pytest.mark.parametrize(
    "own",
    [
        RATES,
        ol.Uniform(-1.0, 3.0),
        ol.Integers(1, 64, log=True),
        ol.Integers(0, 5),
        ol.OneMinus(ol.LogUniform(0.01, 1.0)),
        ol.Choice("a", "b", "c"),
    ],
)
def test_a_range_is_known_by_its_ends_and_finds_the_place_of_its_values(own):
    for place in np.linspace(0, 1, 23):
        value = own.value(float(place))
        assert own.value(own.place(value)) == value
    about = {"class": type(own).__name__}
    for name in own.__dataclass_fields__:
        held = getattr(own, name)
        inner = {"class": "LogUniform", "low": 0.01, "high": 1.0}
        about[name] = inner if isinstance(held, ol.LogUniform) else held
    assert range_of(about) == own


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ol.Integers(1.5, 4), "low must be a whole number, not 1.5"),
        (lambda: ol.Integers(0, 5, log=True), "low must be at least 1 on a logarithmic scale"),
        (lambda: ol.Uniform(0.0, math.nan), "the ends of a range must be finite numbers, not nan"),
        (lambda: ol.Uniform(2.0, 1.0), "low must be less than high, not 2.0 and 1.0"),
        (lambda: ol.Choice("a"), "Choice takes two values or more"),
        (lambda: ol.Choice("a", "b", "a"), "Choice holds a value twice"),
        (lambda: range_of({"class": "Gauss"}), "no range of hyperparameters is called 'Gauss'"),
        (lambda: best_of(np.ones(3), 4, [0.5]), "k must be from 1 to 3, not 4"),
    ],
)
def test_what_is_no_range_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_grid_of_too_few_trials_says_how_many_it_takes():
    space = {"rate": RATES, "kind": ol.Choice("a", "b", "c")}
    with pytest.raises(ValueError, match="trials must be at least 6 for a grid of rate, kind"):
        design("grid", space, 5)
    assert len(design("grid", {"kind": ol.Choice("a", "b", "c")}, 3)) == 3


@pytest.mark.parametrize("sampler", ["grid", "random", "sobol"])
def test_designs_fill_the_ranges_and_repeat_themselves(sampler):
    space = {"learning_rate": RATES, "momentum": ol.Uniform(0, 0.9)}
    points = design(sampler, space, 20)
    assert points == design(sampler, space, 20)
    assert len(points) == (16 if sampler == "grid" else 20)
    for name in space:
        places = [point[name] for point in points]
        assert min(places) >= 0
        assert max(places) <= 1
        assert {int(4 * min(place, 0.99)) for place in places} == {0, 1, 2, 3}


def test_a_longer_sobol_search_repeats_the_shorter_one():
    space = {"learning_rate": RATES}
    assert design("sobol", space, 20)[:8] == design("sobol", space, 8)


def test_every_registered_optimizer_is_tuned_as_it_is_or_says_that_it_has_nothing_to_tune():
    tuned, plain = [], []
    for name, cls in registry.items():
        optimizer = cls()
        if not default_space(optimizer):
            with pytest.raises(ValueError, match="no hyperparameter with a range"):
                ol.Tuned(optimizer)
            plain.append(name)
            continue
        space = ol.Tuned(optimizer).ranges
        places = dict.fromkeys(space, 0.5)
        values, other = ol.Tuned(optimizer).at(places)
        assert type(other) is type(optimizer)
        assert {key: getattr(other, key) for key in values} == values
        tuned.append(name)
    assert {"sgd", "adam", "torch-adam", "heavy-ball", "svrg", "fused-sgd", "lion"} <= set(tuned)
    assert {"lstsq", "newton", "fista"} <= set(plain)


def test_wrapped_and_adapted_optimizers_are_tuned_inside():
    import torch

    averaged = ol.Averaged(ol.HeavyBall())
    assert set(default_space(averaged)) == {"rule.learning_rate", "rule.momentum"}
    assert with_hyperparameters(averaged, {"rule.momentum": 0.5}).rule == ol.HeavyBall(momentum=0.5)
    adapted = ol.TorchOptimizer(torch.optim.SGD, lr=0.1, momentum=0.9)
    assert with_hyperparameters(adapted, {"lr": 0.5}).options == {"lr": 0.5, "momentum": 0.9}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {
                "optimizer": ol.SGD(ol.schedules.Cosine(0.1, epochs=5)),
                "space": {"learning_rate": RATES},
            },
            "is a schedule, which a range would drop: tune a part",
        ),
        ({"optimizer": ol.SGD}, "did you mean an object of it, such as ol.SGD()"),
        ({"space": {"rate": RATES}}, "did you mean|it has learning_rate"),
        ({"space": {"learning_rate": (0.1, 1)}}, "must be a LogUniform"),
        ({"space": {"learning_rate": ol.Uniform(0, 1)}}, "cannot be tuned in Uniform"),
        ({"trials": 0}, "trials must be"),
        ({"sampler": "bayes"}, "sampler must be one of"),
        ({"seeds": []}, "seeds is empty"),
        ({"by": ""}, "by must be"),
        ({"space": [RATES]}, "space must be a dict of ranges"),
        ({"seeds": "12"}, "seeds must be a list of seeds"),
        ({"seeds": [1, -1]}, "seeds must be whole numbers of at least 0, not -1"),
        ({"extend": "yes"}, "extend must be True or False, not 'yes'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_where_it_is_written(arguments, said):
    with pytest.raises(ValueError, match=said):
        ol.Tuned(**({"optimizer": ol.SGD()} | arguments))


@pytest.mark.parametrize(
    ("tuned", "axes", "said"),
    [
        ({"seeds": [3, 0]}, {}, "tuned on seeds that are measured too: 0"),
        ({"by": "epochs to stop_at"}, {}, "give the experiment a stop_at"),
        ({"by": "validation_loss"}, {}, "does not have"),
    ],
)
def test_what_does_not_fit_the_experiment_is_refused_before_anything_runs(tuned, axes, said):
    with pytest.raises(ValueError, match=said):
        ol.Experiment(problems=line(), optimizers=ol.Tuned(ol.SGD(), **tuned), **axes)


# --- scores and the choice


def test_scores_put_failures_last_then_misses_then_cost():
    def of(status, value, epochs):
        return Outcome(status, value, epochs, 1.0)

    order = [
        [of("converged", 0.9, 3), of("converged", 0.9, 5)],
        [of("converged", 1e-9, 9), of("converged", 1e-9, 9)],
        [of("finished", 1e-9, 10), of("converged", 0.9, 3)],
        [of("finished", 5.0, 10), of("finished", 5.0, 10)],
        [of("diverged", 5.0, 10), of("converged", 0.9, 2)],
        [of("diverged", 1e9, 1), of("failed", math.nan, 1)],
    ]
    scores = [score(own, "suboptimality", "suboptimality") for own in order]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)
    by_loss = [score(own, "loss", None).value for own in order[:2]]
    assert by_loss == [0.9, 1e-9]  # without a stop_at the loss decides


def test_the_best_setting_is_measured_on_seeds_that_did_not_choose_it():
    tuned = ol.Tuned(ol.SGD(), trials=9, sampler="grid", seeds=[7, 8])
    results = ol.compare(line(), [tuned, ol.SGD(1e-3)], seeds=[0, 1], epochs=60, stop_at=1e-6)
    trials = results.trials
    tuning, measured = (trials[trials["stage"] == stage] for stage in ("tuning", "measured"))
    assert list(measured["trial"]) == [0, 1, 2, 3]
    assert set(tuning["seed"]) == {7, 8}
    assert set(tuning["optimizer"]) == {"tuned SGD"}
    assert tuning["setting"].value_counts().eq(2).all()
    assert measured["setting"].isna().all()
    cost = tuning["epochs"].where(tuning["status"] == "converged", math.inf)
    best = cost.groupby(tuning["hp_learning_rate"]).median().idxmin()
    own = measured[measured["optimizer"] == "tuned SGD"]
    assert set(own["hp_learning_rate"]) == {best}
    assert len(results.summary()) == 2  # of the measured trials
    assert results.tuning()["tuning_epochs"].item() == tuning["epochs"].sum()


def test_tuning_trials_in_a_sweep_choose_what_trials_one_by_one_choose():
    tuned = ol.Tuned(ol.HeavyBall(), trials=12)
    swept = ol.compare(line(), tuned, epochs=40, batch_sizes=[5])
    trials = swept.trials
    assert (trials["shared"] == (trials["stage"] == "tuning")).all()
    tuning = trials[trials["stage"] == "tuning"]
    pairs = zip(tuning["hp_learning_rate"], tuning["hp_momentum"], strict=True)
    alone = ol.compare(line(), [ol.HeavyBall(rate, momentum) for rate, momentum in pairs],
                       epochs=40, batch_sizes=[5], seeds=[1000])  # fmt: skip
    assert alone.trials["status"].tolist() == tuning["status"].tolist()
    found = alone.trials["suboptimality"].where(alone.trials["status"] == "finished")
    best = alone.trials.loc[found.idxmin()]
    assert swept.tuning()["best"].tolist() == [best["hp_learning_rate"], best["hp_momentum"]]


def test_tpe_asks_one_setting_after_the_other_and_comes_near():
    pytest.importorskip("optuna")
    tuned = ol.Tuned(ol.SGD(), trials=14, sampler="tpe")
    results = ol.compare(line(), tuned, epochs=60, stop_at=1e-6)
    assert results.tuning()["settings"].item() == 14
    rate = results.tuning()["best"].item()
    assert 0.1 < rate < 1.0
    again = ol.compare(line(), tuned, epochs=60, stop_at=1e-6)
    assert again.tuning()["best"].item() == rate


def test_a_stored_search_is_resumed_and_loaded(tmp_path):
    file = tmp_path / "tuned.db"
    experiment = ol.Experiment(
        problems=line(), optimizers=[ol.Tuned(ol.SGD(), trials=6), ol.Lstsq()], epochs=40,
        stop_at=1e-6,
    )  # fmt: skip
    first = experiment.run(store=file)
    with Store(file) as store:
        keys = store.finished_keys()
    again = experiment.run(store=file)
    with Store(file) as store:
        assert store.finished_keys() == keys
    loaded = ol.Results.load(file) if hasattr(ol, "Results") else None
    from optlab.results import Results

    loaded = loaded or Results.load(file)
    for other in (again, loaded):
        assert (
            other.tuning()
            .drop(columns="tuning_seconds")
            .equals(first.tuning().drop(columns="tuning_seconds"))
        )
    # A longer search takes what the shorter one has tried.
    longer = ol.Experiment(
        problems=line(), optimizers=[ol.Tuned(ol.SGD(), trials=8), ol.Lstsq()], epochs=40,
        stop_at=1e-6,
    ).run(store=file)  # fmt: skip
    with Store(file) as store:
        assert len(store.finished_keys() - keys) in {2, 3}  # and, maybe, another best
    assert longer.tuning()["settings"].item() == 8
    assert Results.load(file).tuning()["settings"].item() == 8


def test_ctrl_c_while_tuning_leaves_a_row_for_each_trial():
    seen = []

    def stop(record):
        seen.append(record)
        if len(seen) == 2:
            raise KeyboardInterrupt

    from optlab.lab.runner import Listener

    experiment = ol.Experiment(
        problems=line(),
        optimizers=[ol.Tuned(ol.SGD(), trials=4, by="seconds to stop_at"), ol.Lstsq()],
        epochs=20,
        stop_at=1e-2,
    )
    results = experiment.run(listener=Listener(finished=stop))
    statuses = results.trials.groupby("stage")["status"].value_counts()
    assert statuses["measured"].to_dict() == {"interrupted": 2}
    assert statuses["tuning"]["interrupted"] == 2
    assert len(results.trials) == 6


def test_a_run_that_was_killed_while_it_tuned_is_loaded_and_goes_on(tmp_path):
    """As a process that ends at once leaves it: what had ended is in the store, and no more."""
    from optlab.lab.runner import Listener

    file, ended = tmp_path / "killed.db", []

    class Killed(BaseException):
        pass

    def kill(record):
        ended.append(record)
        if len(ended) == 3:
            raise Killed

    experiment = ol.Experiment(
        problems=line(), optimizers=[ol.Tuned(ol.SGD(), trials=5), ol.Lstsq()], epochs=20,
        stop_at=1e-2,
    )  # fmt: skip
    with pytest.raises(Killed):
        experiment.run(store=file, listener=Listener(finished=kill))
    loaded = ol.Results.load(file)
    assert set(loaded.trials["stage"]) == {"tuning"}
    assert repr(loaded) == "Results('experiment', 0 trials: none measured; 5 to tune)"
    done = int((loaded.trials["status"] != "interrupted").sum())
    assert 2 <= done <= 3
    said = f"stopped while it tuned, when {done} of the 5 tuning trials asked for so far had ended"
    assert said in loaded.verdict()
    assert said in str(loaded).replace("\n", " ")
    with pytest.raises(ValueError, match="Nothing was measured"):
        loaded.best()
    assert loaded.tuning()["settings"].item() == done  # the others are no failures
    assert loaded.tuning()["failed"].item() == 0
    assert said in loaded.report(tmp_path / "page.html").read_text(encoding="utf-8")
    known = []
    whole = experiment.run(store=file, listener=Listener(known=known.append))
    assert known[0].done == done
    assert whole.tuning()["settings"].item() == 5
    assert set(whole.measured.trials["status"]) <= {"converged", "finished"}


def test_an_optimizer_that_cannot_solve_the_problem_is_not_tuned():
    optimizers = [ol.Tuned(ol.SAGA()), ol.Tuned(ol.SGD(), trials=4)]
    results = ol.compare(ol.Rosenbrock(), optimizers, epochs=5)
    rows = results.trials[results.trials["optimizer"] == "SAGA"]
    assert rows["status"].item() == "skipped"
    assert "needs" in rows["message"].item()
    assert (results.trials["optimizer"] == "SGD").sum() == 5


# --- censored optima


def _plant(peak: float, noise: np.random.Generator, tuned: ol.Tuned) -> Search:
    """Run a search whose epochs to the target are least at a place of the first range."""
    search = Search(tuned, "suboptimality")
    names = list(tuned.ranges)
    while asked := search.ask():
        outcomes = []
        for one in asked:
            far = (one.places[names[0]] - peak) * 5  # decades
            far += 1.5 * max(far, 0.0) ** 2  # too large rates are worse
            rest = sum((one.places[name] - 0.4) ** 2 for name in names[1:])
            exponent = 0.5 * far**2 + rest + 0.02 * noise.standard_normal()
            epochs = 50 * math.exp(min(exponent, 100))
            status = "converged" if epochs < 1e6 else "diverged"
            outcomes.append([Outcome(status, 1.0, epochs, 1.0)])
        search.tell(outcomes)
    return search


@pytest.mark.parametrize("sampler", ["grid", "sobol", "random"])
def test_a_planted_optimum_is_censored_where_it_is_outside_and_not_where_it_is_inside(sampler):
    noise = np.random.default_rng(16)
    tuned = ol.Tuned(ol.SGD(), {"learning_rate": RATES}, trials=20, sampler=sampler)
    wrong = {"inside": 0, "outside": 0}
    for _ in range(200):
        inside = float(noise.uniform(0.05, 0.95))
        wrong["inside"] += bool(_plant(inside, noise, tuned)._edge("learning_rate"))
        beyond = float(noise.uniform(0.05, 0.5))
        outside, side = (1 + beyond, "high") if noise.random() < 0.5 else (-beyond, "low")
        wrong["outside"] += _plant(outside, noise, tuned)._edge("learning_rate") != side
    assert wrong["inside"] <= 10, wrong
    assert wrong["outside"] <= 10, wrong


def _planted_scores(places: np.ndarray, peak: float, noise: np.random.Generator) -> list[Score]:
    """Return scores whose least is at a place of the first of two hyperparameters."""
    far = (places[:, 0] - peak) * 5
    far += 1.5 * np.maximum(far, 0.0) ** 2
    exponent = 0.5 * far**2 + (places[:, 1] - 0.4) ** 2
    epochs = 50 * np.exp(np.minimum(exponent + 0.02 * noise.standard_normal(len(far)), 100))
    lost = Score(1, 0, math.inf, 100.0)
    return [Score(0, 0, value, value) if value < 1e6 else lost for value in epochs.tolist()]


@pytest.mark.parametrize(
    ("sampler", "trials", "unsure"), [("random", 36, 60), ("sobol", 36, 60), ("grid", 64, 80)]
)
def test_with_two_hyperparameters_the_word_is_wrong_in_at_most_5_of_100(sampler, trials, unsure):
    noise, space = np.random.default_rng(16), {"a": ol.Uniform(0, 1), "b": ol.Uniform(0, 1)}
    wrong: Counter[str] = Counter()
    for seed in range(200):
        places = np.array([[*own.values()] for own in design(sampler, space, trials)])
        if sampler == "random":
            places = np.random.default_rng(seed).random(places.shape)
        inside = _planted_scores(places, noise.uniform(0.05, 0.95), noise)
        said = [edge_of(places, inside, column) for column in (0, 1)]
        wrong.update(f"inside, {k}" for k, one in enumerate(said) if one in {"low", "high"})
        beyond = noise.uniform(0.05, 0.5)
        peak, side = (1 + beyond, "high") if noise.random() < 0.5 else (-beyond, "low")
        outside = _planted_scores(places, peak, noise)
        if all(own.failures for own in outside):
            continue  # each setting failed: another sentence
        said = edge_of(places, outside, 0)
        wrong["outside"] += said not in {side, UNSURE}
        wrong["unsure"] += said == UNSURE
    assert max(wrong["inside, 0"], wrong["inside, 1"], wrong["outside"]) <= 10, wrong
    assert wrong["unsure"] <= unsure


def test_an_optimum_just_below_the_range_is_not_inside_where_most_settings_failed():
    noise, space = np.random.default_rng(1), {"a": ol.Uniform(0, 1), "b": ol.Uniform(0, 1)}
    places = np.array([[*own.values()] for own in design("sobol", space, 64)])
    for _ in range(20):
        scores = _planted_scores(places, -0.08, noise)
        assert sum(own.failures for own in scores) > 48
        assert edge_of(places, scores, 0) in {"low", UNSURE}


def test_too_few_settings_cannot_tell_and_the_page_says_so():
    two = ol.Tuned(ol.HeavyBall(), trials=4)
    results = ol.compare(line(), two, epochs=30, stop_at=1e-6)
    assert UNSURE in set(results.tuning()["edge"])
    sentences = [s.text for s in tuning_findings(results) if s.kind == "unsure edge"]
    assert "cannot be told from 4 settings" in sentences[0]


def test_extend_finds_an_optimum_outside_the_range():
    noise = np.random.default_rng(1)
    tuned = ol.Tuned(ol.SGD(), {"learning_rate": RATES}, trials=20, sampler="grid", extend=True)
    for peak in (1.6, -0.7, 1.02):
        search = _plant(peak, noise, tuned)
        assert not search._edge("learning_rate")
        assert search.best().places["learning_rate"] == pytest.approx(peak, abs=0.06)
    search = _plant(0.5, noise, tuned)
    assert len(search.settings) == 20  # nothing to extend


def test_a_momentum_of_zero_is_no_edge_and_ends_an_extension():
    space = {"momentum": ol.OneMinus(ol.LogUniform(0.05, 1.0))}
    tuned = ol.Tuned(ol.HeavyBall(0.01), space, trials=8, sampler="grid", extend=True)
    search = _plant(1.5, np.random.default_rng(2), tuned)  # would like a negative momentum
    assert search.best().values == {"momentum": 0.0}
    assert len(search.settings) == 8


def test_rates_that_all_diverge_are_extended_downwards():
    tuned = ol.Tuned(ol.SGD(), {"learning_rate": ol.LogUniform(5, 100)}, trials=4, extend=True)
    results = ol.compare(line(), tuned, epochs=50, stop_at=1e-3)
    row = results.tuning().iloc[0]
    assert row["best"] < 5
    assert row["edge"] == ""
    assert row["low"] < 5


def test_the_edge_is_said_in_a_sentence():
    narrow = ol.Tuned(ol.SGD(), {"learning_rate": ol.LogUniform(1e-4, 0.01)}, trials=5)
    wide = ol.Tuned(ol.HeavyBall(), trials=4)
    results = ol.compare(line(), [narrow, wide], epochs=50, stop_at=1e-6)
    sentences = {s.kind: s.text for s in tuning_findings(results)}
    assert "censored" in sentences["censored"]
    assert "at the upper end of the range searched (0.0001 to 0.01)" in sentences["censored"]
    assert "SGD 5, HeavyBall 4" in sentences["budgets"]


def test_sentences_name_their_problem_where_the_results_have_several():
    censored, budgets = Sentence("censored", "At an end.", "a"), Sentence("budgets", "Unequal.")
    others = [Sentence("tuning", f"Best {k}.", name) for name in "ab" for k in range(3)]
    section = Section(["a", "b"], [censored, budgets, *others], [], [])
    assert [name for name, _ in section.first] == ["a", "All problems"]  # figures are of one
    assert [name for name, _ in section.others] == ["a", "b"]
    assert [name for name, _ in Section(["a"], [censored, budgets], [], []).first] == ["", ""]


def test_the_table_of_an_adapters_search_has_its_options_and_the_edges_that_have_values_beyond():
    """At rates far below the best, more momentum is better; a choice has no edges."""
    space = {
        "momentum": ol.OneMinus(ol.LogUniform(0.3, 0.9)),
        "nesterov": ol.Choice(False, True),
    }
    adapted = ol.TorchOptimizer(torch.optim.SGD, lr=0.01, momentum=0.5, nesterov=False)
    tuned = ol.Tuned(adapted, space, trials=16, sampler="grid")
    results = ol.compare(line(), tuned, epochs=15)
    table = results.tuning().set_index("hyperparameter")
    assert table["edge"].to_dict() == {"momentum": "high", "nesterov": ""}
    low, high = table.loc["momentum", ["low", "high"]]
    assert (low, high) == (0.1, 0.7)
    near_low, near_high, width = table.loc["momentum", ["near_low", "near_high", "width"]]
    assert width == pytest.approx((1 - near_low) / (1 - near_high))
    assert table.loc["nesterov", "low"] != table.loc["nesterov", "low"]  # no ends: nan
    tried = results.tuning_settings()
    assert set(tried.loc[tried["hyperparameter"] == "nesterov", "value"]) == {False, True}
    chosen = tried[tried["chosen"]].set_index("hyperparameter")["value"]
    assert chosen.to_dict() == table["best"].to_dict()
    assert results.tuning_ranks().empty  # without a target there are no epochs to it
    texts = " ".join(sentence.text for sentence in tuning_findings(results))
    assert "The best momentum of torch SGD" in texts
    assert "at the upper end of the range searched (0.1 to 0.7)" in texts
    labels = {axes.get_xlabel() for axes in results.plot_tuning().axes}
    assert {"momentum", "nesterov"} <= labels


def test_where_every_setting_diverges_the_range_is_to_be_widened():
    tuned = ol.Tuned(ol.SGD(), {"learning_rate": ol.LogUniform(50, 100)}, trials=3)
    results = ol.compare(line(), tuned, epochs=20)
    texts = " ".join(sentence.text for sentence in tuning_findings(results))
    assert "Each of the 3 settings of SGD" in texts
    assert "diverged or failed: widen the range" in texts


# --- tunability


def test_best_of_k_is_that_of_all_permutations():
    values = np.array([3.0, 1.0, math.inf, 2.0, 5.0])
    for k in range(1, 6):
        least = sorted(min(order[:k]) for order in itertools.permutations(values))
        for share in (0.05, 0.5, 0.95):
            exact = least[math.ceil(share * len(least)) - 1]
            assert best_of(values, k, [share]) == [exact]


def test_expected_attempts_are_those_of_all_permutations():
    for n, successes in ((5, 2), (6, 1), (4, 4)):
        orders = itertools.permutations([True] * successes + [False] * (n - successes))
        mean = np.mean([order.index(True) + 1 for order in orders])
        assert expected_attempts(n, successes) == pytest.approx(mean)
    assert expected_attempts(3, 0) == math.inf


def test_ranks_with_the_cost_of_tuning_and_the_page(tmp_path):
    tuned = ol.Tuned(ol.SGD(), trials=9, sampler="grid")
    results = ol.compare(line(), [tuned, ol.SGD(0.1)], epochs=100, stop_at=1e-6)
    ranks = results.tuning_ranks().set_index("optimizer")
    assert ranks.loc["tuned SGD", ["rank", "rank_with_tuning"]].tolist() == [1, 2]
    assert ranks.loc["SGD", "tuning_epochs"] == 0
    curve = results.best_of_k()
    assert curve["best"].is_monotonic_decreasing
    settings = results.tuning_settings()
    assert curve["best"].iloc[-1] == settings["epochs"].where(settings["reached"] == 1).min()
    assert results.definition["stable_rates"]["tutorial, standardized"]["tuned SGD"] == (
        pytest.approx(1.0, abs=0.05)
    )
    page = results.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<section id="tuning"' in page
    assert "data:image/svg+xml;base64," in page
    plain = ol.compare(line(), ol.SGD(0.1), epochs=5)
    assert plain.tuning().empty
    with pytest.raises(ValueError, match="no optimizer was tuned"):
        plain.plot_tuning()


# --- inclusion (Choi et al. 2019)


def _inclusion_problems() -> list[ol.LinearRegression]:
    found = []
    for seed, condition in ((1, 10), (3, 60)):
        random = np.random.default_rng(seed)
        left, _ = np.linalg.qr(random.standard_normal((40, 4)))
        right, _ = np.linalg.qr(random.standard_normal((4, 4)))
        X = left * np.sqrt(np.geomspace(1, 1 / condition, 4) * 20) @ right
        y = X @ random.standard_normal(4) + 0.1 * random.standard_normal(40)
        found.append(ol.LinearRegression(X, y, fit_intercept=False, name=f"condition {condition}"))
    return [*found, line(), ol.LinearRegression.from_dataset(
        ol.datasets.tutorial().standardized(), l2=1.0, name="ridge")]  # fmt: skip


def test_a_tuned_method_is_never_worse_than_a_tuned_special_case():
    """Each search holds the settings of its special case: the rates are the same six.

    SGD is heavy ball and Nesterov of momentum 0, and Adam of beta1 = 0 and an epsilon so large that
    it divides every step, at the rate times epsilon.
    """
    huge, rates = 1e10, ol.LogUniform(1e-2, 10.0)
    momenta = ol.OneMinus(ol.LogUniform(0.05, 1.0))
    both = {"learning_rate": rates, "momentum": momenta}
    adam = {"learning_rate": ol.LogUniform(1e-2 * huge, 10 * huge), "beta1": momenta}
    general = {
        "momentum": ol.Tuned(ol.HeavyBall(), both, trials=36, sampler="grid"),
        "Nesterov": ol.Tuned(ol.Nesterov(), both, trials=36, sampler="grid"),
        "Adam": ol.Tuned(ol.Adam(epsilon=huge), adam, trials=36, sampler="grid"),
    }
    sgd = ol.Tuned(ol.SGD(), {"learning_rate": rates}, trials=6, sampler="grid")
    results = ol.compare(_inclusion_problems(), {"SGD": sgd, **general}, seeds=range(5), epochs=150,
                         recorded_epochs=2,
                         stop_at=1e-2, execution=Execution(sweep=True))  # fmt: skip
    table = results.trials[results.trials["stage"] == "measured"]
    cost = table["epochs"].where(table["status"] == "converged", math.inf)
    epochs = cost.groupby([table["problem"], table["optimizer"]]).agg(["min", "median", "max"])
    for problem in results.problems:
        special = epochs.loc[(problem, "SGD")]
        assert special["median"] < 150, problem  # or there is nothing to be worse than
        for name in general:
            assert epochs.loc[(problem, name), "median"] <= special["max"], (problem, name)
    medians = epochs["median"].unstack()
    assert (medians["momentum"] < 0.7 * medians["SGD"]).any()  # and it is better somewhere


def test_near_the_best_are_settings_within_a_factor_of_two_that_fail_as_seldom():
    best = Score(0, 1, 10.0, 10.0)
    assert _is_near(Score(0, 1, 20.0, 50.0), best)
    assert not _is_near(Score(0, 1, 20.1, 20.1), best)
    assert not _is_near(Score(1, 1, 10.0, 10.0), best)
    assert not _is_near(Score(0, 2, 10.0, 10.0), best)
    assert not _is_near(Score(0, 1, -1.0, 1.0), best)  # of no sign but its own
    assert _is_near(Score(0, 0, -3.0, 1.0), Score(0, 0, -3.0, 1.0))
