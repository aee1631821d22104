"""Settings of torch that decide digits, kept what they are whatever a trial does to them."""

from __future__ import annotations

from typing import NamedTuple

import torch


class TorchSettings(NamedTuple):
    """Settings of torch that decide digits, and that a script may have changed before it runs.

    Examples
    --------
    >>> import torch
    >>> before = TorchSettings.current()
    >>> torch.set_default_dtype(torch.float64)
    >>> before.apply()
    >>> torch.get_default_dtype()
    torch.float32
    """

    dtype: torch.dtype
    matmul_precision: str
    deterministic: bool

    @classmethod
    def current(cls) -> TorchSettings:
        """Return those of this process."""
        return cls(
            torch.get_default_dtype(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
        )

    def apply(self) -> None:
        """Set those that are others now; to set one can import much of torch, so only those."""
        now = self.current()
        if now.dtype != self.dtype:
            torch.set_default_dtype(self.dtype)
        if now.matmul_precision != self.matmul_precision:
            torch.set_float32_matmul_precision(self.matmul_precision)
        if now.deterministic != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
