"""Sentences on the limits of the results: trials without an answer, and unsure seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CROWDED_ABOVE, ENDED_WELL, in_sweep, timed
from optlab.report.findings.sentence import Sentence, describe_setting
from optlab.report.views import View
from optlab.report.views.cache import measured_trials
from optlab.report.words import join_names
from optlab.text import DIRECT, cell_label, pluralize

MOST_MISHAPS = 12
"""At most so many kinds of trials without an answer get a sentence."""


def caveats(results: ResultTables, views: dict[str, View]) -> list[Sentence]:
    """Return the limits of the results, each with its reason."""
    results = measured_trials(results)
    return [
        *_mishaps(results.trials[~_uncompiled(results)]),
        *_without_numba(results),
        *_references(results),
        *_beaten(results),
        *_unstable(views),
        *_contended(results.trials),
        *_shared(results.trials),
        *_crowded(results),
        *_once(views, results.trials),
        *_files(results),
        *_machines(results),
    ]


def _mishaps(trials: pd.DataFrame) -> Iterator[Sentence]:
    """Yield a sentence for the trials of one status and message, numbers in the message apart."""
    bad = trials[~trials["status"].isin(ENDED_WELL)]
    kinds = bad["message"].astype(str).str.replace(_NUMBER, "#", regex=True)
    groups = [rows for _, rows in bad.groupby([bad["status"], kinds], sort=False)]
    for rows in groups[:MOST_MISHAPS]:
        status, messages = str(rows["status"].iloc[0]), list(dict.fromkeys(rows["message"]))
        message = (messages[0] or "no message") + (", and the like" if len(messages) > 1 else "")
        where = join_names(list(_where(rows, trials)))
        text = f"{status.capitalize()}: {pluralize(len(rows), 'trial')} ({where}): {message}"
        yield Sentence(status, text, "", {"trials": len(rows), "messages": messages})
    if left := sum(map(len, groups[MOST_MISHAPS:])):
        text = f"{pluralize(left, 'more trial')} ended without an answer; the table has all trials."
        yield Sentence("more", text, "", {"trials": left})


_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


def _where(rows: pd.DataFrame, trials: pd.DataFrame) -> Iterator[str]:
    """Yield names that cover some trials: whole devices and optimizers, else settings."""
    axes = ["optimizer", "batch", "device"]
    problems = list(dict.fromkeys(rows["problem"]))
    asked = trials.loc[trials["problem"].isin(problems), axes].drop_duplicates()
    here = rows[axes].drop_duplicates()
    several_devices = len(set(trials["device"])) > 1
    of = f", {join_names(problems)}" if len(problems) < len(set(trials["problem"])) else ""
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


def _uncompiled(results: ResultTables) -> pd.Series[bool]:
    """Return which trials were skipped as numba was missing: they have a sentence of their own."""
    is_missing = "not installed" in results.machine.get("numba", "")
    messages = results.trials["message"].astype(str)
    return messages.str.endswith("pip install optlab[fast]") & is_missing


def _without_numba(results: ResultTables) -> Iterator[Sentence]:
    """Yield what the extra ``fast`` would have changed, where it was missing and could have."""
    trials, skipped = results.trials, results.trials[_uncompiled(results)]
    if "not installed" not in results.machine.get("numba", ""):
        return
    if len(skipped):
        names = join_names(list(dict.fromkeys(skipped["optimizer"].astype(str))))
        changed = (
            f"the {pluralize(len(skipped), 'skipped trial')} of {names} would have run, all steps "
            "in one compiled loop"
        )
    elif (trials["batch"] != DIRECT).any():
        changed = "FusedSGD and FusedAdam make the steps of SGD and Adam in one compiled loop"
    else:
        return
    text = (
        f"numba is not installed. With it (pip install optlab[fast]) {changed}. The other trials "
        "take no other steps with it; reference solutions of large data take less time."
    )
    yield Sentence("without numba", text, "", {"trials": len(skipped)})


def _references(results: ResultTables) -> Iterator[Sentence]:
    """Yield a sentence for each reference that is not proven, or is not to be trusted."""
    for name, facts in results.problems.items():
        if facts.reference is None:
            continue
        kind, message = facts.reference.kind, facts.reference.message
        if kind == "best known":
            text = f"No reference of {name} is known, and its trials are judged against {message}."
        elif not facts.reference.trusted:
            text = f"The reference of {name}, for its trials to be judged by, is not certain: "
            text += f"{message}."
        elif kind == "computed":
            text = f"The reference of {name} is a solver's answer, without a proof: {message}."
        else:
            continue
        yield Sentence("reference", text, "", {"problem": name, "reference": kind})


def _beaten(results: ResultTables) -> Iterator[Sentence]:
    """Yield a sentence for each reference of which a trial found a lower loss."""
    losses = results.traces.groupby("trial")["loss"].min()
    trials = results.trials[["trial", "problem", "optimizer"]].assign(
        least=results.trials["trial"].map(losses)
    )
    for name, facts in results.problems.items():
        reference, own = facts.reference_loss, trials[trials["problem"] == name]
        if not (own["least"] < reference.loss - reference.rounding).any():
            continue
        best = own.sort_values("least").iloc[0]
        below = reference.loss - float(best["least"])
        text = (
            f"{best['optimizer']} (trial {best['trial']}) found a loss of {name} {below:.2g} below "
            "the reference's, which is no minimiser: no suboptimality is right to more than that."
        )
        numbers = {"problem": name, "trial": int(best["trial"]), "below": below}
        yield Sentence("beaten", text, "", numbers)


def _files(results: ResultTables) -> Iterator[Sentence]:
    """Yield the sentence that trials of files that share a problem were not interleaved."""
    files = results.definition.get("files", {})
    asked = Counter(problem for own in files.values() for problem in own.get("problems", ()))
    shared = [problem for problem, count in asked.items() if count > 1]
    if shared:
        text = (
            f"{join_names(list(files))} ran at different times, not interleaved: a difference "
            "between the seconds of two files may be the machine's, even where its interval "
            "excludes 1. Run them in one experiment to compare them."
        )
        yield Sentence("files", text, "", {"files": list(files), "problems": shared})


def _machines(results: ResultTables) -> Iterator[Sentence]:
    trials = results.trials
    machines = [m for m in dict.fromkeys(trials.get("machine", ())) if m]
    if len(machines) > 1:
        text = (
            f"The trials ran on {len(machines)} machines ({join_names(machines)}): their seconds "
            "are compared all the same."
        )
        yield Sentence("machines", text, "", {"machines": machines})
    if "settings" in results.definition:
        settings = results.definition["settings"]
        text = f"The files differ in budget or threads ({settings}); all are compared."
        yield Sentence("settings", text)
    if "left out" in results.definition:
        left_out = results.definition["left out"]
        text = (
            f"The results' file also holds {left_out}; they are left out. Running their experiment "
            "again, which computes nothing twice, brings them back."
        )
        yield Sentence("left out", text)


def _unstable(views: dict[str, View]) -> Iterator[Sentence]:
    table = views["seconds"].table
    rows = table[table["unstable"].astype(bool)].sort_values("spread", ascending=False)
    if len(rows):
        several = len(set(table["problem"])) > 1
        worst = [
            describe_setting(row, views)
            + (f", {row['problem']}" if several else "")
            + f" ({100 * row['spread']:.0f} %)"
            for _, row in rows.iterrows()
        ]
        text = (
            "The seconds are unstable, with a spread over repeats (IQR / median) above 10 %, of "
            f"{join_names(worst)}. Ask for more repeats before you trust differences of that size."
        )
        numbers = {"settings": len(rows), "most": float(rows["spread"].iloc[0])}
        yield Sentence("unstable", text, "", numbers)


def _contended(trials: pd.DataFrame) -> Iterator[Sentence]:
    count = int(trials["contended"].fillna(False).astype(bool).sum())
    if count:
        text = (
            f"{pluralize(count, 'trial')} ran beside others: no such seconds are drawn or ranked."
        )
        yield Sentence("contended", text, "", {"trials": count})


def _shared(trials: pd.DataFrame) -> Iterator[Sentence]:
    if count := int(in_sweep(trials).sum()):
        text = (
            f"{pluralize(count, 'trial')} ran in sweeps: their seconds are their shares of these, "
            "and are neither drawn nor ranked."
        )
        yield Sentence("shared", text, "", {"trials": count})


def _crowded(results: ResultTables) -> Iterator[Sentence]:
    """Yield the number of timed trials that lacked cores, which other processes used."""
    trials, machine = results.trials, results.machine
    if "cores_short" not in trials:
        return
    short = trials.loc[timed(trials), "cores_short"].astype(float)
    many = short[short > CROWDED_ABOVE]
    if len(many):
        threads = machine.get("threads of a trial", machine.get("torch threads"))
        fewer = "" if threads == "1" else "Ask for one thread, or run "
        text = (
            f"While {pluralize(len(many), 'trial')} ran, other processes used cores that their "
            f"threads needed, up to {many.max():.1f}: seconds may be those of a busy machine. "
            f"{fewer or 'Run '}them when nothing else does."
        )
        yield Sentence("crowded", text, "", {"trials": len(many), "most": float(many.max())})


def _once(views: dict[str, View], trials: pd.DataFrame) -> Iterator[Sentence]:
    timed = views["seconds"].table
    once = int((timed["timed"] == 1).sum())
    few = int((timed["timed"] < 3).sum())
    if few:
        text = (
            f"Timed fewer than three times: {few} of {pluralize(len(timed), 'setting')}. No "
            "optimizer is called faster there; ask for three repeats or more."
        )
        yield Sentence("once", text, "", {"few": few, "once": once, "settings": len(timed)})
    if len(timed) and timed["spread"].isna().all() and not few:
        text = "No seed was repeated: the spread of the seconds is not known. Ask for repeats."
        yield Sentence("not repeated", text)
    with_batches = trials[trials["batch"] != DIRECT]
    if len(with_batches) and len(set(with_batches["seed"])) == 1:
        text = "All trials share one seed: the effect of start and order is not known."
        yield Sentence("one seed", text, "", {})
