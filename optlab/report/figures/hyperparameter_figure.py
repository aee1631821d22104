"""Draw the final error of every setting against a hyperparameter, a line a method."""

from __future__ import annotations

import json
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import ENDED_WELL
from optlab.checks import did_you_mean
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.report.figures.legend import legend_height, legend_of, put_legend
from optlab.report.figures.panels import INK, MARKERS, escape_math, finish, line_style, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.figures.tuning_curves import draw_ring, is_wide
from optlab.report.style import Styles
from optlab.report.views.view import Axis, batches_in
from optlab.text import method_name

_PANELS = ["device", "dtype"]
_LINE = ["method", "batch", *_PANELS]


def hyperparameter_table(
    results: ResultTables,
    problem: str,
    hyperparameter: str = "learning_rate",
    measure: str = "suboptimality",
) -> pd.DataFrame:
    """Return the final measure of each method at each value of a hyperparameter.

    Where settings differ in other hyperparameters too, each value stands with the best of them.

    Returns
    -------
    pandas.DataFrame
        ``method, batch, device, dtype, value``; the median ``height`` over seeds and repeats with
        ``low`` and ``high``, the least and the most, NaN where half or more of the trials diverged
        or failed; ``best``, whether it is the least of its line.

    Raises
    ------
    ValueError
        For a hyperparameter or measure that no trial of the problem has as a number.
    """
    trials = results.measured.trials
    trials = trials[(trials["problem"] == problem) & (trials["status"] != "skipped")]
    values = _numbers(trials, hyperparameter)
    if measure not in trials or not (heights := _floats(trials[measure])).notna().any():
        numeric = [str(name) for name in trials if trials[name].dtype.kind == "f"]
        hint = did_you_mean(measure, numeric)
        raise ValueError(f"no trial of {problem} has the measure {measure!r}; {hint}".rstrip("; "))
    well = trials["status"].isin(ENDED_WELL)
    rows = trials[["optimizer", "batch", *_PANELS]].astype(str)
    rows = rows.assign(
        batch=trials["batch"], value=values, height=heights.where(well), lost=~well,
        method=trials["optimizer"].map(lambda name: method_name(str(name))),
    )[values.notna()]  # fmt: skip
    keys = ["optimizer", *_LINE, "value"]
    groups = rows.groupby(keys, sort=False, observed=True)
    table = groups["height"].agg(height="median", low="min", high="max").reset_index()
    lost = groups["lost"].mean().to_numpy() >= 0.5
    table.loc[lost, ["height", "low", "high"]] = np.nan
    ordered = table.sort_values("height", kind="stable").drop_duplicates([*_LINE, "value"])
    ordered = ordered.drop(columns="optimizer").sort_values("value", ignore_index=True)
    least = ordered.groupby(_LINE, observed=True)["height"].transform("min")
    return ordered.assign(best=ordered["height"] == least)


def _numbers(trials: pd.DataFrame, hyperparameter: str) -> pd.Series[float]:
    """Return the values of a hyperparameter; of a schedule the number that it begins with.

    ``lr`` is a learning rate too.
    """
    names = RATE_FIELDS if hyperparameter in RATE_FIELDS else (hyperparameter,)
    columns = [f"hp_{name}" for name in names if f"hp_{name}" in trials]
    values = pd.Series(np.nan, index=trials.index)
    for column in columns:
        values = values.fillna(_floats(trials[column]))
    if values.notna().any():
        return values
    there = [str(n).removeprefix("hp_") for n in trials if str(n).startswith("hp_")]
    there = [name for name in there if _floats(trials[f"hp_{name}"]).notna().any()]
    hint = did_you_mean(hyperparameter, there)
    raise ValueError(
        f"no trial has a number for the hyperparameter {hyperparameter!r}: {hint}there are "
        f"{', '.join(there) or 'none'}"
    )


