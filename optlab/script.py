"""Experiment scripts: files that hold ``experiment = optlab.Experiment(...)``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from optlab.experiment import Experiment


def load_experiment(script: Path) -> Experiment:
    """Return the experiment of a script, without running it.

    Raises
    ------
    ValueError
        Where there is no such file, it holds no `experiment`, or its arguments are refused
        (naming the script's line).
    """
    if not script.is_file():
        raise ValueError(f"there is no file {script}")
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ValueError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # As `python SCRIPT` does it: what lies beside the script can be imported.
    sys.path.insert(0, str(script.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename) == script]
        line = f", line {own[-1].lineno}" if own else ""
        raise ValueError(f"{script}{line}: {error}") from error
    experiment = getattr(module, "experiment", None)
    if not isinstance(experiment, Experiment):
        found = "no such variable" if experiment is None else f"a {type(experiment).__name__}"
        raise ValueError(
            f"{script} must hold `experiment = optlab.Experiment(...)`; it has {found}"
        )
    return experiment
