"""Figures at the sizes of a journal's columns: labels, legends, colours, fonts."""

import itertools
import zlib
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex

import optlab as ol
from optlab.report.figures.end_labels import spread
from optlab.report.figures.hyperparameter_table import hyperparameter_table


@pytest.fixture(scope="module")
def results(tutorial):
    rates = (0.01, 0.1, 1000.0)
    methods = [rule(rate) for rate in rates for rule in (ol.SGD, ol.Adam)]
    return ol.compare(tutorial, [*methods, ol.Lstsq()], batch_sizes=[5, "full"], seeds=[1, 2],
                      epochs=20)  # fmt: skip


def texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_axes_methods_and_batch_sizes_are_chosen(results):
    figure = results.plot_convergence(x=["epochs", "seconds"], methods="SGD", batch_sizes="full")
    assert [axes.get_xlabel() for axes in figure.axes] == ["epochs", "seconds of work"]
    assert len(figure.axes[0].lines) == 3  # one of them diverged
    with pytest.raises(ValueError, match="no method is called 'SDG': did you mean 'SGD'"):
        results.plot_convergence(methods=["SDG"])
    with pytest.raises(ValueError, match="x must be of epochs, samples, seconds"):
        results.plot_convergence(x="epoch")
    with pytest.raises(ValueError, match="no style is called 'three-column'"):
        results.plot_convergence(style="three-column")
    with pytest.raises(ValueError, match="no trial has batch = 7"):
        results.plot_convergence(batch_sizes=7)


def test_a_method_keeps_its_colour_in_every_figure(results):
    adam = results.filter(method="Adam", batch="full")
    curve = results.plot_hyperparameter()
    handle = next(h for h in curve.legends[0].legend_handles if h.get_label() == "Adam")
    colour = to_hex((handle if hasattr(handle, "get_color") else handle[0]).get_color())
    for drawn in (adam.filter(hp_learning_rate=0.1), adam.filter(hp_learning_rate=0.1).best()):
        (line,) = drawn.plot_convergence(x="epochs").axes[0].lines
        assert to_hex(line.get_color()) == colour


def test_few_lines_are_named_at_their_ends_and_no_label_overlaps(results):
    chosen = results.filter(method=["SGD", "Adam"], batch="full", hp_learning_rate=[0.01, 0.1])
    figure = chosen.plot_convergence(x="epochs", style="two-column")
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[0].texts if text.get_text()]
    assert {text.get_text() for text in labels} == {
        f"{method}, learning rate {rate}" for method in ("SGD", "Adam") for rate in (0.01, 0.1)
    }
    assert not figure.legends
    boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 + 1 for box in boxes)
    diverged = results.filter(method="SGD", batch="full").plot_convergence(x="epochs")
    diverged.draw_without_rendering()
    inside = diverged.bbox.padded(1)
    for text in diverged.axes[0].texts:  # one line ends far above the axes
        assert text.get_tightbbox().y1 <= inside.y1
    narrow = chosen.plot_convergence(x="epochs", style="one-column")
    assert narrow.legends  # the names find no room beside it


@pytest.mark.parametrize("style", ["one-column", "two column"])
def test_nothing_is_cut_at_the_width_of_a_column(results, style):
    for figure in (results.plot_convergence(style=style), results.plot_hyperparameter(style=style)):
        assert figure.get_figwidth() == {"one-column": 3.5, "two column": 7.16}[style]
        figure.draw_without_rendering()
        parts = [*(axes.get_tightbbox() for axes in figure.axes)]
        parts += [legend.get_window_extent() for legend in figure.legends]
        inside = figure.bbox.padded(1)
        for box in parts:
            assert inside.x0 <= box.x0 < box.x1 <= inside.x1
            assert inside.y0 <= box.y0 < box.y1 <= inside.y1
        assert not figure.axes[0].get_title(loc="left")  # a paper's caption says it


def test_fonts_are_embedded_as_text_in_pdf(results):
    file = BytesIO()
    results.plot_hyperparameter(style="one-column").savefig(file, format="pdf")
    raw = file.getvalue()
    parts = [raw]
    for piece in raw.split(b"stream\n")[1:]:
        try:
            parts.append(zlib.decompress(piece))
        except zlib.error:
            continue
    whole = b"".join(parts)
    assert b"/Type0" in whole
    assert b"/Type3" not in whole


