"""Count how isolated trials of torch's optimizers end under short time limits, in cold workers.

    python -m benchmarks.time_limits [TRIALS]

Each limit has a pool of its own, so that the first trial of each worker imports what torch.optim
needs while its time runs. Every trial must end as `timed out`, or finished; none may crash.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import torch

import optlab as ol

OPTIMIZERS = [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.LBFGS]
FEWEST, MOST = 0.02, 1.0


def main(count: int = 200) -> int:
    """Run the trials, print how many ended in each status, and return how many crashed."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(50, 3, seed=1))
    ended: Counter[tuple[str, str]] = Counter()
    for limit in np.geomspace(FEWEST, MOST, count // len(OPTIMIZERS)):
        results = ol.Experiment(
            problems=problem,
            optimizers=[ol.TorchOptimizer(cls, lr=0.01) for cls in OPTIMIZERS],
            epochs=10**6,
            recorded_epochs=10**5,
        ).run(execution=ol.Execution(isolate=True, time_limit=float(limit)))
        for row in results.trials.itertuples():
            message = str(row.message) if row.status == "crashed" else ""
            ended[str(row.status), message] += 1
    for (status, message), times in ended.most_common():
        print(f"{times:5d}  {status}  {message}")
    return sum(times for (status, _), times in ended.items() if status == "crashed")


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
