"""A figure that is a table: seconds by setting and device."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from optlab.report.figures.panels import escape_math, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.ticks import shorten
from optlab.text import format_seconds


def device_table(title: str, rows: pd.DataFrame, paper: FigureStyle = PAGE) -> Figure:
    """Draw a row each setting, a column each device, the fastest bold, crossovers marked."""
    devices = list(dict.fromkeys(rows["device"]))
    several_dtypes = len(set(rows["dtype"])) > 1
    keys = ["optimizer", "dtype", "batch"]
    lines = rows.groupby(keys, sort=False, observed=True)
    text: list[list[str]] = []
    bold: set[tuple[int, int]] = set()
    for (optimizer, dtype, batch), cells in lines:
        by_device = cells.set_index("device")
        name = escape_math(shorten(str(optimizer), 48))
        line = [name, *([str(dtype)] if several_dtypes else []), str(batch)]
        before = len(line)
        for place, device in enumerate(devices):
            if device not in by_device.index:
                line.append("-")
                continue
            cell = by_device.loc[device]
            mark = " (crossover)" if cell["crossover"] else ""
            line.append(format_seconds(cell["seconds"]) + mark)
            if cell["fastest"]:
                bold.add((len(text) + 1, place + before))
        text.append(line)
    title = wrap_title(f"{title}: median seconds{', the fastest bold' if bold else ''}")
    height = 0.4 + 0.15 * title.count("\n") + 0.21 * (len(text) + 1)
    figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
    axes = figure.subplots()
    axes.axis("off")
    if paper.title:
        axes.set_title(title, loc="left")
    heads = ["optimizer", *(["dtype"] if several_dtypes else []), "batch size"]
    heads += map(escape_math, devices)
    table = axes.table(text, colLabels=heads, colWidths=_widths([heads, *text]), loc="upper left",
                       cellLoc="left", colLoc="left", edges="horizontal")  # fmt: skip
    table.auto_set_font_size(False)
    for (down, across), part in table.get_celld().items():
        part.set_linewidth(0.4)
        heavy = down == 0 or (down, across) in bold
        part.set_text_props(weight="bold" if heavy else "normal", size=paper.font_size - 0.5)
    return figure


def _widths(text: list[list[str]]) -> list[float]:
    """Return each column's share of the width, in proportion to its longest text."""
    longest = [max(map(len, column)) + 3 for column in zip(*text, strict=True)]
    return [length / sum(longest) for length in longest]
