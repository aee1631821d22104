"""A fault of the zoo is caught by the check that names it, with a message and code that show it."""

import re

import pytest

from optlab.testing import check_optimizer
from optlab.testing.conformance import check
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckFailedError, CheckSkipped
from tests.faulty_optimizers import ZOO
from tests.kept_messages import output_of, require_kept, words_and_code

SHOWN = {
    "follows its rule", "gradients are means not sums",
    "the short last batch counts by its rows", "stays at the optimum",
    "the default dtype makes no difference",
    "only rows of the batch count", "a full batch is indifferent to row order",
    "begins at the start", "weights of rows count",
    "another order of batches gives another iterate", "float32 agrees with float64",
}  # fmt: skip
"""The checks whose code to paste prints the iterates that the message has."""

NUMBERS = r"-?\d+\.\d*(?:e[+-]\d+)?|nan"


def each_fault(module):
    """Parametrize a test with the names of the faults that one module's checks catch."""
    own = {name.replace("_", " ") for name in vars(module)}
    return pytest.mark.parametrize("name", [n for n, fault in ZOO.items() if fault.check in own])


def is_chance(name, fault):
    """Whether a message's numbers are drawn by another generator, or what float32 rounds."""
    return name.startswith("noise of") or fault.check == "float64 is float64"


def require_caught(name):
    """Require that a fault is caught, in the words that are kept, and that its code shows it."""
    fault = ZOO[name]
    with pytest.MonkeyPatch.context() as patch:
        if fault.check == "the mean loss is the exact expectation":  # 300 runs a draw
            patch.setattr(check, "_DRAWS", 1)
        report = check_optimizer(fault.make(), reference=fault.reference, only=[fault.check])
    assert [failure.check for failure in report.failures] == [fault.check]
    message, code = words_and_code(report.failures[0].message)
    assert fault.says in message
    assert "theory: " in message
    assert "seen: " in message
    assert "tolerance: " in message
    require_kept(f"{name} | {fault.check}", message, is_chance=is_chance(name, fault))
    if not code or "# yours" in code or "Claims(" in code:
        return  # not run, or an object that no code is known for
    shown = output_of(code)
    assert shown.strip()
    if fault.check in SHOWN:
        printed = [float(number) for number in re.findall(NUMBERS, shown)]
        vectors = re.findall(r"\[((?:-?\d|nan)[^\[\]]*)\]", message.partition("seen: ")[2])
        assert vectors
        for number in map(float, ", ".join(vectors).split(", ")):
            assert any(number == pytest.approx(p, rel=1e-3, abs=1e-4, nan_ok=True) for p in printed)


def outcome(one, optimizer, reference=None, *, once=False):
    """The failure of a check of an optimizer, why it does not apply, or nothing.

    ``once`` runs it on the first draw of the data alone: where it fails, in a third of the time.
    """
    subject = Subject(optimizer, reference=reference).begin()
    try:
        one.function(subject) if once else one.run(subject)
    except (CheckFailedError, CheckSkipped) as said:
        return str(said)
    return ""
