"""What problems and optimizers of several files are called, so that each name means one thing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optlab.lab.store.problem_summary import ProblemSummary


def resolve_name_clashes(
    same: Mapping[str, Callable[[Any], bool]], path: Path, known: Mapping[str, Any]
) -> dict[str, str]:
    """Return new names for those of a file, by their old ones.

    The name that the same thing has among the known ones, or one that neither they nor any other
    of the file has.
    """
    names: dict[str, str] = {}
    for name, is_same in same.items():
        alike = [other for other in known if other == name or other.startswith(f"{name} (")]
        alike = [other for other in alike if name in known and other not in names.values()]
        twin = next((other for other in alike if is_same(known[other])), None)
        taken = {**known, **dict.fromkeys(same.keys() - {name}), **dict.fromkeys(names.values())}
        names[name] = twin or other_name(name, path, taken)
    return names


def other_name(name: str, path: Path, known: Mapping[str, object]) -> str:
    """Return the name itself where it is free, else with the file's, else with its number."""
    free = (f"{name} ({path.stem}{number})" for number in ("", *range(2, 10**6)))
    return name if name not in known else next(other for other in free if other not in known)


def same_problem(one: ProblemSummary, other: ProblemSummary) -> bool:
    """Whether two problems are the same, as far as can be told on different machines."""
    facts = [(f.kind, f.n, f.d, f.dtype, f.feature_names, f.optimum.keys()) for f in (one, other)]
    if facts[0] != facts[1]:
        return False
    optima = [np.concatenate([np.ravel(v) for v in f.optimum.values()]) for f in (one, other)]
    size = float(np.linalg.norm(optima[0]))
    near = bool(np.linalg.norm(optima[0] - optima[1]) <= 1e-6 * size)
    mine, its = (np.array(f.sketch) for f in (one, other))
    near &= bool(np.allclose(mine, its, rtol=1e-6, atol=1e-6 * np.abs(mine).max(initial=0)))
    # Where a fit is perfect its loss is rounding, in the units of the target's square.
    rounding = 1e-12 * size**2
    return near and math.isclose(
        one.optimum_loss, other.optimum_loss, rel_tol=1e-6, abs_tol=rounding
    )
