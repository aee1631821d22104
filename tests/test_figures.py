import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import optlab as ol


@pytest.fixture(scope="module")
def results(tutorial):
    return ol.compare(
        tutorial,
        [ol.ManualSGD(0.01), ol.TorchSGD(0.01, momentum=0.5), ol.Lstsq(),
         ol.SklearnLinearRegression()],
        batch_sizes=[2, "full"], devices=["cpu", "cuda"], seeds=[1, 2], repeats=2, epochs=50,
    )  # fmt: skip


@pytest.fixture(scope="module")
def convergence(results):
    return drawn(results.plot_convergence())


@pytest.fixture(scope="module")
def seconds(results):
    return drawn(results.plot_seconds())


@pytest.fixture(scope="module")
def fit(results):
    return drawn(results.plot_fit())


@pytest.fixture(scope="module", params=["convergence", "seconds", "fit"])
def figure(request):
    return request.getfixturevalue(request.param)


def drawn(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that does not fit, a glyph that is missing
        FigureCanvasAgg(figure).draw()
    return figure


def legends(figure):
    return [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]


def test_every_axis_is_labelled(figure):
    for axes in figure.axes:
        assert axes.get_xlabel()
    assert figure.axes[0].get_ylabel()
    assert figure.axes[0].get_title(loc="left")


def test_seconds_and_samples_are_named_with_what_they_count(convergence, seconds):
    labels = [axes.get_xlabel() for axes in convergence.axes[:3]]
    assert labels == ["epochs", "samples touched", "seconds of work"]
    assert "seconds" in seconds.axes[0].get_ylabel()


def test_every_optimizer_is_in_the_legend_once(figure, results):
    (legend,) = legends(figure)
    texts = [text.get_text() for text in legend.get_texts()]
    for name in set(results.trials["optimizer"]):
        assert len([text for text in texts if text.startswith(name)]) == 1


def horizontal(line):
    return len(set(line.get_ydata())) == 1 and list(line.get_xdata()) == [0, 1]


def curves(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


def points(axes):
    """Return the marks of direct methods; those of the axis' break are in the axes' own units."""
    return [line for line in axes.lines if len(line.get_xdata()) == 1]


def test_convergence_has_a_curve_for_each_batch_size_and_a_point_for_each_direct_method(
    results, convergence
):
    panels = convergence.axes
    for axes in panels[:3]:  # epochs, samples, seconds on the cpu
        assert len(curves(axes)) == 2 * 2
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [len(points(axes)) for axes in panels[:3]] == [0, 0, 2]  # Lstsq, scikit-learn
    times = results.trials.query("optimizer == 'Lstsq' and device == 'cpu'")["seconds"]
    (at,) = points(panels[2])[0].get_xdata()
    assert times.min() <= at <= times.max()


def test_direct_methods_far_below_stand_under_a_break_and_leave_the_curves_their_height(results):
    axes = drawn(results.plot_convergence(x="seconds")).axes[0]
    low, high = axes.get_ylim()
    lowest = min(line.get_ydata().min() for line in curves(axes))
    # Lstsq is right to 15 digits, and the curves to 3: they take more than half of the height.
    assert np.log(high / lowest) > 0.5 * np.log(high / low)
    inside = axes.transAxes.inverted().transform(
        [line.get_transform().transform(line.get_xydata()[0]) for line in points(axes)]
    )
    assert ((inside > 0) & (inside < 1)).all()
    assert inside[:, 1].max() < axes.transLimits.transform((1, np.log10(lowest)))[1]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert sum("leq" in label for label in labels) == 1


def test_lines_near_direct_methods_need_no_break(tutorial):
    near = ol.compare(tutorial, [ol.CGLS(), ol.Lstsq()])
    axes = drawn(near.plot_convergence(x="seconds")).axes[0]
    assert not any("leq" in text.get_text() for text in axes.get_yticklabels())


def test_curves_are_what_the_traces_say(results, convergence):
    axes = convergence.axes[0]
    curve = curves(axes)[0]
    trials = results.trials
    own = trials[(trials["optimizer"] == "ManualSGD") & (trials["batch"] == "2")
                 & (trials["device"] == "cpu")]  # fmt: skip
    traces = results.traces[results.traces["trial"].isin(own["trial"])]
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    last = traces[traces["epoch"] == 50].set_index("trial")["suboptimality"]
    # The median over two seeds with two equal repeats each, relative to its own start: a few
    # roundings.
    assert curve.get_ydata()[-1] == pytest.approx((last / start).median(), rel=1e-14, abs=0)
    assert list(curve.get_xdata()) == sorted(set(traces["epoch"]) - {0})


def test_optimizers_are_told_apart_without_colour(convergence):
    lines = curves(convergence.axes[0])
    assert len({line.get_linewidth() for line in lines}) == 2
    assert len({line.get_linestyle() for line in lines}) == 2
    assert len({line.get_color() for line in lines}) == 2 * 2  # two batch sizes, two shades
    marks = points(convergence.axes[2])
    assert len({mark.get_marker() for mark in marks}) == 2


def test_seconds_has_a_line_for_each_optimizer_over_the_batch_sizes(seconds):
    axes = seconds.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "full"]
    assert len(axes.containers) == 2  # ManualSGD, TorchSGD
    assert len([line for line in axes.lines if horizontal(line)]) == 2
    assert axes.get_yscale() == "log"


def test_the_fit_shows_every_point_and_a_line_for_each_setting(fit, tutorial):
    axes = fit.axes[0]
    *lines, points = axes.lines
    np.testing.assert_array_equal(points.get_xdata(), tutorial.X[:, 0])
    np.testing.assert_array_equal(points.get_ydata(), tutorial.y)
    assert len(lines) == 2 * 2 + 2  # two optimizers at two batch sizes, two direct methods
    best = tutorial.reference().parameters
    colour = next(h.get_color() for h in legends(axes.figure)[0].legend_handles
                  if h.get_label() == "Lstsq")  # fmt: skip
    (line,) = [line for line in lines if line.get_color() == colour]
    expected = line.get_xdata() * best["weight"].item() + best["bias"].item()
    # float32 parameters of size 5 and a line of two points: some ten roundings.
    np.testing.assert_allclose(line.get_ydata(), expected, atol=5e-6)


def test_a_problem_of_several_features_has_no_fitted_line():
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2))
    with pytest.raises(ValueError, match=r"needs one feature; .* has 2"):
        ol.compare(problem, ol.Lstsq()).plot_fit()


def test_of_several_problems_one_is_named():
    results = ol.compare(
        [ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=seed), name=f"p{seed}")
         for seed in (1, 2)],
        ol.Lstsq(),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"name a problem, one of 'p1', 'p2'$"):
        results.plot_convergence()
    assert "p2" in results.plot_convergence("p2").axes[0].get_title(loc="left")


def test_results_without_a_number_still_have_figures(tutorial):
    class Fails:
        uses_batches = True

        def iterates(self, problem, batches, start):
            raise ZeroDivisionError

    results = ol.compare(tutorial, Fails(), epochs=2)
    for kind in ("convergence", "seconds", "fit"):
        drawn(getattr(results, f"plot_{kind}")())
