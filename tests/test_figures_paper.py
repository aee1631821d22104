"""Figures for papers: sizes, text that stays text, and the page's colours."""

import itertools
from xml.etree import ElementTree as ET

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.lines import Line2D

import optlab as ol
from optlab.report import views
from optlab.report.figures import draw as figures
from optlab.report.figures.convergence_figure import convergence_figure
from optlab.report.page.page_data import page_data
from optlab.report.style import Styles
from tests.planted_results import EVIL, HOSTILE, plant

COLUMN = 6.5
"""Inches: the text of a letter page in one column."""


@pytest.fixture(scope="module")
def results():
    return plant(seed=1)


@pytest.fixture(scope="module")
def drawn(results):
    return figures.all_figures(results, "line")


@pytest.fixture(scope="module")
def saved(drawn, tmp_path_factory):
    """The files of the figures as SVG, which lays each figure out."""
    folder = tmp_path_factory.mktemp("svg")
    for key, figure in drawn.items():
        figure.savefig(folder / f"{key}.svg")
    return {key: folder / f"{key}.svg" for key in drawn}


@pytest.fixture
def draw_only(monkeypatch):
    """A function that lets the views of some keys alone be drawn."""

    def keep(*keys):
        kept = [view for view, key in zip(views._VIEWS, views.KEYS, strict=True) if key in keys]
        monkeypatch.setattr(views, "_VIEWS", kept)

    return keep


def test_every_view_is_a_figure(drawn):
    assert set(drawn) == {"convergence", "digits", "seconds", "target", "ratio", "parameters",
                          "fit", "phases", "crossover", "profile"}  # fmt: skip


@pytest.mark.usefixtures("saved")
def test_figures_fit_a_paper_and_nothing_is_cut(drawn):
    for key, figure in drawn.items():
        width, height = figure.get_size_inches()
        assert width <= COLUMN, key
        assert height <= 8, key
        inside = figure.bbox.padded(1)
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(other) for other in boxes), key  # outside data and text
            boxes.append(box)
        for box in boxes:
            assert inside.x0 <= box.x0 < box.x1 <= inside.x1, key
            assert inside.y0 <= box.y0 < box.y1 <= inside.y1, key


def test_svg_text_stays_text(saved):
    for key, path in saved.items():
        texts = ["".join(e.itertext()) for e in ET.parse(path).findall(".//{*}text")]
        assert any("ManualSGD" in text for text in texts), key


def test_pdf_text_stays_text(drawn, tmp_path):
    drawn["seconds"].savefig(tmp_path / "seconds.pdf")
    assert b"/Type3" not in (tmp_path / "seconds.pdf").read_bytes()


def test_figures_have_the_pages_colours(results, drawn):
    data = page_data(results, views.views_of(results))
    styles, sizes = data["styles"]["optimizers"], data["styles"]["sizes"]
    known = {shade for style in styles.values() for shade in style["shades"]}
    for key in ("convergence", "fit", "profile"):
        lines = [line for axes in drawn[key].axes for line in axes.get_lines()]
        colours = {matplotlib.colors.to_hex(line.get_color()) for line in lines}
        assert colours - {"#767676"} <= known, key
    mine = Styles.of_results(results)
    for name, style in styles.items():
        for size, shade in zip(sizes, style["shades"], strict=False):
            assert mine.colour(name, size) == shade
        handle = next(
            h for h in drawn["seconds"].legends[0].legend_handles if h.get_label() == name
        )
        line = handle if isinstance(handle, Line2D) else handle[0]
        assert matplotlib.colors.to_hex(line.get_color()) == style["shades"][-1]


def test_what_users_wrote_is_text(tmp_path, draw_only):
    results = plant(problems=(HOSTILE,), optimizers=("$x_1$", EVIL, "_private", "a\nb"),
                    direct=(), devices=("cpu",), mishaps=False)  # fmt: skip
    draw_only("crossover", "parameters", "seconds")
    drawn = figures.all_figures(results, HOSTILE)
    for key in ("crossover", "parameters", "seconds"):
        drawn[key].savefig(tmp_path / "hostile.svg")
    shown = ET.parse(tmp_path / "hostile.svg").findall(".//{*}text")
    texts = {"".join(e.itertext()).strip() for e in shown}
    assert {"$x_1$", "_private", "a b", f"Seconds on {HOSTILE}"} <= texts
    assert any("$x_1$ %{x}" in text for text in texts)


