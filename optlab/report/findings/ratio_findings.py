"""How the seconds of all others compare with those of the first optimizer, in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from optlab.analysis.comparison import FASTER, SAME, SLOWER, TOO_FEW
from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import counted, every, several, times
from optlab.text import DIRECT

MOST = 3
"""Optimizers told of at most; of the others the verdicts are counted, and the view has all."""

LONGEST = 250
"""Characters, two lines of the page, beyond which no second or third optimizer is told of."""


def beside_baseline(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield how much faster or slower than the baseline the others are, and how sure that is.

    The baseline is the first optimizer that there is anything to compare with.
    """
    table = views["ratio"].table
    rows = table[table["problem"] == problem]
    if not (rows["pairs"] > 0).any():
        return
    baseline = rows.loc[rows["pairs"] > 0, "baseline"].iloc[0]
    rows = rows[rows["baseline"] == baseline]
    groups = {str(name): part for name, part in rows.groupby("optimizer", sort=False)}
    groups = {name: part for name, part in groups.items() if (part["pairs"] > 0).any()}
    found = {
        "baseline": baseline,
        "ratios": {name: _range(part) for name, part in groups.items()},
    }
    named = list(groups.items())
    texts = (
        f"Beside {baseline}{_at(rows)}, {_listed(named[:most], named[most:])}."
        for most in range(min(MOST, len(named)), -1, -1)
    )
    text = next(text for text in texts if len(text) <= LONGEST or len(named) == 1)
    yield Sentence("ratio", text, problem, found)


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    return float(rows["ratio"].min()), float(rows["ratio"].max())


def _at(rows: pd.DataFrame) -> str:
    """Return at which of its batch sizes the baseline is compared with."""
    sizes = [batch for batch in rows["baseline_batch"].dropna().unique() if batch != DIRECT]
    if not sizes:
        return ""
    return " at each batch size" if len(sizes) > 1 else f" at batch size {sizes[0]}"


def _listed(named: list[tuple[str, pd.DataFrame]], rest: list[tuple[str, pd.DataFrame]]) -> str:
    """Return what is told of some optimizers, and the verdicts on the others, counted.

    One is shown faster if it is in any comparison, and slower in none; both make it mixed.
    """
    told = [(f"{name} {_amount(rows)}", ", ".join(_caveats(rows))) for name, rows in named]
    each = told[0][1] if len(told) > 1 and len({caveat for _, caveat in told}) == 1 else ""
    texts = [text if each or not caveat else f"{text} ({caveat})" for text, caveat in told]
    after = f" (each {each})" if each else ""
    if not rest:
        return several(texts, MOST) + after
    words = ("shown faster", "shown slower", "mixed", "not told apart")
    counts = Counter(_verdict(rows) for _, rows in rest)
    verdicts = [f"{counts[kind]} {word}" for kind, word in enumerate(words) if counts[kind]]
    if not texts:
        verbs = [counted(n, "is", "are") + f" {words[kind]}" for kind, n in sorted(counts.items())]
        return f"of the {len(rest)} others {', '.join(verbs)}"
    if len(verdicts) > 1:
        return f"{', '.join(texts)}{after} and {len(rest)} more: {', '.join(verdicts)}"
    return f"{', '.join(texts)}{after} and {len(rest)} more, {words[max(counts)]}"


def _verdict(rows: pd.DataFrame) -> int:
    shown = _shown(rows)
    return 2 if len(shown) == 2 else 3 if not shown else int(SLOWER in shown)


def _shown(rows: pd.DataFrame) -> list[str]:
    """Return which differences are shown."""
    return [verdict for verdict in (FASTER, SLOWER) if (rows["verdict"] == verdict).any()]


def _amount(rows: pd.DataFrame) -> str:
    """Return how much faster or slower an optimizer is, or the ratio where that is not shown."""
    made = rows[rows["pairs"] > 0]
    low, high = _range(made)
    ends = [low, high]
    if len(made) == 1 and made["low"].notna().all():
        ends += [made["low"].iloc[0], made["high"].iloc[0]]
    sided = (high < 1 or low > 1) and (_shown(made) or (made["verdict"] == TOO_FEW).all())
    if sided and high < 1:
        ends = [1 / end for pair in (ends[:2], ends[2:]) for end in reversed(pair)]
    ratio = [times(end) for end in ends]
    text = ratio[0] if ratio[0] == ratio[1] else f"{ratio[0]} to {ratio[1]}"
    interval = f" [{ratio[2]}, {ratio[3]}]" if len(ratio) > 2 else ""
    if sided:
        return f"is {text} times {'faster' if high < 1 else 'slower'}{interval}"
    return f"takes {text} times its seconds{interval}"


def _caveats(rows: pd.DataFrame) -> Iterator[str]:
    """Yield in how many comparisons a difference is shown, and what to doubt."""
    made = rows[rows["pairs"] > 0]
    low, high = _range(made)
    shown, counts = _shown(made), Counter(made["verdict"])
    if not shown:
        yield "by too few pairs to be sure" if set(counts) == {TOO_FEW} else SAME
    elif counts[shown[0]] == len(rows):
        yield from [f"in {every(len(rows), 'comparisons')}"] if len(rows) > 1 else []
    elif high < 1 or low > 1:
        yield f"shown in {counts[shown[0]]} of {len(rows)} comparisons"
    else:
        each = ", ".join(f"{verdict} in {counts[verdict]}" for verdict in shown)
        yield f"{each} of {len(rows)} comparisons"
    if len(made) < len(rows):
        yield f"{len(rows) - len(made)} without pairs that ended alike"
    if made["unstable"].astype(bool).any():
        yield "unstable"
