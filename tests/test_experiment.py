from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.app.execute import execute
from optlab.app.options import Axes
from optlab.app.outputs import Outputs


@dataclass(frozen=True)
class Raises:
    """Raises in its third epoch."""

    error: type[BaseException] = ZeroDivisionError
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        raise self.error("on purpose")


def experiment(problem, optimizers, **options):
    return ol.Experiment(problems=problem, optimizers=optimizers, **{"epochs": 5} | options)


def test_an_optimizer_that_raises_leaves_the_others_going(problem):
    results = experiment(
        problem, [ol.ManualSGD(), Raises(), ol.Lstsq()], batch_sizes=[2, "full"], seeds=[1, 2]
    ).run()
    trials = results.trials
    assert len(trials) == 2 * 2 + 2 * 2 + 2
    failed = trials[trials["optimizer"] == "Raises"]
    assert set(failed["status"]) == {"failed"}
    assert set(failed["message"].str.partition(" (")[0]) == {"ZeroDivisionError: on purpose"}
    assert set(failed["epochs"]) == {2}
    assert set(trials.loc[trials["optimizer"] != "Raises", "status"]) == {"finished"}
    assert "on purpose" in results.traceback(failed["trial"].iloc[0])
    assert results.traceback(trials["trial"].iloc[0]) == ""


def test_ctrl_c_keeps_what_had_finished_and_every_trial_has_a_row(problem):
    # Repeats run one after the other: the first is over when the second repeat is stopped.
    calls = []

    @dataclass(frozen=True)
    class StopsInRepeatTwo(Raises):
        def iterates(self, problem, batches, start):
            calls.append(1)
            yield ol.Iterate(start)
            if len(calls) > 2:  # warm-up and solve of the first repeat are over
                raise KeyboardInterrupt

    trials = experiment(
        problem, [ol.ManualSGD(), StopsInRepeatTwo(), ol.Lstsq()], repeats=3
    ).run().trials  # fmt: skip
    assert trials["trial"].tolist() == list(range(9))
    by_repeat = {repeat: set(rows["status"]) for repeat, rows in trials.groupby("repeat")}
    assert by_repeat[1] == {"finished"}
    assert "interrupted" in by_repeat[2]
    assert by_repeat[3] == {"interrupted"}
    assert trials.loc[trials["repeat"] == 3, "message"].str.startswith("not started").all()


def test_all_optimizers_of_one_seed_share_start_and_order(problem):
    results = experiment(
        problem, [ol.ManualSGD(1e-12), ol.TorchSGD(1e-12)], batch_sizes=[3], seeds=[1, 2]
    ).run()
    traces = results.traces.merge(results.trials[["trial", "seed"]], on="trial")
    # At a step of 1e-12 the last batch's loss shows which rows it held: parameters move by some
    # 1e-12 (gradients below 100, 35 steps: 4e-9), losses by that times their slope.
    for _, rows in traces[traces["epoch"] > 0].groupby(["seed", "epoch"]):
        assert rows["batch_loss"].max() == pytest.approx(rows["batch_loss"].min(), rel=1e-6, abs=0)
    firsts = traces[traces["epoch"] == 0].groupby("seed")["loss"]
    assert (firsts.nunique() == 1).all()
    assert firsts.first().nunique() == 2


def test_dtypes_are_an_axis(problem):
    results = experiment(problem, ol.ManualSGD(), dtypes=["float32", "float64"]).run()
    found = {row.dtype: results.parameters(row.trial)["weight"].dtype
             for row in results.trials.itertuples()}  # fmt: skip
    assert found == {"float32": np.float32, "float64": np.float64}


def test_what_cannot_be_is_refused_where_it_is_written(problem):
    with pytest.raises(ValueError, match="epochs must be"):
        experiment(problem, ol.ManualSGD(), epochs=0)
    with pytest.raises(ValueError, match="unknown device"):
        experiment(problem, ol.ManualSGD(), devices=["cpux"])


@pytest.mark.parametrize(
    ("optimizer", "status"),
    [(ol.ManualSGD(), 0), (ol.ManualSGD(1e6), 0), (Raises(), 1), (Raises(KeyboardInterrupt), 130)],
)
def test_the_exit_status_says_how_it_ended(problem, optimizer, status, capsys):
    assert execute(experiment(problem, {"a": optimizer, "b": ol.Lstsq()}, epochs=50)) == status
    assert "parameter error" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_skipped_trials_are_no_failure(problem, capsys):
    assert execute(experiment(problem, ol.ManualSGD(), devices=["cuda"])) == 0
    assert "skipped: no" in capsys.readouterr().out


def test_conclude_gets_the_results_unless_interrupted(problem, capsys):
    seen = []
    execute(experiment(problem, ol.Lstsq(), conclude=seen.append))
    assert [type(results) for results in seen] == [ol.Results]
    execute(experiment(problem, Raises(KeyboardInterrupt), conclude=seen.append))
    assert len(seen) == 1


@pytest.mark.usefixtures("one_figure")
def test_options_replace_what_the_script_says(problem, tmp_path, capsys):
    seen = []
    execute(
        experiment(problem, [ol.ManualSGD(), ol.Lstsq()], conclude=seen.append),
        Axes(batch_sizes="2, full", seeds="3,4", dtypes="float32", epochs=2, repeats=2),
        outputs=Outputs(csv=tmp_path / "tables", figures=tmp_path / "figures"),
    )
    trials = seen[0].trials
    assert len(trials) == 2 * (2 + 1) * 2
    assert set(trials["seed"]) == {3, 4}
    assert set(trials["dtype"]) == {"float32"}
    assert trials["epochs"].max() == 2
    assert {path.name for path in (tmp_path / "tables").iterdir()} >= {"trials.csv", "traces.csv"}
    assert list((tmp_path / "figures").glob("*.png"))


def test_compare_refuses_before_anything_runs(problem):
    ran = []

    class Watched:
        uses_batches = False

        def iterates(self, problem, batches, start):
            ran.append(1)
            yield ol.Iterate(start)

    with pytest.raises(ValueError, match="unknown device"):
        ol.compare(problem, Watched(), devices=["cpu", "cudda"])
    assert not ran
