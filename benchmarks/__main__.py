"""Run a command about benchmarks: ``python -m benchmarks compare OLD NEW``."""

from __future__ import annotations

import sys

from benchmarks import compare

if __name__ == "__main__":
    if sys.argv[1:2] != ["compare"]:
        sys.exit("usage: python -m benchmarks compare OLD NEW, or python -m benchmarks.NAME")
    sys.exit(compare.main(sys.argv[2:]))
