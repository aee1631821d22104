"""Least squares over blocks of rows, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.linalg import array_blocks, streaming_least_squares
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import LinearRegression, Parameters, Problem


@dataclass(frozen=True)
class StreamingLstsq:
    """Least squares by one pass of QR over blocks of rows, and refinement passes.

    In the lab the data are in memory and are read block by block all the same. For data that are
    not, `optlab.linalg.streaming_least_squares` takes any blocks that can be read again.

    Parameters
    ----------
    block_rows
        Rows a block; left out, as many as fit into some megabytes.
    refinement_passes
        Further passes over the data, from 0 to 2: each brings the digits nearer to all.

    Raises
    ------
    ValueError
        For values that are none.

    See Also
    --------
    Lstsq : For data in memory.
    optlab.datasets.ParquetBlocks : Rows on disk.

    Examples
    --------
    >>> import optlab as ol
    >>> norris = ol.LinearRegression.from_dataset(ol.datasets.nist("Norris"))
    >>> solution = ol.minimize(norris, ol.StreamingLstsq(block_rows=8))
    >>> round(solution.parameters["weight"].item(), 14)
    1.00211681802045

    References
    ----------
    Golub and Van Loan, Matrix Computations (2013), section 6.5 (updating QR).
    """

    block_rows: int | None = None
    refinement_passes: int = 1
    uses_batches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.block_rows is not None and self.block_rows < 1:
            raise ValueError(f"block_rows must be at least 1, not {self.block_rows!r}")
        if self.refinement_passes not in {0, 1, 2}:
            raise ValueError(f"refinement_passes must be 0, 1 or 2, not {self.refinement_passes!r}")

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, or a device without float64."""
        if not isinstance(problem, LinearRegression) or problem.l1:
            return "StreamingLstsq minimises squared error only, without an l1 penalty"
        return "StreamingLstsq needs float64, which mps has not" if device.type == "mps" else None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        assert isinstance(problem, LinearRegression)
        weights = None
        if (weight := problem.moderate_weight) is not None:
            weights = weight.to(problem.X.device)
        solution = streaming_least_squares(
            array_blocks(problem.X, problem.y, self.block_rows, weights),
            fit_intercept=problem.fit_intercept,
            l2=problem.l2,
            refinement_passes=self.refinement_passes,
        )
        found = solution.parameters
        yield Iterate({name: found[name].to(value.dtype) for name, value in start.items()})
