"""The kinds of stored trials that the option `--redo` may name, such as failed or contended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, cast, get_args

Redo: TypeAlias = Literal["failed", "contended", "shared", "unmeasured"]
"""``failed``: failed, crashed or timed out. ``contended``: ran beside others, so that its seconds
rank nowhere. ``shared``: ran in a sweep, likewise. ``unmeasured``: its peak memory is not known."""


OF_KIND: Mapping[Redo, str] = {
    "failed": "status IN ('failed', 'crashed', 'timed out')",
    "contended": "contended AND status NOT IN ('skipped', 'interrupted')",
    "shared": "json_extract(record, '$.shared') AND status NOT IN ('skipped', 'interrupted')",
    "unmeasured": "peak_bytes IS NULL AND status IN ('finished', 'converged', 'diverged')",
}
"""The SQL condition of a results file's rows for each kind."""


def check_redo(kinds: str | Iterable[str]) -> tuple[Redo, ...]:
    """Return the kinds of trials to run again, or raise a ValueError that says which there are.

    Examples
    --------
    >>> check_redo("failed, contended")
    ('failed', 'contended')
    """
    known = get_args(Redo)
    chosen = tuple(part.strip() for part in kinds.split(",")) if isinstance(kinds, str) else kinds
    for kind in chosen:
        if kind not in known:
            raise ValueError(f"redo must be of {', '.join(map(repr, known))}, not {kind!r}")
    return cast("tuple[Redo, ...]", tuple(chosen))
