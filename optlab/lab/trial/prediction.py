"""The scalars that theory predicts of a trial: its limit of stability, half-life and noise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The scalars that theory predicts of a trial.

    Parameters
    ----------
    learning_rate, momentum, nesterov, weight_decay
        The method's recurrence: see `optlab.optimizers.linear_descent.LinearDescent`.
    epoch_steps
        Steps an epoch.
    exact
        Whether the loss is a quadratic; elsewhere theory holds near the minimiser.
    stable_rate, stable_rate_of
        The largest stable learning rate, and of what: ``"full batch"``, ``"mean square"`` or
        ``"mean"`` (see `optlab.theory.setting_theory.StableRate`).
    half_life
        Epochs in which the slowest mode's mean error halves; infinite where it does not.
    noise_floor
        The expected suboptimality in the long run.
    predicted_epochs
        The first epoch at which the predicted suboptimality reaches ``stop_at``; infinite where
        none does, NaN where ``stop_at`` is of something else.
    """

    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    epoch_steps: int
    exact: bool
    stable_rate: float
    stable_rate_of: str
    half_life: float
    noise_floor: float
    predicted_epochs: float
