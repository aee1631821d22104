"""The view of a step's parts beside the bounds of memory and arithmetic."""

from __future__ import annotations

import pandas as pd

from optlab.lab.step_anatomy import PARTS
from optlab.report.views.view import Axis, View


def anatomy_view(table: pd.DataFrame) -> View:
    """Return the view of a table of `optlab.lab.anatomy_table`: a row a part that takes time."""
    measured = table[table["step_seconds"].notna()]
    cell = ["problem", "optimizer", "batch", "device", "dtype"]
    kept = [*cell, "step_seconds", "memory_seconds", "arithmetic_seconds", "spread"]
    rows = measured.melt(
        id_vars=kept, value_vars=list(PARTS), var_name="part", value_name="seconds"
    )
    rows = rows[rows["seconds"] > 0].reset_index(drop=True)
    rows["share"] = rows["seconds"] / rows["step_seconds"]
    return View(
        key="anatomy",
        title="Where a step's time goes",
        question="Which part of a step takes how long, and how near is it to the machine's bounds?",
        how="The least seconds of a step over fifteen runs, split by a clock read where the "
        "optimizer asks for batches, losses and gradients, and by torch's profiler into its "
        "operations and Python. Bounds: the time to read a batch's rows from memory, and to make "
        "the multiplications of a linear model, at the speeds measured on this machine.",
        kind="bars",
        table=rows,
        x=(Axis("share", "share of a step"), Axis("step_seconds", "seconds a step", "s", "log")),
        y=(Axis("optimizer", "optimizer", scale="category"),),
        facets=False,
        missing="No optimizer that makes steps could be measured.",
    )
