"""Count verdicts on real seconds: the same under two names, and one 1.3 times slower.

40 experiments of 5 repeats each. `the same` should be called different in 2 of 40 (its interval
covers 95 %), `1.3 times slower` be called slower in all; how near that comes is up to how quiet the
machine is, which the spread (IQR / median of the repeats) tells. The work is plain descent on a
problem that fits a cache, on one thread: `slower` makes 13 passes where the others make 10.

    python -m benchmarks.same_and_slower [EXPERIMENTS]
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import ClassVar

import optlab as ol

PASSES = 10
"""Of descent's, for one of the optimizer's."""

EPOCHS = 40


@dataclass(frozen=True)
class Descends:
    """Makes several passes of descent for each of its own."""

    passes: int
    uses_batches: ClassVar[bool] = True

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        """Yield each so many-th iterate of descent."""
        every = ol.ManualSGD(0.01).iterates(problem, batches, start)
        while True:
            *_, last = islice(every, self.passes)
            yield last


OPTIMIZERS = {
    "baseline": Descends(PASSES),
    "the same": Descends(PASSES),
    "1.3 times slower": Descends(PASSES * 13 // 10),
}


def main() -> None:
    """Run the experiments and print the verdicts."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}\n")
    data = ol.datasets.synthetic(500, 10, condition=10, noise=0.1, seed=1)
    experiment = ol.Experiment(
        problems=ol.LinearRegression.from_dataset(data),
        optimizers=OPTIMIZERS,
        repeats=5,
        epochs=EPOCHS,
        recorded_epochs=EPOCHS,
    )
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in OPTIMIZERS}
    ratios: dict[str, list[float]] = {name: [] for name in OPTIMIZERS}
    spreads, seconds = [], []
    for _ in range(count):
        results = experiment.run(execution=ol.Execution(threads=1))
        for row in results.ratios("baseline").itertuples():
            verdicts[str(row.optimizer)][str(row.verdict)] += 1
            ratios[str(row.optimizer)].append(float(row.ratio))
        summary = results.summary()
        spreads += summary["spread"].tolist()
        seconds.append(float(summary["seconds"].iloc[0]))
    print("| optimizer | ratio, median | least | most | faster | no difference shown | slower |")
    print("|---|---|---|---|---|---|---|")
    for name in list(OPTIMIZERS)[1:]:
        found, r = verdicts[name], ratios[name]
        counts = " | ".join(str(found[v]) for v in ("faster", "no difference shown", "slower"))
        print(f"| {name} | {median(r):.3f} | {min(r):.3f} | {max(r):.3f} | {counts} |")
    print(f"\n{count} experiments; the baseline's median is {1e3 * median(seconds):.0f} ms; ")
    print(f"the spread of five repeats: median {100 * median(spreads):.1f} %, ", end="")
    print(f"most {100 * max(spreads):.0f} %; load after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
