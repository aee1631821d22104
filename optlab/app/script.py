"""Load an experiment script: a file that holds ``experiment = optlab.Experiment(...)``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

import cloudpickle

import optlab
from optlab.app.exit_status import UsageError
from optlab.experiment import Experiment


def load_experiment(script: Path) -> Experiment:
    """Return the experiment of a script, without running it.

    Raises
    ------
    UsageError
        Where there is no such file, it holds no `experiment`, or its arguments are refused
        (naming the script's line).
    """
    if not script.is_file():
        raise UsageError(f"there is no file {script}")
    script = script.resolve()
    # Dataclasses and pickle look a class's module up by name; the name is one of our own, so that a
    # script called random.py does not stand in for the standard library's.
    spec = importlib.util.spec_from_file_location(f"optlab_script_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise UsageError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    cloudpickle.register_pickle_by_value(module)  # workers cannot import it by that name
    # As `python SCRIPT` does it: what lies beside the script can be imported.
    sys.path.insert(0, str(script.parent))
    try:
        spec.loader.exec_module(module)
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not Path(frames[-1].filename).is_relative_to(Path(optlab.__file__).parent):
            raise  # the script's own mistake: its traceback is what helps
        own = [frame for frame in frames if Path(frame.filename) == script]
        line = f", line {own[-1].lineno}" if own else ""
        raise UsageError(f"{script.name}{line}: {error}") from error
    except SystemExit:
        raise UsageError(
            f"{script.name} ran its experiment when it was loaded: guard the call with "
            '`if __name__ == "__main__":`'
        ) from None
    experiment = getattr(module, "experiment", None)
    if not isinstance(experiment, Experiment):
        found = "no such variable" if experiment is None else f"a {type(experiment).__name__}"
        raise UsageError(
            f"{script} must hold `experiment = optlab.Experiment(...)`; it has {found}"
        )
    return experiment