def test_all_are_saved(tmp_path, monkeypatch):
    small = plant(problems=("line", "plane"), optimizers=("A",), direct=(), sizes=(1,), seeds=1,
                  devices=("cpu",), mishaps=False)  # fmt: skip
    every = {name: figures.all_figures(small, name) for name in small.problems}
    assert every["line"].keys() - every["plane"].keys() == {"fit"}
    few = {name: {key: own[key] for key in ("fit", "seconds", "profile") if key in own}
           for name, own in every.items()}  # fmt: skip
    monkeypatch.setattr(figures, "all_figures", lambda _, problem, paper: few[problem])
    saved = figures.save_all(small, tmp_path / "new")
    assert sorted(saved) == sorted((tmp_path / "new").iterdir())  # none overwrites another
    assert len(set(saved)) == len(saved)
    stems = {path.stem for path in saved}
    assert stems == {"0-line-fit", "0-line-seconds", "1-plane-seconds", "profile"}
    start = {".svg": b"<?xml", ".png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(start[path.suffix]) for path in saved)


def test_notebooks_show_small_escaped_tables(tutorial):
    from optlab.report.notebook import results_html

    once = {"direct": (), "devices": ("cpu",), "seeds": 1, "repeats": 1}
    planted = plant(optimizers=(HOSTILE, "B", "C"), **once)
    html = results_html(planted)
    assert "<script" not in html
    assert html.count("<tr>") == 2 * (1 + 3)  # of each problem a heading and the methods' best
    many = plant(optimizers=tuple("abcdefghijklmnopqrstuvwx"), problems=("one",), **once)
    assert results_html(many).count("<tr>") == 21
    assert "and 4 more rows" in results_html(many)
    solution = ol.minimize(tutorial, ol.ManualSGD(0.1), epochs=5)
    assert solution.message in solution._repr_html_()
    assert "tutorial" in ol.datasets.tutorial()._repr_html_()
    wide = ol.datasets.synthetic(20, 100, condition=2, seed=1)
    assert len(wide._repr_html_()) < 2000


def test_the_baseline_drawn_is_the_first_with_a_ratio_and_the_target_the_experiments_own(draw_only):
    results = plant(problems=("line",), devices=("cpu",), mishaps=False)
    first = results.trials["optimizer"] == "ManualSGD"
    results.trials.loc[first, ["status", "message"]] = ["diverged", "planted"]
    results.definition["stop_at"] = 1e-2
    draw_only("ratio", "target")
    drawn = figures.all_figures(results, "line")
    assert (
        drawn["ratio"]
        .axes[0]
        .get_title(loc="left")
        .startswith("Compared with a baseline on line, baseline TorchSGD")
    )
    assert "target 0.01" in drawn["target"].axes[0].get_title(loc="left")
    names = [text.get_text() for text in drawn["ratio"].legends[0].get_texts()]
    assert "ManualSGD" not in names


def test_tick_labels_of_a_short_logarithmic_axis_do_not_overlap():
    results = plant(problems=("line",), devices=("cpu",), epochs=(1,), mishaps=False)
    figure = convergence_figure(results, "line")
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [
            label.get_window_extent()
            for label in axes.get_xticklabels()
            if label.get_text() and axes.bbox.x0 - 1 <= label.get_window_extent().x0 < axes.bbox.x1
        ]
        ordered = sorted(boxes, key=lambda box: box.x0)
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(ordered))


def test_long_names_overlap_nothing_and_are_not_cut():
    names = tuple(f"AnOptimizerOfLongName(learning_rate=0.01, momentum=0.9, restarts={n}, "
                  "warm_up=True, amsgrad=True)" for n in range(3))  # fmt: skip
    results = plant(problems=("a problem of a name that is " + "very " * 12 + "long",),
                    optimizers=names, direct=(), sizes=(1, "full"), mishaps=False)  # fmt: skip
    facts = next(iter(results.problems.values()))
    drawn = figures.all_figures(results, facts.name)
    for key, figure in drawn.items():
        figure.draw_without_rendering()
        inside = figure.bbox.padded(1)
        parts = [*figure.legends, *(axes.title for axes in figure.axes)]
        parts += [axes._left_title for axes in figure.axes]
        for part in parts:
            box = part.get_window_extent()
            assert box.width == 0 or (inside.x0 <= box.x0 and box.x1 <= inside.x1), key
    cells = drawn["crossover"].axes[0].tables[0].get_celld()
    for cell in cells.values():
        box, text = cell.get_window_extent(), cell.get_text().get_window_extent()
        assert text.x1 <= box.x1 + 1


def test_a_batch_size_that_never_gets_there_keeps_its_place_and_unstable_is_explained(draw_only):
    results = plant(problems=("line",), devices=("cpu",))
    slow = results.trials.loc[results.trials["batch"] == "8", "trial"]
    late = results.traces["trial"].isin(slow) & (results.traces["epoch"] > 0)
    results.traces.loc[late, "suboptimality"] = 4.9
    draw_only("target")
    axes = figures.all_figures(results, "line")["target"].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "8", "full"]
    entries = figures.seconds(results, "line").legends[0].get_texts()
    assert "hollow: unstable" in [text.get_text() for text in entries]


def test_a_method_without_batches_that_is_unstable_shows_it():
    results = plant(problems=("line",), devices=("cpu",), repeats=5, mishaps=False)
    direct = results.trials["optimizer"] == "Lstsq"
    results.trials.loc[direct, "seconds"] *= np.linspace(1, 3, direct.sum())
    axes = figures.seconds(results, "line").axes[0]
    assert any(line.get_markerfacecolor() == "white" and list(line.get_xdata()) == [0.985]
               for line in axes.get_lines())  # fmt: skip


def test_direct_methods_alone_are_points_at_their_seconds():
    results = plant(problems=("line",), optimizers=("Lstsq",), devices=("cpu",), mishaps=False)
    (axes,) = convergence_figure(results, "line").axes
    assert axes.get_xlabel() == "seconds of work"
    (mark,) = [line for line in axes.lines if len(line.get_xdata()) == 1]
    low, high = axes.get_xlim()
    assert low < mark.get_xdata()[0] < high
    labels = [text.get_text() for text in axes.get_yticklabels() if text.get_text()]
    assert len(labels) == len(set(labels)) > 1