def _floats(column: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(column.map(_first_number), errors="coerce").astype(float)


def _first_number(value: Any) -> Any:
    """Return the first number of a schedule, which the tables hold as JSON; else the value."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    parts = json.loads(value).values()
    return next((part for part in parts if isinstance(part, int | float)), np.nan)


def has_values(results: ResultTables, problem: str) -> bool:
    """Return whether some method ran at three learning rates or more."""
    try:
        table = hyperparameter_table(results, problem)
    except ValueError:
        return False
    return bool((table.groupby(_LINE, observed=True)["value"].nunique() >= 3).any())


def hyperparameter_figure(
    results: ResultTables,
    problem: str,
    hyperparameter: str = "learning_rate",
    measure: str = "suboptimality",
    *,
    paper: FigureStyle = PAGE,
) -> Figure:
    """Draw `hyperparameter_table`, a panel for each device and dtype.

    Crosses in a band at the top diverged or failed; the least of each line has a ring; bars reach
    from the least to the most over seeds and repeats.
    """
    table = hyperparameter_table(results, problem, hyperparameter, measure)
    trials = results.measured.trials
    methods = dict.fromkeys(method_name(str(name)) for name in trials["optimizer"])
    known = optimizer_settings(results.definition)
    styles = Styles.of(methods, batches_in(trials["batch"]), known)
    words = hyperparameter.replace("_", " ")
    x = Axis("value", words, scale="log" if is_wide(table["value"]) else "linear")
    high = table["height"].dropna()
    log = len(high) and (high > 0).all() and is_wide(high, 10)
    y = Axis("height", f"final {measure.replace('_', ' ')}", scale="log" if log else "linear")
    panels = list(table.groupby(_PANELS, sort=False))
    with mpl.rc_context(paper.settings):
        handles = _legend(table, styles)
        across = min(len(panels), 1 if paper.narrow else 3)
        down = -(-len(panels) // across)
        height = 0.45 + 2.0 * down + legend_height(handles, paper) + 0.25 * paper.title
        figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        band = _set_limits(grid[0][0], table, y)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.remove()
                continue
            named, part = panels[place]
            _draw(axes, part, x, y, styles)
            _draw_lost(axes, part, styles, band, first=place % across == 0)
            axes.set_xlabel(escape_math(x.title))
            if place % across == 0:
                axes.set_ylabel(escape_math(y.title))
            title = [wrap_title(f"{y.title} by {words} on {problem}".capitalize())]
            heading = title * (paper.title and place == 0)
            heading += [", ".join(map(str, named))] * (paper.title or len(panels) > 1)
            axes.set_title("\n".join(heading), loc="left")
        put_legend(figure, handles, paper)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, x: Axis, y: Axis, styles: Styles) -> None:
    axes.set_xscale(x.scale)
    for (method, batch), line in rows.groupby(["method", "batch"], sort=False, observed=True):
        look = line_style(styles, str(method), str(batch))
        look["marker"] = MARKERS[styles[str(method)].marker]
        got = line[line["height"].notna()]
        reach = np.array([got["height"] - got["low"], got["high"] - got["height"]])
        axes.errorbar(got["value"], got["height"], yerr=np.maximum(0, reach), markersize=4,
                      capsize=1.5, elinewidth=0.7, **look)  # fmt: skip
        draw_ring(axes, got.loc[got["best"], "value"], got.loc[got["best"], "height"])
    finish(axes, x, y)


def _lines_lost(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the methods and batch sizes that diverged or failed at some value."""
    lost = table[table["height"].isna()]
    return list(dict.fromkeys(zip(lost["method"], lost["batch"].astype(str), strict=True)))


def _set_limits(axes: Axes, table: pd.DataFrame, y: Axis) -> float:
    """Make the axis hold all heights, and return the share at its top for what has none."""
    axes.set_yscale(y.scale)
    ends = table[["height", "low", "high"]].to_numpy(float)
    ends = ends[np.isfinite(ends) & ((ends > 0) | (y.scale == "linear"))]
    band = 0.04 + 0.05 * len(lost) if (lost := _lines_lost(table)) else 0.0
    if ends.size:
        scale = axes.yaxis.get_transform()
        low, high = scale.transform([ends.min(), ends.max()])
        room = 0.06 * (high - low) or 1.0
        reach = (high + room - (low - room)) / (1 - band)
        bottom, top = scale.inverted().transform([low - room, low - room + reach])
        axes.set_ylim(float(bottom), float(top))
    return band


def _draw_lost(axes: Axes, rows: pd.DataFrame, styles: Styles, band: float, *, first: bool) -> None:
    """Draw crosses, in a band at the top, at the values where a method diverged or failed."""
    if not band:
        return
    lost, across = rows[rows["height"].isna()], axes.get_xaxis_transform()
    lines = _lines_lost(rows)
    for nth, (method, batch) in enumerate(lines):
        own = lost[(lost["method"] == method) & (lost["batch"].astype(str) == batch)]
        height = 1 - band * (nth + 0.5) / len(lines)
        axes.plot(own["value"], [height] * len(own), "x", color=styles.colour(method, batch),
                  markersize=4.5, transform=across)  # fmt: skip
    axes.add_patch(Rectangle((0, 1 - band), 1, band, transform=axes.transAxes, color="#f3f4f6",
                             zorder=0))  # fmt: skip
    axes.yaxis.set_major_locator(FixedLocator(
        [tick for tick in axes.get_yticks() if axes.transAxes.inverted().transform(
            axes.transData.transform((1, tick)))[1] < 1 - band]
    ))  # fmt: skip
    if first:
        axes.annotate("diverged", (0, 1 - band / 2), xytext=(-4, 0), textcoords="offset points",
                      xycoords="axes fraction", ha="right", va="center")  # fmt: skip


def _legend(table: pd.DataFrame, styles: Styles) -> list[Line2D]:
    handles = legend_of(styles, set(table["method"]), set(table["batch"].astype(str)))
    for handle in handles[: table["method"].nunique()]:
        name = next(n for n in styles.by_optimizer if escape_math(n) == handle.get_label())
        handle.set_marker(MARKERS[styles[name].marker])
    plain: dict[str, Any] = {"color": INK, "linestyle": "none"}
    handles.append(Line2D([], [], marker="o", markerfacecolor="none", markersize=8, label="least",
                          **plain))  # fmt: skip
    return handles
