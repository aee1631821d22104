"""Results saved as one file are read back equal, and replace nothing that was stored."""

import json
from dataclasses import replace

import pytest
import torch
from pandas.testing import assert_frame_equal

import optlab as ol
from optlab.lab.store.save import problem_hash
from optlab.results import Results


class FailsAtOnce:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        raise ZeroDivisionError("on purpose")


@pytest.fixture(scope="module")
def results(tutorial):
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.1, betas=(0.9, 0.99))
    tuned = ol.Tuned(ol.SGD(), {"learning_rate": ol.LogUniform(1e-3, 1)}, trials=2)
    methods = [ol.SGD("1/L"), ol.HeavyBall(0.1), adam, ol.Lstsq(), ol.ManualSGD(10.0),
               FailsAtOnce(), tuned]  # fmt: skip
    return ol.compare([tutorial, ol.Rosenbrock()], methods, batch_sizes=[5, "full"], seeds=[1],
                      repeats=2, epochs=8, stop_at=0.1, devices=["cpu", "cuda:7"])  # fmt: skip


def check_equal(one, other, *, answer=False):
    """Check that results hold the same; that they say the same, which takes long, if asked."""
    for name in ("trials", "traces", "predictions"):
        assert_frame_equal(getattr(one, name), getattr(other, name))
    for number, parameters in one.final_parameters.items():
        found = other.parameters(number)
        assert {k: v.tobytes() for k, v in parameters.items()} == {
            k: v.tobytes() for k, v in found.items()
        }
    assert one.final_parameters.keys() == other.final_parameters.keys()
    assert one.tracebacks == other.tracebacks
    assert as_json(one.definition) == as_json(other.definition)
    assert one.machine == other.machine
    assert facts(one) == facts(other)
    assert one.name == other.name
    assert not answer or str(one) == str(other)


def facts(results):
    problems = results.problems.values()
    return [repr(replace(one, provenance=tuple(one.provenance))) for one in problems]


def as_json(values):
    return json.loads(json.dumps(values, default=str))


def test_what_is_saved_is_read_back_equal(results, tmp_path):
    file = results.save(tmp_path / "new" / "a.db")
    loaded = Results.load(file)
    assert set(loaded.trials["status"]) >= {"converged", "diverged", "failed", "skipped"}
    assert set(loaded.trials["stage"]) == {"measured", "tuning"}
    check_equal(results, loaded, answer=True)
    check_equal(loaded, Results.load(loaded.save(file)))  # its own file is replaced
    assert [path.name for path in file.parent.iterdir()] == ["a.db"]


def test_some_of_the_trials_are_saved_in_their_order_and_numbered_anew(results, tmp_path):
    some = results.filter(optimizer=["HeavyBall", "Lstsq"], device="cpu").sort("loss")
    loaded = Results.load(some.save(tmp_path / "some.db"))
    assert loaded.trials["trial"].tolist() == list(range(len(some.trials)))
    shown = ["problem", "optimizer", "batch", "seed", "repeat", "loss", "seconds", "hp_momentum"]
    assert_frame_equal(loaded.trials[shown], some.trials[shown])
    for number, old in enumerate(some.trials["trial"].head(4)):
        assert loaded.parameters(number).keys() == some.parameters(old).keys()


def test_saved_files_are_merged_and_a_trial_in_two_counts_once(results, tmp_path):
    files = [results.save(tmp_path / name) for name in ("a.db", "b.db")]
    both = Results.load(*files)
    assert len(both.trials) == len(results.trials)
    assert set(both.problems) == set(results.problems)
    other = replace(results, trials=results.trials.assign(seconds=1.0)).save(tmp_path / "c.db")
    merged = Results.load(files[0], other)
    assert set(merged.trials["file"]) == {"a.db", "c.db"}
    check_equal(merged, Results.load(merged.save(tmp_path / "merged.db")))
    found = ["problem", "optimizer", "hyperparameter", "best", "low", "high"]
    assert len(results.tuning())
    assert_frame_equal(merged.tuning()[found], results.tuning()[found])
    assert merged.definition["stable_rates"] == results.definition["stable_rates"]


def test_a_saved_problem_has_its_hash_when_it_is_read_again(results, tmp_path):
    rows = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    apart = ol.LogisticRegression(rows, rows[:, 0] > 0, name="apart")  # no minimiser: infinities
    net = ol.ModuleProblem(torch.nn.Linear(2, 1), torch.nn.MSELoss(), rows, rows[:, :1], name="net")
    others = ol.compare([apart, net], ol.SGD(0.1), epochs=2)
    for own in (results, others):
        loaded = Results.load(own.save(tmp_path / f"{len(own.trials)}.db"))
        assert own.problems.keys() == loaded.problems.keys()
        for name, facts in own.problems.items():
            assert problem_hash(facts) == problem_hash(loaded.problems[name])
            changed = replace(facts, parameters={k: v + 1 for k, v in facts.parameters.items()})
            assert (problem_hash(changed) == problem_hash(facts)) == (not facts.parameters)


def test_no_file_is_lost(tutorial, results, tmp_path):
    stored, text = tmp_path / "stored.db", tmp_path / "text.db"
    ol.compare(tutorial, ol.Lstsq(), store=stored)
    text.write_text("mine")
    for file, words in ((stored, "holds trials that an experiment wrote"), (text, "did not write")):
        before = file.read_bytes()
        with pytest.raises(ValueError, match=words):
            results.save(file)
        assert file.read_bytes() == before
        check_equal(results, Results.load(results.save(file, force=True)))
    (archive,) = set(tmp_path.iterdir()) - {stored, text}
    assert Results.load(archive).trials["optimizer"].tolist() == ["Lstsq"]
    # An experiment may go on in a saved file; then it is a store.
    ol.compare(tutorial, ol.Lstsq(), store=text)
    with pytest.raises(ValueError, match="holds trials that an experiment wrote"):
        results.save(text)
