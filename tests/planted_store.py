"""Small results files and the SQL to look into them, for the store's tests."""

import sqlite3
from contextlib import closing

import optlab as ol
from optlab.lab import Status, Trial, TrialRecord
from optlab.lab.store.store import Store
from optlab.lab.store.stored_trial import Fingerprints
from optlab.lab.trial.record import TraceRow
from tests.planted_results import facts

COLUMNS = len(TraceRow._fields) - len(TraceRow._field_defaults)


def sql(path, statement, *values):
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(statement, values).fetchall()


def row(epoch=0, value=1.0):
    return TraceRow(epoch, epoch, *[value] * (COLUMNS - 2))


def record_of(number=0, status=Status.FINISHED, **what):
    return TrialRecord(Trial(number, "p", "o", 1, "cpu", "float32", seed=number), status, **what)


def plant(path, trials=3):
    """Write a results file of an experiment with so many trials."""
    wanted = {f"k{number}": record_of(number).trial for number in range(trials)}
    with Store(path) as store:
        number = store.begin_experiment(
            "planted", {"seeds": [0]}, {"torch": "2"}, Fingerprints({"p": "1"}, {"o": "2"}, "", ""),
            wanted,
        )  # fmt: skip
        store.add_problem("1", facts("p"))
        for place, key in enumerate(wanted):
            trace = [row(0), row(1, 0.5)]
            parameters = dict(facts("p").parameters)
            record = record_of(place, trace=trace, seconds=1.0, started=1.0, parameters=parameters)
            store.add(key, record, {"class": "O"}, number)
    return path


def tutorial_experiment(**axes):
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    return ol.Experiment(**({"problems": problem, "optimizers": ol.Lstsq()} | axes))
