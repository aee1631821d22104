"""Legends: an entry a method, and in grey the shades that mean batch sizes or settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.report.figures.panels import INK, MARKERS, escape_math, line_style
from optlab.report.figures.paper import FigureStyle
from optlab.report.oklab import with_lightness
from optlab.report.style import Styles
from optlab.report.ticks import shorten
from optlab.text import method_name

MOST_SHADES = 4
"""Of more settings so many are in the legend, evenly spread, the first and the last among them."""


def label_of(optimizer: str, most: int = 90) -> str:
    """Return the name of an optimizer as it stands in a figure, no longer than so many characters.

    Examples
    --------
    >>> label_of("SGD(learning_rate=0.1)"), label_of("Averaged(SGD)")
    ('SGD, learning rate 0.1', 'Averaged(SGD)')
    """
    method = method_name(optimizer)
    words = f"{method}, {setting_of(optimizer)}" if method != optimizer else method
    return escape_math(shorten(words, most))


def setting_of(optimizer: str) -> str:
    """Return the hyperparameters in an optimizer's label in words, empty where it has none."""
    inner = optimizer.removeprefix(method_name(optimizer))[1:-1]
    return re.sub(r"(\w+)=", lambda name: name[1].replace("_", " ") + " ", inner)


def batch_label(batch: str) -> str:
    """Return a batch size in words.

    Examples
    --------
    >>> batch_label("32"), batch_label("full")
    ('batch size 32', 'full batch')
    """
    return "full batch" if batch == "full" else f"batch size {batch}"


def legend_of(
    styles: Styles,
    optimizers: Collection[str],
    batches: Collection[str] = (),
    *,
    markers: bool = False,
    **keywords: Any,
) -> list[Line2D]:
    """Return the handles of a legend of some optimizers.

    Parameters
    ----------
    styles
        The styles of all optimizers of the figure.
    optimizers
        Those that are drawn.
    batches
        The batch sizes whose shades are explained; none where shades do not mean batch sizes.
    markers
        Whether the marks are markers, not lines.
    **keywords
        Of `matplotlib.lines.Line2D`, for the optimizers' handles.
    """
    drawn = [name for name in styles.by_optimizer if name in optimizers]
    ramp = _common_settings(styles)
    entries = {label_of(name): name for name in drawn}
    if ramp:
        entries = {label_of(method_name(name)): name for name in drawn}
    handles = [_handle(styles, text, name, markers=markers, ramp=bool(ramp), **keywords)
               for text, name in entries.items()]  # fmt: skip
    if ramp:
        return handles + _shades([escape_math(setting_of(name)) for name in ramp], ramp, ramp)
    texts = [batch_label(size) for size in styles.batches if size in batches]
    wanted = [size for size in styles.batches if size in batches]
    return handles + (_shades(texts, wanted, styles.batches) if len(styles.batches) > 1 else [])


def _handle(
    styles: Styles, text: str, name: str, *, markers: bool, ramp: bool, **keywords: Any
) -> Line2D:
    look = line_style(styles, name)
    if ramp:
        look["color"] = styles.colours[method_name(name)]
    marker = MARKERS[styles[name].marker] if markers else ""
    return Line2D([], [], label=text, marker=marker, markersize=4.5, **(look | keywords))


def _common_settings(styles: Styles) -> tuple[str, ...]:
    """Return the settings that shades mean, where all methods that have several have the same."""
    several = [own for own in styles.methods.values() if len(own) > 1]
    if len(styles.batches) > 1 or not several:
        return ()
    texts = {tuple(map(setting_of, own)) for own in several}
    alone = [own[0] for own in styles.methods.values() if len(own) == 1]
    plain = all(method_name(name) == name for name in alone)
    return several[0] if len(texts) == 1 and plain else ()


def _shades(texts: Sequence[str], wanted: Sequence[str], every: Sequence[str]) -> list[Line2D]:
    """Return the entries of shades in grey, dark first."""
    pairs = list(zip(texts, wanted, strict=True))
    if len(pairs) > MOST_SHADES:
        last = len(pairs) - 1
        pairs = [pairs[round(nth * last / (MOST_SHADES - 1))] for nth in range(MOST_SHADES)]
    return [
        Line2D([], [], linewidth=4, label=text,
               color=with_lightness("#777777", 0.32 + 0.42 * every.index(name) / (len(every) - 1)))
        for text, name in pairs
    ]  # fmt: skip


def unstable_handle() -> Line2D:
    """Return the entry that explains hollow marks."""
    return Line2D([], [], color=INK, linestyle="none", marker="o", markersize=4.5,
                  markerfacecolor="white", label="hollow: unstable")  # fmt: skip


def put_legend(figure: Figure, handles: Sequence[Line2D], paper: FigureStyle) -> None:
    """Put a legend under a figure, to be read line by line."""
    across = columns(handles, paper)
    by_line = [handle for nth in range(across) for handle in handles[nth::across]]
    if handles:
        figure.legend(handles=by_line, loc="outside lower left", frameon=False, ncols=across,
                      columnspacing=1.4, handlelength=2.2)  # fmt: skip


def columns(handles: Sequence[Line2D], paper: FigureStyle) -> int:
    """Return the number of columns of the longest label that fit side by side."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    letter = (0.0072 if paper.fonts else 0.0085) * paper.font_size  # DejaVu's are wide
    fit = int((paper.width - 0.1) / (0.46 + letter * longest))
    return max(1, min(fit, len(handles)))


def legend_height(handles: Sequence[Line2D], paper: FigureStyle) -> float:
    """Return the height of a legend in inches."""
    return 0.02 * paper.font_size * -(-len(handles) // columns(handles, paper))
