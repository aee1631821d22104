"""A file larger than allowed memory fitted in blocks: peak memory, and share of reading speed.

Run: ``python -m benchmarks.streaming_speed FOLDER [--rows 10500000] [--columns 50]``.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from optlab.linalg import array_blocks, streaming_least_squares


def write(folder: Path, n: int, d: int) -> None:
    """Write X.npy and y.npy in blocks: y = X (1, 2, .. d) + 3 + noise."""
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float64, (n, d))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.float64, (n,))
    g = np.random.default_rng(0)
    for start in range(0, n, 100000):
        rows = slice(start, min(n, start + 100000))
        X[rows] = g.standard_normal((rows.stop - start, d))
        y[rows] = X[rows] @ np.arange(1.0, d + 1) + 3.0 + g.standard_normal(rows.stop - start)


def peak() -> float:
    """Return the peak resident memory so far in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print seconds, gigabytes a second, and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_500_000)
    parser.add_argument("--columns", type=int, default=50)
    a = parser.parse_args()
    if not (a.folder / "X.npy").exists():
        write(a.folder, a.rows, a.columns)
        print("written; run again to measure in a fresh process")
        return
    gigabytes = (a.folder / "X.npy").stat().st_size / 1e9
    buffer = bytearray(1 << 25)
    for name in ("first", "second"):
        start = time.perf_counter()
        with (a.folder / "X.npy").open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
        read = time.perf_counter() - start
        print(f"read alone, {name} time: {read:.2f} s, {gigabytes / read:.2f} GB/s")
    X = np.load(a.folder / "X.npy", mmap_mode="r")
    y = np.load(a.folder / "y.npy", mmap_mode="r")
    for passes in (0, 1, 2):
        start = time.perf_counter()
        solution = streaming_least_squares(array_blocks(X, y), refinement_passes=passes)
        seconds = time.perf_counter() - start
        error = np.abs(solution.weight.numpy() / np.arange(1.0, X.shape[1] + 1) - 1).max()
        visits = solution.certificate.refinement_steps + 1
        print(
            f"{passes} refinement passes: {seconds:.2f} s, {gigabytes * visits / seconds:.2f} GB/s "
            f"over {visits} passes ({read * visits / seconds:.0%} of reading alone), "
            f"digits {solution.certificate.digits:.1f}, noise {error:.1e}, peak {peak():.2f} GB"
        )


if __name__ == "__main__":
    main()
