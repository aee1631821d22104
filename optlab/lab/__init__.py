"""The measured comparison: grid, trial, clock, records."""

from optlab.lab.budget import Budget as Budget
from optlab.lab.devices import available_devices as available_devices
from optlab.lab.facts import ProblemFacts as ProblemFacts
from optlab.lab.grid import Grid as Grid
from optlab.lab.machine import machine as machine
from optlab.lab.minimize import Solution as Solution
from optlab.lab.minimize import minimize as minimize
from optlab.lab.records import TraceRow as TraceRow
from optlab.lab.records import Trial as Trial
from optlab.lab.records import TrialRecord as TrialRecord
from optlab.lab.runner import run_grid as run_grid
from optlab.lab.status import Status as Status
from optlab.lab.tables import traces_table as traces_table
from optlab.lab.tables import trials_table as trials_table
from optlab.lab.trial import run_trial as run_trial
