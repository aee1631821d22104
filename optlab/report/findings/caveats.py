"""What cannot be said, and why, in words made from the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from optlab.analysis.statistics import CROWDED_ABOVE, ENDED_WELL, timed
from optlab.report.findings.sentence import Sentence, place
from optlab.report.views import Outcome, View
from optlab.report.words import counted, several
from optlab.text import DIRECT, cell_label


def doubts(results: Outcome, views: dict[str, View]) -> list[Sentence]:
    """Return what cannot be said, and why."""
    return [
        *_mishaps(results.trials),
        *_optima(results),
        *_unstable(views),
        *_contended(results.trials),
        *_crowded(results.trials),
        *_once(views, results.trials),
        *_files(results),
        *_machines(results),
    ]


def _mishaps(trials: pd.DataFrame) -> Iterator[Sentence]:
    """Yield a sentence for all trials that ended in one way, numbers in the message left aside."""
    bad = trials[~trials["status"].isin(ENDED_WELL)]
    kinds = bad["message"].astype(str).str.replace(_NUMBER, "#", regex=True)
    groups = [rows for _, rows in bad.groupby([bad["status"], kinds], sort=False)]
    for rows in groups[:12]:
        status, messages = str(rows["status"].iloc[0]), list(dict.fromkeys(rows["message"]))
        verb = "was" if len(rows) == 1 else "were"
        trial = "1 trial" if len(rows) == 1 else f"{len(rows)} trials"
        did = f"{verb} {status}" if status in {"interrupted", "skipped"} else status
        told = (messages[0] or "no message") + (", and the like" if len(messages) > 1 else "")
        text = f"{trial} {did} ({several(list(_where(rows, trials)))}): {told}"
        yield Sentence(status, text, "", {"trials": len(rows), "messages": messages})
    if len(groups) > 12:
        left = sum(map(len, groups[12:]))
        yield Sentence("more", f"{left} more trials ended otherwise; the trials' table has them.")


_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


def _where(rows: pd.DataFrame, trials: pd.DataFrame) -> Iterator[str]:
    """Yield what trials have in common, in as few words as cover them."""
    axes = ["optimizer", "batch", "device"]
    problems = list(dict.fromkeys(rows["problem"]))
    asked = trials.loc[trials["problem"].isin(problems), axes].drop_duplicates()
    here = rows[axes].drop_duplicates()
    several_devices = len(set(trials["device"])) > 1
    of = f", {several(problems)}" if len(problems) < len(set(trials["problem"])) else ""
    for device, on_device in here.groupby("device", sort=False):
        at = (f" on {device}" if several_devices else "") + of
        if several_devices and len(on_device) == (asked["device"] == device).sum():
            yield f"all{at}"
            continue
        for optimizer, cells in on_device.groupby("optimizer", sort=False):
            every = asked[(asked["optimizer"] == optimizer) & (asked["device"] == device)]
            if len(every) == len(cells):
                yield f"{optimizer}{at}"
            else:
                own = cells[["optimizer", "batch"]].to_dict("records")
                yield from (f"{cell_label(cell)}{at}" for cell in own)


def _optima(results: Outcome) -> Iterator[Sentence]:
    for name, facts in results.problems.items():
        if not facts.certificate.get("trusted", True):
            message = facts.certificate["message"]
            text = f"The optimum of {name}, which all is judged against, is not certain: {message}."
            yield Sentence("optimum", text, "", {"problem": name})


def _files(results: Outcome) -> Iterator[Sentence]:
    """Yield that what is in several files did not run in turns, where it is set side by side."""
    files = results.definition.get("files", {})
    asked = Counter(problem for own in files.values() for problem in own.get("problems", ()))
    shared = [problem for problem, count in asked.items() if count > 1]
    if shared:
        text = (
            f"{several(list(files))} ran at different times, not in turns: a difference between "
            "the seconds of one file's methods and another's may be the machine's, whatever its "
            "interval says. Run them in one experiment to compare them."
        )
        yield Sentence("files", text, "", {"files": list(files), "problems": shared})


def _machines(results: Outcome) -> Iterator[Sentence]:
    trials = results.trials
    machines = [m for m in dict.fromkeys(trials.get("machine", ())) if m]
    if len(machines) > 1:
        text = (
            f"The trials ran on {len(machines)} machines ({several(machines)}): their seconds "
            "stand side by side all the same."
        )
        yield Sentence("machines", text, "", {"machines": machines})
    if "settings" in results.definition:
        settings = results.definition["settings"]
        text = f"The files differ in budget or threads ({settings}); all stand side by side."
        yield Sentence("settings", text)
    if "left out" in results.definition:
        told = results.definition["left out"]
        text = (
            f"The results' file also holds {told}; they are left out. Running their experiment "
            "again, which computes nothing twice, brings them back."
        )
        yield Sentence("left out", text)


def _unstable(views: dict[str, View]) -> Iterator[Sentence]:
    table = views["seconds"].table
    rows = table[table["unstable"].astype(bool)].sort_values("spread", ascending=False)
    if len(rows):
        many = len(set(table["problem"])) > 1
        names = [
            place(row, views) + (f", {row['problem']}" if many else "")
            for _, row in rows.iterrows()
        ]
        spreads = [f"{100 * spread:.0f} %" for spread in rows["spread"]]
        worst = [f"{name} ({spread})" for name, spread in zip(names, spreads, strict=True)]
        which = f"{len(rows)} settings are unstable, with"
        above = f"above 10 %: {several(worst)}"
        if len(rows) == 1:
            which, above = f"{names[0]} are unstable, with", f"of {spreads[0]}"
        text = (
            f"The seconds of {which} a spread over repeats (IQR / median) {above}. "
            "Ask for more repeats before you trust differences of that size."
        )
        yield Sentence("unstable", text, "", {"settings": len(rows)})


def _contended(trials: pd.DataFrame) -> Iterator[Sentence]:
    count = int(trials["contended"].fillna(False).astype(bool).sum())
    if count:
        whose = "its" if count == 1 else "their"
        text = (
            f"{counted(count, 'trial')} ran beside others: {whose} seconds are neither drawn nor "
            "ranked."
        )
        yield Sentence("contended", text, "", {"trials": count})


def _crowded(trials: pd.DataFrame) -> Iterator[Sentence]:
    """Yield how many cores others took from trials whose seconds are ranked."""
    if "cores_short" not in trials:
        return
    short = trials.loc[timed(trials), "cores_short"].astype(float)
    many = short[short > CROWDED_ABOVE]
    if len(many):
        text = (
            f"While {counted(len(many), 'trial')} ran, other processes used cores that their "
            f"threads needed, up to {many.max():.1f}: seconds may be those of a busy machine. Ask "
            "for one thread, or run them when nothing else does."
        )
        yield Sentence("crowded", text, "", {"trials": len(many)})


def _once(views: dict[str, View], trials: pd.DataFrame) -> Iterator[Sentence]:
    timed = views["seconds"].table
    once = int((timed["timed"] == 1).sum())
    few = int((timed["timed"] < 3).sum())
    if few:
        some = few < len(timed)
        which = f"{few} of {len(timed)} settings" if some else "No setting"
        which += " were" if some and few > 1 else " was"
        times = "fewer than three times" if some else "three times"
        text = (
            f"{which} timed {times}: nothing is said of who is faster there. "
            "Ask for three repeats or more."
        )
        yield Sentence("once", text, "", {"few": few, "once": once, "settings": len(timed)})
    if len(timed) and timed["spread"].isna().all() and not few:
        text = "No seed was repeated: how steady the seconds are is not known. Ask for repeats."
        yield Sentence("not repeated", text)
    with_batches = trials[trials["batch"] != DIRECT]
    if len(with_batches) and len(set(with_batches["seed"])) == 1:
        text = "All trials share one seed: how far results depend on start and order is not known."
        yield Sentence("one seed", text, "", {})
