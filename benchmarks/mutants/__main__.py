"""The share of small faults in the package that the tests notice, estimated from a sample.

    python -m benchmarks.mutants SIZE [--seed 0] [--folders problems optimizers ...]

Mutants are drawn in proportion to the places where a file can be changed; each is tried on the
tests that name its file, then on those that run the changed line where ``nox -s coverage`` has
noted them, cheapest first. Results stand in ``results/mutants.jsonl``, one line a mutant, and are
not made again; the table is printed.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from benchmarks.mutants.covering_tests import CoveringTests
from benchmarks.mutants.mutations import RULES, Mutation, mutations, sample
from benchmarks.mutants.table import table
from benchmarks.mutants.trial import Outcome, compile_tests, run_tests

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "mutants.jsonl"
FOLDERS = ("problems", "optimizers", "theory", "analysis", "testing")
FEW_FILES, FEW_SECONDS, MANY_SECONDS = 3, 8.0, 15.0  # as recorded
BUDGET = 8.0  # seconds of each of the two parts, as spent
WARM = (
    "torch", "numpy", "pandas", "scipy.optimize", "scipy.stats", "sklearn.linear_model", "numba",
    "hypothesis.strategies", "matplotlib.figure", "mpmath", "lazy_loader", "psutil",
    "_pytest.doctest", "torch.func", "cloudpickle", "threadpoolctl",
)  # fmt: skip


def main() -> None:
    """Try a sample of mutants, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folders", nargs="*", default=FOLDERS)
    parser.add_argument("--without", nargs="*", default=(), help="folders to leave out")
    parser.add_argument("--data", type=Path, default=ROOT, help="the folder of .coverage")
    chosen = parser.parse_args()
    paths = [
        str(path.relative_to(ROOT))
        for folder in chosen.folders
        for path in sorted((ROOT / "optlab" / folder).rglob("*.py"))
        if not any(path.is_relative_to(ROOT / "optlab" / out) for out in chosen.without)
    ]
    found = [mutations(ROOT, path) for path in paths]
    places = [place for its, _ in found for place in its]
    left_out = sum((counts for _, counts in found), Counter())
    drawn = sample(places, chosen.size, random.Random(chosen.seed))
    RESULTS.parent.mkdir(exist_ok=True)
    for name in WARM:
        __import__(name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=_not_copied)
        covering = CoveringTests.read(ROOT, chosen.data, compile_tests(copy))
        random.Random(chosen.seed).shuffle(drawn)  # so that a part of the run is a sample too
        for mutation in drawn:
            if asdict(mutation) not in [known["mutation"] for known in _known()]:
                _note(mutation, *_try(copy, mutation, covering))
        killers = sorted({known["by"] for known in _known() if "::" in known["by"]})
        without = run_tests(copy, killers, 3600) if killers else Outcome(killed=False)
        assert not without.killed, f"{without.by} fails without a mutant too"
    print(f"{len(places)} places in {len(paths)} files, {len(drawn)} drawn, seed {chosen.seed}\n")
    for rule, reason in RULES.items():
        print(f"left out, {left_out[rule]} places: {reason}")
    print(table(_known()))


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return what of a folder is not copied; ``results/`` is what runs have left at the top."""
    own = shutil.ignore_patterns(".git", ".nox", ".venv", ".*_cache")(folder, names)
    return own | ({"results"} if Path(folder) == ROOT else set())


def _try(copy: Path, mutation: Mutation, covering: CoveringTests) -> tuple[Outcome, int]:
    """Try a mutant on its own tests and a few of the nearest files, then on the others."""
    tests = covering.of(mutation.path, mutation.line)
    file, source = copy / mutation.path, (ROOT / mutation.path).read_text(encoding="utf-8")
    state = file.stat()
    own = _within(covering.own(mutation.path, mutation.line), covering.seconds, MANY_SECONDS)
    near = own + [test for test in _near(tests, covering.seconds) if test not in own]
    far = _within([test for test in tests if test not in near], covering.seconds, MANY_SECONDS)
    file.write_text(mutation.code(source), encoding="utf-8")
    try:
        for part in (near, far):
            outcome = run_tests(copy, part, BUDGET) if part else Outcome(killed=False)
            if outcome.killed:
                break
    finally:
        file.write_text(source, encoding="utf-8")
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    if outcome.by.startswith("exit code") and run_tests(copy, part, BUDGET).killed:
        raise RuntimeError((copy / "trial.log").read_text(encoding="utf-8"))
    return outcome, len(near) + len(far)


def _near(tests: list[str], seconds: dict[str, float]) -> list[str]:
    """Return cheap tests of the few files that hold most of them: the others cost imports."""
    files = [test.partition("::")[0] for test in tests]
    most = sorted(set(files), key=lambda file: -files.count(file))[:FEW_FILES]
    near = [test for test in tests if test.partition("::")[0] in most]
    return _within(near, seconds, FEW_SECONDS)


def _within(tests: list[str], seconds: dict[str, float], limit: float) -> list[str]:
    chosen, total = [], 0.0
    for test in tests:
        total += seconds[test]
        if total <= limit:
            chosen.append(test)
    return chosen


def _known() -> list[dict]:
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return [json.loads(line) for line in lines]


def _note(mutation: Mutation, outcome: Outcome, tests: int) -> None:
    was, became = mutation.text((ROOT / mutation.path).read_text(encoding="utf-8"))
    line = {"mutation": asdict(mutation), "was": was, "became": became}
    line |= asdict(outcome) | {"tests": tests}
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print("killed  " if outcome.killed else "SURVIVED", mutation.path, mutation.line, became)


if __name__ == "__main__":
    main()
