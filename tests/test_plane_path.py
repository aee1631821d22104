"""The path in the plane: its view and figure, from results and from a store."""

import numpy as np
import pytest

import optlab as ol
from optlab.report.figures.draw import all_figures, figure_of
from optlab.report.style import Styles
from optlab.report.views import views_of


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    store = tmp_path_factory.mktemp("plane") / "plane.db"
    problems = [ol.Rosenbrock(start=(-1.2, 1.0)), ol.Quadratic([4.0, 1.0]), ol.Rastrigin(3)]
    ol.compare(
        problems, [ol.ManualSGD(1e-3), ol.ScipyMinimize()], epochs=450, recorded_epochs=1,
        seeds=[1, 2, 3], store=store,
    )  # fmt: skip
    return ol.Results.load(store)  # what a person draws later has been stored


def test_the_way_is_that_of_the_median_trial_from_the_start_on(results):
    view = views_of(results)["path"]
    table = view.table
    assert set(table["problem"]) == {"Rosenbrock", "Quadratic"}
    for (problem, optimizer), way in table.groupby(["problem", "optimizer"]):
        trials = results.trials
        own = trials[(trials["problem"] == problem) & (trials["optimizer"] == optimizer)]
        median = own.loc[own["loss"] == own["loss"].sort_values().iloc[1], "trial"].iloc[0]
        recorded = results.traces[results.traces["trial"] == median]
        assert len(way) <= 401
        ends = recorded.iloc[[0, -1]][["x1", "x2"]].to_numpy()
        np.testing.assert_array_equal(way.iloc[[0, -1]][["x1", "x2"]], ends)


def test_contours_are_the_suboptimality_over_the_box(results):
    view = views_of(results)["path"]
    grid = view.extra["contours"]
    assert set(grid["problem"]) == {"Rosenbrock", "Quadratic"}
    own = grid[grid["problem"] == "Quadratic"]
    expected = (4 * own["x1"] ** 2 + own["x2"] ** 2) / 2
    np.testing.assert_allclose(own["suboptimality"], expected, rtol=1e-5)
    assert (own["x1"].min(), own["x2"].max()) == (-2, 2)
    least = view.extra["minimum"].set_index("problem")
    assert least.loc["Rosenbrock", ["x1", "x2"]].tolist() == [1, 1]


def test_the_figure_shows_the_box_with_contours_and_the_minimum(results):
    figures = all_figures(results, "Rosenbrock")
    (axes,) = figures["path"].axes
    assert axes.get_xlim() == (-2.048, 2.048)
    assert len(axes.collections[0].get_paths()) > 10
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xydata().tolist() for line in crosses] == [[[1, 1]]]
    assert "path" not in all_figures(results, "Rastrigin")


def test_other_problems_decline_with_their_reason(results):
    view = views_of(results)["path"]
    styles = Styles.of_results(results)
    figure = figure_of(view, "Rastrigin", styles)
    assert "function of two variables" in figure.axes[0].texts[0].get_text()
