"""The columns of every table that results give, each explained once.

``help(optlab.columns)`` shows all of them, the page of a report the same; ``MEANINGS`` holds those
that mean the same wherever they stand, ``TABLES`` what a table adds to them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    # Which trial
    "trial": "the trial's number, from 0, in the order of the grid; traces name it",
    "problem": "the problem's name",
    "optimizer": "the optimizer's name, with the hyperparameters that tell it from others",
    "hp_<name>": "a hyperparameter, a column each; missing where an optimizer has none of the name",
    "learning_rate": "the number that a rate given as a formula (1/L) became in the trial",
    "batch": "the batch size as a label, in order: 1 < 5 < full < direct (methods without batches)",
    "batch_size": "the rows a step; missing for direct methods, which have one trial for all sizes",
    "device": "where it computed: cpu, cuda:0, ...",
    "dtype": "what it computed in: float32 or float64; losses are judged in float64",
    "seed": "what the start and the order of the batches are drawn from, for all optimizers alike",
    "repeat": "the number of the repetition, from 1",
    "stage": "measured, or tuning for a trial that chose hyperparameters",
    "setting": "the number, from 1, of a tuning trial's setting of hyperparameters",
    "order": "the order of the rows in each epoch: dataloader or fast",
    "reference": "the kind of what it is judged by: certified, computed or best known",
    "file": "the results file it was loaded from, where there are several",
    "versions": "the versions of the packages that the optimizer uses, as JSON",
    "machine": "where it ran: processor, cores, accelerator, torch",
    # How it ended
    "status": "converged (stop_at was reached), finished (budget spent, or a direct answer), "
              "diverged, failed (it raised), skipped (it could not run), timed out, crashed (its "
              "process died) or interrupted",
    "message": "why, and what to try next",
    # How near
    "loss": "the mean loss over all fitted rows, penalty included, in float64 (mean squared error "
            "for linear regression; its root is an error in the units of the target)",
    "validation_loss": "the same over the rows that were held out",
    "suboptimality": "the loss minus the reference's, without cancellation where that can be",
    "parameter_error": "distance to the reference's parameters, relative to their norm; missing "
                       "where none are known or the minimiser is not unique",
    "gradient_norm": "the Euclidean norm of the gradient of the loss",
    "best_suboptimality": "the least suboptimality along the trial; other measures are of its end",
    "best_epoch": "the epoch of the least suboptimality",
    "best_loss": "the loss at that epoch",
    "stop_scale": "the suboptimality of which stop_at is a share: of the start, or of the best "
                  "constant where that is less, so that an offset of the target is no progress",
    "digits": "the right digits of the parameters: -log10 of the parameter error",
    "batch_loss": "the loss of the last mini-batch, before its step, as a training loop prints it",
    "predicted_suboptimality": "what theory says: exact for full-batch descent on quadratics, the "
                               "expectation for mini-batches; missing for other methods",
    # What it took
    "epoch": "passes over the data until this iterate; 0 is the start",
    "epochs": "passes over the data",
    "steps": "updates of the parameters",
    "samples": "rows touched",
    "loss_evaluations": "losses evaluated, in passes over all data",
    "gradient_evaluations": "gradients evaluated, in passes over all data",
    "hessian_products": "products with the Hessian, in passes over all data",
    "seconds": "work of the optimizer alone, warm; the clock stands while an iterate is judged",
    "transfer_seconds": "moving the data to the device; no part of seconds",
    "compile_seconds": "compilation, where there is any; no part of seconds",
    "first_pass_seconds": "the first, cold pass; no part of seconds",
    "peak_bytes": "the most memory held beyond the data, in a pass of its own (--measure-memory)",
    "contended": "whether it ran beside other trials: such seconds are never ranked",
    "shared": "whether it ran in a sweep: its seconds are its share, and are never ranked",
    "cores_short": "by how many cores its threads and other processes exceeded the machine",
    # Over several trials
    "trials": "how many trials",
    "seeds": "how many seeds among them",
    "timed": "how many trials' seconds entered: those that ended well and ran alone",
    "low": "the lower end of the 95 % interval",
    "high": "the upper end of the 95 % interval",
    "seconds_low": "the lower end of the interval of the median seconds",
    "seconds_high": "the upper end of the interval of the median seconds",
    "seconds_coverage": "the share of experiments in which it covers: 95 % from 6 trials on",
    "spread": "interquartile range over median of the seconds of repeats, the median over seeds",
    "unstable": "whether the spread is over 10 %",
    "reached": "whether, or how many trials, reached the target",
    "share": "a share, from 0 to 1",
    "ratio": "how many times the baseline's seconds, paired by seed and repeat",
    "ratio_low": "the lower end of its 95 % interval",
    "ratio_high": "the upper end of its 95 % interval",
    "pairs": "how many pairs of trials the ratio is of",
    "verdict": "faster, slower, no difference shown, or too few repeats to say",
    "method": "the optimizer's name without hyperparameters",
    "target": "the target, as a share of stop_scale or as a limit",
    "rank": "the place, 1 is the best; missing where it cannot be ranked",
    "hyperparameter": "the name of the hyperparameter",
    "settings": "how many settings of hyperparameters",
    "half_life": "the epochs in which the error along an eigenvector halves",
}  # fmt: skip
"""The meaning of each column, wherever it stands."""

TABLES: Mapping[str, Mapping[str, str]] = {
    "trials": {},
    "traces": {
        "seconds": "work of the optimizer until this iterate",
        "samples": "rows touched until this iterate",
        "steps": "updates until this iterate",
    },
    "summary": {"cores_short": "the most over the timed trials"},
    "ranking": {
        "label": "the setting in words",
        "hyperparameters": "those that are not the defaults",
        "settings": "how many settings of the method ran on the problem",
        "tier": "0 reached the target and was timed alone, 1 reached it, 2 in some trials, 3 not, "
                "4 has no answer",
        "measure": "what decides whether the target is reached",
        "value": "its median at the last iterate",
    },
    "ratios": {
        "baseline": "the optimizer that it is compared with",
        "baseline_batch": "the baseline's batch size",
        "message": "why pairs were left out",
    },
    "time_to_target": {
        "share_reached": "the share of repeats that reached it, averaged over seeds",
        "share_low": "the lower end of its 95 % interval",
        "share_high": "the upper end of its 95 % interval",
        "expected_seconds": "seconds of all trials over the number that reached it (ERT)",
    },
    "performance_profile": {
        "solver": "the optimizer and batch size in words",
        "tau": "a factor of the least cost on an instance",
        "share": "the share of instances solved within that factor",
    },
    "scores": {
        "score": "the area under the performance profile up to the limit, from 0 to 1 (AlgoPerf)",
        "problems": "how many problems it is the mean over",
        "solved": "on how many of them its median study reached the target",
    },
    "win_rates": {
        "other": "the optimizer that it is compared with",
        "wins": "comparisons in which it took less",
        "ties": "comparisons in which both took the same, or neither reached the target",
        "losses": "comparisons in which it took more",
        "comparisons": "how many comparisons",
        "share": "the share of comparisons won, ties half",
    },
    "expected_cost": {"expected": "what all trials spent, over the number that reached it (ERT)"},
    "tuning": {
        "best": "the value that was chosen",
        "edge": "low or high where the optimum lies beyond that end of the range: it is censored; "
                "cannot tell where the settings were too few to say",
        "low": "the lower end of the range searched",
        "high": "the upper end of the range searched",
        "near_low": "the least value of settings within a factor of 2 of the best",
        "near_high": "the largest value of settings within a factor of 2 of the best",
        "width": "their ratio where the range is logarithmic, else their difference",
        "failed": "how many settings diverged or failed at some seed",
        "share": "the share of settings that reached stop_at at all seeds",
        "attempts": "how many settings are tried on average until one reaches stop_at",
        "tuning_trials": "how many trials the search took",
        "tuning_epochs": "how many epochs the search took",
        "tuning_seconds": "how many seconds the search took",
        "measured_epochs": "the median epochs of the measured trials",
        "measured_seconds": "the median seconds of the measured trials",
    },
    "tuning_settings": {
        "value": "the value tried",
        "place": "its place in the range, from 0 to 1",
        "reached": "the share of seeds that reached stop_at",
        "measure": "the median of what was tuned for",
        "chosen": "whether it was chosen",
    },
    "best_of_k": {
        "what": "what the best is of: epochs to stop_at, or what was tuned for",
        "k": "how many settings are tried, by luck",
        "best": "the median of the best of k",
        "low": "the best of k is not below this in 95 % of the orders",
        "high": "the best of k is not above this in 95 % of the orders",
    },
    "tuning_ranks": {
        "tuning_epochs": "how many epochs the search took",
        "total": "epochs with those of tuning",
        "rank_with_tuning": "the place by the total",
    },
    "theory": {
        "learning_rate": "the learning rate of the trials",
        "momentum": "the momentum of the trials",
        "stable_rate": "the largest stable learning rate for these data",
        "stable_rate_of": "of what: full batch, mean square, or mean (necessary only)",
        "stable": "whether the learning rate is below it",
        "half_life": "the epochs in which the slowest mode's mean error halves",
        "noise_floor": "the expected suboptimality in the long run",
        "predicted_epochs": "the epochs to stop_at by theory",
        "measured_epochs": "the epochs to stop_at as measured",
        "largest_eigenvalue": "of the Hessian, L",
        "smallest_eigenvalue": "of the Hessian among those that change the loss, mu",
        "condition": "L / mu",
        "exact": "whether the loss is a quadratic; else theory holds near the minimiser",
    },
    "coefficients": {
        "name": "the feature, or the intercept",
        "coefficient": "in the units of the data before they were standardized",
        "standard_error": "its standard error; missing where the minimiser was not reached",
        "as_fitted": "the coefficient of the columns as they were fitted, standardized or not",
        "standard_error_as_fitted": "its standard error",
    },
}  # fmt: skip
"""The meanings of a table's own columns, by the method of `optlab.Results` that returns it."""


def meaning(column: str, table: str = "trials") -> str:
    """Return what a column means.

    Parameters
    ----------
    column
        Its name.
    table
        The table it stands in: a key of ``TABLES``.

    Returns
    -------
    str
        The meaning, or an empty text for a column of one's own, such as a further measure.

    See Also
    --------
    Results : What has the tables.

    Examples
    --------
    >>> meaning("hp_momentum")
    'a hyperparameter, a column each; missing where an optimizer has none of the name'
    >>> meaning("best", "tuning"), meaning("accuracy")
    ('the value that was chosen', '')
    """
    own = TABLES.get(table, {})
    name = "hp_<name>" if column.startswith("hp_") else column
    return own.get(name) or MEANINGS.get(name, "")


def _listed(meanings: Mapping[str, str]) -> str:
    wrap = textwrap.TextWrapper(width=88, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(f"{name}\n{wrap.fill(text)}" for name, text in meanings.items())


__doc__ += "\n\n" + "\n\n".join(
    [_listed(MEANINGS), *(f"Of {name}:\n\n{_listed(own)}" for name, own in TABLES.items() if own)]
)
