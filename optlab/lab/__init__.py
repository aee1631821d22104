"""The measured comparison: grid, trial, clock, records."""

from optlab.lab.grid import Grid as Grid
from optlab.lab.measure.devices import available_devices as available_devices
from optlab.lab.measure.machine import machine as machine
from optlab.lab.minimize import Solution as Solution
from optlab.lab.minimize import minimize as minimize
from optlab.lab.runner import run_grid as run_grid
from optlab.lab.store.problem_summary import ProblemSummary as ProblemSummary
from optlab.lab.tables import traces_table as traces_table
from optlab.lab.tables import trials_table as trials_table
from optlab.lab.trial.budget import Budget as Budget
from optlab.lab.trial.record import TraceRow as TraceRow
from optlab.lab.trial.record import Trial as Trial
from optlab.lab.trial.record import TrialRecord as TrialRecord
from optlab.lab.trial.run import run_trial as run_trial
from optlab.lab.trial.status import Status as Status
