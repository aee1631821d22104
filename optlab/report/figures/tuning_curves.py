"""Draw the cost or loss of every setting that tuning tried, against each hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import ENDED_WELL
from optlab.analysis.tuning import tuning_settings
from optlab.optimizers.rate_text import common_name, is_rate_name
from optlab.report.figures.panels import INK, MARKERS, escape_math, line_style, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.style import Styles
from optlab.report.ticks import log_ticks, shorten
from optlab.text import number

_MISSED = 0.985
"""The height of the marks of settings that missed the target, as a share of the axes."""

_FAILED = 5.5
"""The height of the marks of settings that failed, in points above the axes."""

_ABOVE_FAILED = 11.0
"""The height of titles, in points above the axes: those marks are 4.5 points tall."""


def tuning_curves(
    results: ResultTables, problem: str, *, paper: FigureStyle = PAGE
) -> Figure | None:
    """Draw every setting of the searches on a problem; None where nothing was tuned.

    A column for each hyperparameter, a row for each batch size. The height is the epochs to
    ``stop_at`` where at least a third of the settings that ended well reached it, else what was
    tuned for. Crosses above the panel diverged or failed; hollow marks at its top did not reach
    ``stop_at``. The chosen setting has a ring. Dashed lines are the largest stable rates of theory,
    with full batches, where there is one.
    """
    table = tuning_settings(results)
    table = table[table["problem"] == problem]
    table = table.assign(hyperparameter=table["hyperparameter"].map(common_name))
    if table.empty:
        return None
    several = table.groupby("optimizer")["hyperparameter"].transform("nunique")
    table = table.assign(alone=several == 1)  # a line joins settings that differ in nothing else
    styles = Styles.of_results(results)
    well = table[table["status"].isin(ENDED_WELL)]
    reached = bool((well["reached"] == 1).mean() > 1 / 3)
    names = list(dict.fromkeys(table["hyperparameter"]))
    batches = list(dict.fromkeys(table["batch"]))
    with mpl.rc_context(paper.settings):
        figure = PaperFigure(
            figsize=(paper.width, 1.15 + 2.2 * len(batches) + 0.08 * table["optimizer"].nunique()),
            layout="constrained",
            style=paper,
        )
        grid = figure.subplots(len(batches), len(names), sharey=True, squeeze=False)
        for (row, batch), (column, name) in (
            (r, c) for r in enumerate(batches) for c in enumerate(names)
        ):
            axes = grid[row][column]
            part = table[(table["batch"] == batch) & (table["hyperparameter"] == name)]
            limits = results.definition.get("stable_rates", {}).get(problem, {})
            _panel(axes, part, styles, limits if is_rate_name(name) else {},
                   reached=reached)  # fmt: skip
            if column == 0:
                axes.set_ylabel("epochs to stop_at" if reached else _measure(results, table))
                title = f"Tuning on {problem}" if row == 0 and paper.title else ""
                size = f"batch size {batch}" if len(batches) > 1 else ""
                axes.set_title("\n".join(filter(None, [wrap_title(title), size])), loc="left",
                               pad=_ABOVE_FAILED)  # fmt: skip
        _set_height(grid[0][0], table, reached=reached)
        handles = _legend(table, styles, limits=bool(limits), reached=reached)
        figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False)
    return figure


def _height(rows: pd.DataFrame, *, reached: bool) -> pd.Series[float]:
    """Return the heights of settings, NaN for those that failed or did not reach ``stop_at``."""
    height = rows["epochs"].where(rows["reached"] == 1) if reached else rows["measure"]
    return height.where(rows["status"].isin(ENDED_WELL))


def _set_height(axes: Axes, table: pd.DataFrame, *, reached: bool) -> None:
    """Make the shared y axis hold all heights, with round numbers beside it."""
    height = _height(table, reached=reached).dropna()
    if height.empty or not (height > 0).all():
        return
    room = max(1.25, (height.max() / height.min()) ** 0.04)  # for the ring around a mark
    low, high = height.min() / room, height.max() * room
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low, high, 8)))
    if high < 1e4 * low:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    styles: Styles,
    limits: Mapping[str, float],
    *,
    reached: bool,
) -> None:
    values, label = _axis_of(rows)
    axes.set_xlabel(escape_math(label))
    height, failed = _height(rows, reached=reached), ~rows["status"].isin(ENDED_WELL)
    if values.dtype == float and is_wide(values):
        axes.set_xscale("log")
    for optimizer, own in rows.groupby("optimizer", sort=False):
        style = line_style(styles, str(optimizer))
        mark = {"color": style["color"], "markersize": 4.5, "linestyle": "none"}
        order = own.index[np.argsort(values[own.index].to_numpy(), kind="stable")]
        x, y = values[order], height[order]
        alone = bool(own["alone"].all())
        axes.plot(x, y, marker=MARKERS[styles[str(optimizer)].marker],
                  **(mark | ({"linestyle": "-", "linewidth": 0.8} if alone else {})))  # fmt: skip
        above = axes.get_xaxis_transform()
        lost = failed[order]
        draw_failed(axes, x[lost], style["color"])
        missed = y.isna() & ~lost
        (hollow,) = axes.plot(x[missed], np.full(missed.sum(), _MISSED), marker="o",
                              markerfacecolor="white", clip_on=False, transform=above,
                              **mark)  # fmt: skip
        hollow.set_in_layout(False)
        best = own["chosen"][order].to_numpy(bool) & y.notna().to_numpy()
        draw_ring(axes, x[best], y[best])
        if optimizer in limits:
            axes.axvline(limits[str(optimizer)], color=style["color"], linestyle="--", linewidth=1)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def draw_failed(axes: Axes, x: pd.Series[Any], colour: str) -> None:
    """Draw crosses above a panel at the values of settings that diverged or failed."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    up = axes.transAxes + ScaledTranslation(0, _FAILED / 72, figure.dpi_scale_trans)
    (crosses,) = axes.plot(x, np.ones(len(x)), marker="x", clip_on=False, color=colour,
                           markersize=4.5, linestyle="none",
                           transform=blended_transform_factory(axes.transData, up))  # fmt: skip
    crosses.set_in_layout(False)


