"""A sentence on the ratios of the other optimizers' seconds to those of the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from optlab.analysis.comparison import FASTER, SAME, SLOWER, TOO_FEW
from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import format_ratio
from optlab.text import DIRECT

MOST = 3
"""At most so many optimizers are named; the verdicts on the others are counted."""

LONGEST = 250
"""Characters, two lines of the page, beyond which no second or third optimizer is named."""


def ratio_findings(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield the sentence on how many times faster or slower than the baseline the others are.

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
    numbers = {
        "baseline": baseline,
        "ratios": {name: _range(part) for name, part in groups.items()},
        "verdicts": {name: _counts(part) for name, part in groups.items()},
    }
    named = list(groups.items())
    texts = (
        f"Compared with {baseline}{_at(rows)}: {_listed(named[:most], named[most:])}."
        for most in range(min(MOST, len(named)), -1, -1)
    )
    text = next(text for text in texts if len(text) <= LONGEST or len(named) == 1)
    yield Sentence("ratio", text, problem, numbers)


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    return float(rows["ratio"].min()), float(rows["ratio"].max())


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    """Return the number of comparisons by verdict, and of those without a pair."""
    made = rows[rows["pairs"] > 0]
    return dict(Counter(made["verdict"])) | {"without pairs": len(rows) - len(made)}


def _at(rows: pd.DataFrame) -> str:
    """Return the words on the baseline's batch sizes in the comparisons."""
    sizes = [batch for batch in rows["baseline_batch"].dropna().unique() if batch != DIRECT]
    if not sizes:
        return ""
    return " at each batch size" if len(sizes) > 1 else f" at batch size {sizes[0]}"


def _listed(named: list[tuple[str, pd.DataFrame]], rest: list[tuple[str, pd.DataFrame]]) -> str:
    """Return the words on some optimizers, and the verdicts on the others, counted."""
    texts = [f"{name} {_amount(rows)}{_limits(rows)}" for name, rows in named]
    if rest:
        counts = sorted(Counter(_verdict(rows) for _, rows in rest).items())
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts)
        noun = "more" if named else "others" if len(rest) > 1 else "other"
        texts.append(f"{len(rest)} {noun} ({verdicts})")
    return "; ".join(texts)


def _verdict(rows: pd.DataFrame) -> str:
    """Return the verdict over all comparisons; it is mixed where some show each difference."""
    shown = _shown(rows)
    return "mixed" if len(shown) == 2 else f"shown {shown[0]}" if shown else "not told apart"


def _shown(rows: pd.DataFrame) -> list[str]:
    """Return the differences that are shown."""
    return [verdict for verdict in (FASTER, SLOWER) if (rows["verdict"] == verdict).any()]


def _amount(rows: pd.DataFrame) -> str:
    """Return the factor by which an optimizer is faster or slower; where not shown, the ratio."""
    made = rows[rows["pairs"] > 0]
    low, high = _range(made)
    ends = [low, high]
    if len(made) == 1 and made["low"].notna().all():
        ends += [made["low"].iloc[0], made["high"].iloc[0]]
    sided = (high < 1 or low > 1) and (_shown(made) or (made["verdict"] == TOO_FEW).all())
    if sided and high < 1:
        ends = [1 / end for pair in (ends[:2], ends[2:]) for end in reversed(pair)]
    ratio = [format_ratio(end) for end in ends]
    text = ratio[0] if ratio[0] == ratio[1] else f"{ratio[0]} to {ratio[1]}"
    interval = f" [{ratio[2]}, {ratio[3]}]" if len(ratio) > 2 else ""
    if sided:
        return f"is {text} times {'faster' if high < 1 else 'slower'}{interval}"
    return f"takes {text} times its seconds{interval}"


def _limits(rows: pd.DataFrame) -> str:
    """Return in parentheses how many comparisons show a difference, and what limits it."""
    made = rows[rows["pairs"] > 0]
    shown, counts = _shown(made), Counter(made["verdict"])
    parts = [f"{verdict} in {counts[verdict]} of {len(rows)} comparisons" for verdict in shown]
    if len(rows) == 1:
        parts = []
    if not shown:
        parts = ["too few pairs to be sure" if set(counts) == {TOO_FEW} else SAME]
    if len(made) < len(rows):
        parts.append(f"{len(rows) - len(made)} without pairs that ended alike")
    if made["unstable"].astype(bool).any():
        parts.append("unstable")
    return f" ({', '.join(parts)})" if parts else ""
