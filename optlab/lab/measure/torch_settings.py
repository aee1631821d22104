"""Settings of torch that decide digits and places, restored after each trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch


class TorchSettings(NamedTuple):
    """Settings of torch that a script may have changed before it runs.

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
    device: torch.device

    @classmethod
    def current(cls) -> TorchSettings:
        """Return the settings of this process."""
        return cls(
            torch.get_default_dtype(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_default_device(),
        )

    def apply(self) -> None:
        """Set those that differ now: to set one can import much of torch."""
        now = self.current()
        if now.dtype != self.dtype:
            torch.set_default_dtype(self.dtype)
        if now.matmul_precision != self.matmul_precision:
            torch.set_float32_matmul_precision(self.matmul_precision)
        if now.deterministic != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
        if now.device != self.device:
            _set_default_device(self.device)


@contextmanager
def torch_settings_for(device: torch.device) -> Iterator[None]:
    """Restore torch's settings after what is inside, which may change them.

    Where a script has set a default device, it is the given one inside: an optimizer that names no
    device then has its tensors beside its data.
    """
    before = TorchSettings.current()
    try:
        if before.device.type != "cpu":
            _set_default_device(device)
        yield
    finally:
        before.apply()


def _set_default_device(device: torch.device) -> None:
    # None is the CPU without the cost of looking at each call of torch's.
    torch.set_default_device(None if device.type == "cpu" else device)