def test_shades_are_settings_where_there_is_one_batch_size(results):
    chosen = results.filter(method=["SGD", "Adam"], batch="full")
    figure = chosen.plot_convergence(x="epochs", style="one-column")
    assert set(texts(figure)) == {"SGD", "Adam", "learning rate 0.01", "learning rate 0.1",
                             "learning rate 1000.0"}  # fmt: skip


def test_the_final_error_over_a_hyperparameter_is_the_trials_median(results):
    table = hyperparameter_table(results, "tutorial, standardized")
    assert set(table["method"]) == {"SGD", "Adam"}
    trials = results.trials.query("optimizer == 'SGD(learning_rate=0.1)' and batch == 'full'")
    row = table.query("method == 'SGD' and batch == 'full' and value == 0.1").iloc[0]
    assert row["height"] == np.median(trials["suboptimality"])
    lost = table[table["height"].isna()]
    assert set(zip(lost["method"], lost["value"], strict=True)) == {("SGD", 1000.0)}
    best = table[table["best"]]
    ranked = set(results.ranking()["optimizer"]) - {"Lstsq"}
    assert ranked <= set(best["method"] + best["value"].map("(learning_rate={})".format))
    assert (best.groupby(["method", "batch"], observed=True).size() == 1).all()
    with pytest.raises(ValueError, match="no trial has a number for the hyperparameter 'rate'"):
        results.plot_hyperparameter("rate")
    with pytest.raises(ValueError, match="has the measure 'los'; did you mean 'loss'"):
        results.plot_hyperparameter(measure="los")


def test_what_diverged_stands_in_a_band_above_all_heights(results):
    (axes,) = results.plot_hyperparameter(style="one-column").axes
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert {tuple(line.get_xdata()) for line in crosses} == {(1000.0,)}
    lowest = min(line.get_ydata()[0] for line in crosses)
    marks = [line for line in axes.lines if line.get_marker() in {"o", "s"}]
    highest = max(max(line.get_ydata()) for line in marks)
    share = axes.transAxes.inverted().transform(axes.transData.transform((1, highest)))[1]
    assert share < lowest
    assert len({line.get_ydata()[0] for line in crosses}) == len(crosses)  # none hides another
    assert any(text.get_text() == "diverged" for text in axes.texts)


def test_with_a_target_its_epochs_are_drawn_and_a_setting_that_missed_it_has_no_height(tutorial):
    rates = [ol.SGD(rate) for rate in (0.001, 0.1, 0.3, 100.0)]
    results = ol.compare(tutorial, rates, batch_sizes=["full"], epochs=30, stop_at=1e-2)
    table = hyperparameter_table(results, tutorial.name).set_index("value")
    epochs = results.trials.set_index("hp_learning_rate")["epochs"]
    assert table["height"].dropna().to_dict() == epochs[[0.1, 0.3]].to_dict()
    assert table["lost"].to_dict() == {0.001: False, 0.1: False, 0.3: False, 100.0: True}
    assert table.index[table["best"]].tolist() == results.best().trials["hp_learning_rate"].tolist()
    (axes,) = results.plot_hyperparameter(style="one-column").axes
    assert axes.get_ylabel() == "epochs to 0.01"
    assert any(text.get_text() == "not reached" for text in axes.texts)
    (axes,) = results.plot_hyperparameter(measure="suboptimality", style="one-column").axes
    assert axes.get_ylabel() == "final suboptimality"


def test_labels_are_spread_and_stay_within_the_axes():
    rng = np.random.default_rng(3)
    for count in range(1, 9):
        heights = rng.uniform(-0.5, 1.5, count)
        placed = np.array(spread(heights, 0.1, 0.15))
        assert placed.min() >= 0.15 - 1e-9
        assert placed.max() <= 1 + 1e-9
        ordered = placed[np.argsort(heights, kind="stable")]
        assert (np.diff(ordered) >= 0.1 - 1e-9).all()


def test_a_schedule_is_drawn_over_the_number_that_it_begins_with(tutorial):
    rates = [ol.SGD(ol.schedules.Cosine(rate, epochs=5)) for rate in (0.01, 0.1, 0.3)]
    results = ol.compare(tutorial, rates, epochs=5)
    table = hyperparameter_table(results, tutorial.name)
    assert sorted(table["value"]) == [0.01, 0.1, 0.3]
    words = set(results.ranking()["hyperparameters"])
    assert words <= {f"learning_rate=Cosine(learning_rate={r}, epochs=5)" for r in (0.01, 0.1, 0.3)}
