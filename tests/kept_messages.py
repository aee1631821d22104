"""The messages of failed checks, as tests/data/failures.md has them.

OPTLAB_GOLDEN=write python -m pytest tests/test_*_conformance.py tests/test_check_problem.py
tests/test_check_gradient.py writes that file anew; read what has changed before you commit it.
"""

import contextlib
import io
import math
import os
import re
from pathlib import Path

import torch

from optlab.lab.measure.torch_settings import torch_settings_for

GOLDEN = Path(__file__).parent / "data" / "failures.md"
HEADER = """# The messages of failed checks

A heading names a planted fault, and the check that finds it. Numbers have three digits here, and
those below a millionth none: they are rounding, which differs between machines. Written by
`OPTLAB_GOLDEN=write python -m pytest tests/test_*_conformance.py tests/test_check_problem.py \\
tests/test_check_gradient.py`.
"""
NUMBER = re.compile(r"(?<![\w.])-?(\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d{5,})(?![\w])")
NUMBER_OR_NONE = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?(?!\w)|#")


def shortened(text, is_chance=False):
    """A message whose numbers have three digits, or none where they are chance or rounding."""

    def number(match):
        value = float(match[0])
        return "#" if is_chance or 0 < abs(value) < 1e-6 else f"{value:.3g}"

    own, _, _ = text.partition('\n  File "')  # without the lines that raised an error
    # Neither an object's address, nor another package's words after the name of its error.
    own = re.sub(r" at 0x\w+", "", re.sub(r"(\w+Error): .*", r"\1", own))
    return NUMBER.sub(number, own)


def message(report, check):
    """The message of a check that failed."""
    return next(failure.message for failure in report.failures if failure.check == check)


def words_and_code(text):
    """The words of a message, and its code to paste."""
    words, _, code = text.partition("to see it again:\n")
    return words.rstrip(), "\n".join(line.removeprefix("    ") for line in code.splitlines())


def output_of(code, **names):
    """Return the output of code to paste, or its error; settings that it changes are reset."""
    shown, threads = io.StringIO(), torch.get_num_threads()
    settings = (
        torch_settings_for(torch.device("cpu")), torch.enable_grad(),
        torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(shown),
    )  # fmt: skip
    with contextlib.ExitStack() as restored:
        restored.callback(torch.set_num_threads, threads)
        for setting in settings:
            restored.enter_context(setting)
        try:
            exec(code, names)
        except RuntimeError as error:
            shown.write(str(error))
    return shown.getvalue()


def kept_messages():
    """The messages that are kept, by heading."""
    if not GOLDEN.exists():
        return {}
    parts = GOLDEN.read_text(encoding="utf-8").split("\n## ")[1:]
    return dict(part.partition("\n")[::2] for part in parts)


def require_kept(heading, text, is_chance=False):
    """Require that a message is the one that is kept under a heading."""
    kept = kept_messages()
    lines = [line.strip() for line in shortened(text, is_chance).splitlines()]
    text = "\n".join(f"- {line}" for line in lines if line) + "\n"
    if os.environ.get("OPTLAB_GOLDEN") == "write":
        kept |= {heading: text}
        parts = [f"\n## {name}\n{words.rstrip()}\n" for name, words in kept.items()]
        GOLDEN.write_text(HEADER + "".join(parts), encoding="utf-8")
    old, new = kept[heading].rstrip(), text.rstrip()
    # Another processor's sums may differ in float32's last digit, and so in the third one here.
    near = [
        math.isclose(first, second, rel_tol=0.02, abs_tol=2e-6)
        for first, second in zip(_numbers(old), _numbers(new), strict=False)
    ]
    assert NUMBER_OR_NONE.sub("#", old) == NUMBER_OR_NONE.sub("#", new), heading
    assert all(near), f"{heading}\nkept:\n{old}\nnow:\n{new}"


def _numbers(text):
    return [0.0 if match[0] == "#" else float(match[0]) for match in NUMBER_OR_NONE.finditer(text)]
