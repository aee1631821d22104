"""Count how often right optimizers are blamed: level quick over many random seeds.

    python benchmarks/false_alarms.py [RUNS]

Every optimizer of `optlab.optimizers.examples` is checked in turn, each time with another seed of
the data, until there are so many reports; each failure is printed.
"""

import sys
import time
from itertools import cycle

import torch

from optlab.optimizers.examples import examples
from optlab.testing import check_optimizer


def main() -> int:
    """Print the false alarms; return 1 where there is one."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    torch.set_num_threads(1)
    begun, alarms, checks = time.process_time(), 0, 0
    for seed, (label, optimizer) in zip(range(runs), cycle(examples().items()), strict=False):
        report = check_optimizer(optimizer, seed=seed + 1)
        checks += sum(result.outcome != "skipped" for result in report.checks)
        for failure in report.failures:
            alarms += 1
            print(f"seed {seed + 1}, {label}: {failure.check}\n{failure.message}", flush=True)
    seconds = time.process_time() - begun
    print(f"{runs} reports, {checks} checks, {alarms} false alarms, {seconds:.0f} s of CPU")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