def draw_ring(axes: Axes, x: pd.Series[Any], y: pd.Series[Any]) -> None:
    """Draw a ring around the best settings."""
    axes.plot(x, y, marker="o", markersize=9, markerfacecolor="none", markeredgecolor=INK,
              markeredgewidth=0.8, linestyle="none", zorder=5)  # fmt: skip


def _axis_of(rows: pd.DataFrame) -> tuple[pd.Series[Any], str]:
    """Return values along an axis and its label: of momenta near 1, the distance from 1."""
    label = str(rows["hyperparameter"].iloc[0]).replace("_", " ")
    if not rows["value"].map(lambda value: isinstance(value, int | float)).all():
        return rows["value"].astype(str), label
    values = rows["value"].astype(float)
    rest = 1 - values
    if (values >= 0).all() and (rest > 0).all() and values.max() > 0.9 and is_wide(rest):
        return rest, f"1 - {label}"
    return values, label


def is_wide(values: pd.Series[float], factor: float = 20) -> bool:
    """Return whether positive values span so much that their logarithms are drawn."""
    return bool((values > 0).all() and values.max() > factor * values.min())


def _measure(results: ResultTables, table: pd.DataFrame) -> str:
    """Return the measure that the optimizers were tuned for, as a label."""
    about = optimizer_settings(results.definition)
    by = {str(about.get(name, {}).get("by", "")) for name in table["optimizer"]}
    plain = {one.replace("_", " ") for one in by if " to " not in one}
    return escape_math(", ".join(sorted(plain))) or "suboptimality"


def _legend(table: pd.DataFrame, styles: Styles, *, limits: bool, reached: bool) -> list[Line2D]:
    plain: Any = {"color": INK, "linestyle": "none", "markersize": 4.5}
    handles = [
        Line2D([], [], marker=MARKERS[styles[name].marker], label=escape_math(shorten(name, 40)),
               **(plain | {"color": line_style(styles, name)["color"]}))
        for name in dict.fromkeys(table["optimizer"])
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="o", markerfacecolor="none", label="chosen",
                          **(plain | {"markersize": 8})))  # fmt: skip
    if not table["status"].isin(ENDED_WELL).all():
        handles.append(Line2D([], [], marker="x", label="diverged or failed", **plain))
    if reached and (table["status"].isin(ENDED_WELL) & (table["reached"] < 1)).any():
        handles.append(Line2D([], [], marker="o", markerfacecolor="white",
                              label="stop_at not reached", **plain))  # fmt: skip
    if limits:
        handles.append(Line2D([], [], color=INK, linestyle="--", linewidth=1,
                              label="largest stable rate, full batch"))  # fmt: skip
    return handles
