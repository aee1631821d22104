"""The views as matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.lab import ProblemFacts
from optlab.report import views

# Okabe and Ito's colours, told apart by colour-blind eyes; the order keeps neighbours far apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))

_AXES = {
    "epoch": "epochs",
    "samples": "samples touched",
    "seconds": "seconds of work",
}


def convergence(trials: pd.DataFrame, traces: pd.DataFrame, problem: str) -> Figure:
    """Draw suboptimality over epochs, samples and seconds; direct methods as horizontal lines."""
    view = views.convergence(trials, traces, problem)
    styles = _Styles(trials)
    devices = list(dict.fromkeys(view["device"]))
    figure = Figure(figsize=(13, 4.2 * max(1, len(devices))), layout="constrained")
    grid = figure.subplots(max(1, len(devices)), 3, sharey=True, squeeze=False)
    grid[0][0].set_title(f"Convergence on {problem}", loc="left")
    for row, device in zip(grid, devices, strict=False):
        for axes, (x, label) in zip(row, _AXES.items(), strict=True):
            _draw_convergence(axes, view[view["device"] == device], x, styles)
            axes.set_xlabel(label)
        row[0].set_ylabel(f"suboptimality, relative to the start ({device})")
    figure.legend(handles=styles.legend(view), loc="outside right upper", frameon=False)
    return figure


def _draw_convergence(axes: Axes, view: pd.DataFrame, x: str, styles: _Styles) -> None:
    for (optimizer, size, _), line in view.groupby(
        ["optimizer", "batch_size", "dtype"], sort=False, dropna=False
    ):
        style = styles.line(str(optimizer), size)
        if line["direct"].iloc[0] and len(line) <= 2:
            axes.axhline(line["suboptimality"].iloc[-1], **style)
        else:
            later = line[line["epoch"] > 0]  # the start has no place on a logarithmic axis
            axes.plot(later[x], later["suboptimality"], **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(alpha=0.25)


def seconds(trials: pd.DataFrame, problem: str) -> Figure:
    """Draw median seconds by batch size, a panel for each device; bars from least to most."""
    view = views.seconds(trials, problem)
    styles = _Styles(trials)
    devices = list(dict.fromkeys(view["device"]))
    sizes = views.batch_size_order(view["batch_size"])
    figure = Figure(figsize=(4.5 * max(1, len(devices)) + 2.5, 4), layout="constrained")
    row = figure.subplots(1, max(1, len(devices)), sharey=True, squeeze=False)[0]
    for axes, device in zip(row, devices, strict=False):
        for optimizer, line in view[view["device"] == device].groupby("optimizer", sort=False):
            style = styles.line(str(optimizer))
            if line["direct"].iloc[0]:
                axes.axhline(line["median"].median(), **style)
                continue
            x = [sizes.index(size) for size in line["batch_size"]]
            error = [line["median"] - line["min"], line["max"] - line["median"]]
            axes.errorbar(x, line["median"], yerr=error, marker="o", capsize=3, **style)
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set(xlabel=f"batch size ({device})", yscale="log")
        axes.grid(alpha=0.25)
    row[0].set_title(f"Seconds of work on {problem}", loc="left")
    row[0].set_ylabel("seconds (median; bars from least to most)")
    figure.legend(
        handles=styles.legend(view, sizes=False), loc="outside right upper", frameon=False
    )
    return figure


def fit(
    trials: pd.DataFrame,
    parameters: Mapping[int, Mapping[str, np.ndarray[Any, Any]]],
    problem: ProblemFacts,
) -> Figure:
    """Draw the points of a one-feature problem, and the line of each optimizer's best trial."""
    if problem.d != 1:
        raise ValueError(f"a fitted line needs one feature; {problem.name} has {problem.d}")
    X, y = problem.x, problem.y
    styles = _Styles(trials)
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(X, y, "o", color="0.35", markersize=8, label="data", zorder=1)
    ends = np.array([X.min(), X.max()])
    for _, trial in views.best_trials(trials, problem.name).iterrows():
        found = parameters[int(trial["trial"])]
        line = ends * found["weight"][0] + found.get("bias", np.zeros(()))
        size = "" if pd.isna(trial["batch_size"]) else f", batch size {trial['batch_size']}"
        axes.plot(
            ends, line, label=f"{trial['optimizer']}{size}", **styles.line(trial["optimizer"])
        )
    axes.set(xlabel=problem.feature_names[0] if problem.feature_names else "x", ylabel="y")
    axes.set_title(f"Lines fitted to {problem.name}", loc="left")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


class _Styles:
    """One colour and dash for an optimizer on every figure; the batch size is the shade."""

    def __init__(self, trials: pd.DataFrame) -> None:
        self.optimizers = list(dict.fromkeys(trials["optimizer"]))
        self.sizes = views.batch_size_order(trials["batch_size"])

    def line(self, optimizer: str, size: object = None) -> dict[str, Any]:
        place = self.optimizers.index(optimizer)
        shade = 0.0
        if size in self.sizes and len(self.sizes) > 1:
            shade = 0.65 * self.sizes.index(size) / (len(self.sizes) - 1)
        return {
            "color": _lighter(PALETTE[place % len(PALETTE)], shade),
            "linestyle": DASHES[place % len(DASHES)],
            "linewidth": (3.2, 2.3, 1.7, 1.2)[min(place, 3)],  # lines that coincide all show
        }

    def legend(self, view: pd.DataFrame, *, sizes: bool = True) -> Sequence[Line2D]:
        drawn = [name for name in self.optimizers if name in set(view["optimizer"])]
        handles = [Line2D([], [], label=name, **self.line(name)) for name in drawn]
        if sizes and len(self.sizes) > 1:
            handles.append(Line2D([], [], linestyle="", label="batch size, by shade"))
            for index, size in enumerate(self.sizes):
                shade = _lighter("#333333", 0.75 * index / (len(self.sizes) - 1))
                handles.append(Line2D([], [], color=shade, linewidth=4, label=str(size)))
        return handles


def _lighter(colour: str, share: float) -> tuple[float, float, float]:
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    r, g, b = rgb + (1 - rgb) * share
    return float(r), float(g), float(b)
