"""Sentences on scores over several problems: who is best overall, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from optlab.report.findings.sentence import Sentence
from optlab.text import number, pluralize


def score_findings(scores: pd.DataFrame, cost: str) -> list[Sentence]:
    """Return a sentence on the best score, and one on the methods whose intervals meet its own."""
    if len(scores) < 2 or scores["score"].max() == 0:
        return []
    first, *others = scores.to_dict("records")
    text = (f"Over {pluralize(first['problems'], 'problem')} {first['method']} has the highest "
            f"score, {_score(first)}, counted in {cost} to the target; {others[0]['method']} "
            f"follows with {_score(others[0])}.")  # fmt: skip
    found = [Sentence("score", text, "", {str(k): v for k, v in first.items()})]
    near = [str(row["method"]) for row in others if row["high"] >= first["low"]]
    if near:
        names = " and ".join([", ".join(near[:-1]), near[-1]] if len(near) > 1 else near)
        found.append(Sentence("score order",
                     f"The intervals of {first['method']} and of {names} overlap: other problems "
                     "of this kind could put them in another order.", "",
                     {"methods": near}))  # fmt: skip
    return found


def _score(row: Mapping[Any, Any]) -> str:
    text = number(row["score"], 2)
    return f"{text} [{number(row['low'], 2)}, {number(row['high'], 2)}]"
