"""Settings of torch that decide numbers: part of a key, and restored after each trial."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import NamedTuple

import torch

_FLAGS = (
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.cudnn.rnn.fp32_precision",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.mkldnn.fp32_precision",
    "backends.mkldnn.matmul.fp32_precision",
    "backends.mkldnn.conv.fp32_precision",
    "backends.mkldnn.rnn.fp32_precision",
)

_LEAST_NORMAL = sys.float_info.min

_read = attrgetter(*_FLAGS)


class TorchSettings(NamedTuple):
    """The settings of torch that decide numbers, which a script or a trial may change.

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
    device: str
    matmul_precision: str | None
    """None where the flags below contradict it, as after a use of torch's newer interface."""
    deterministic: bool
    flush_denormal: bool
    flags: tuple[object, ...]
    """The values of the flags of torch's libraries, in the order of `_FLAGS`."""

    @classmethod
    def current(cls) -> TorchSettings:
        """Return the settings of this process."""
        try:
            precision = torch.get_float32_matmul_precision()
        except RuntimeError:
            precision = None
        return cls(
            torch.get_default_dtype(),
            str(torch.get_default_device()),
            precision,
            torch.are_deterministic_algorithms_enabled(),
            _LEAST_NORMAL / 2 == 0,  # torch does not tell it, but the processor has it
            _read(torch),
        )

    def apply(self) -> None:
        """Set what differs now; setting can import much of torch, so nothing else is set."""
        now = self.current()
        if now == self:
            return
        if now.dtype != self.dtype:
            torch.set_default_dtype(self.dtype)
        if now.device != self.device:  # None is the CPU too, without a hook in each call of torch
            torch.set_default_device(None if self.device == "cpu" else self.device)
        if now.deterministic != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
        if now.flush_denormal != self.flush_denormal:
            torch.set_flush_denormal(self.flush_denormal)
        if self.matmul_precision and now.matmul_precision != self.matmul_precision:
            torch.set_float32_matmul_precision(self.matmul_precision)
        # Last, as the precision sets some of them too.
        for flag, value in zip(_FLAGS, self.flags, strict=True):
            where, _, name = flag.rpartition(".")
            if attrgetter(flag)(torch) != value:
                setattr(attrgetter(where)(torch), name, value)


@contextmanager
def torch_settings_for(device: torch.device) -> Iterator[None]:
    """Restore torch's settings after what is inside, which may change them.

    Where a script has set a default device, it is the given one inside: an optimizer that names no
    device then has its tensors beside its data.
    """
    before = TorchSettings.current()
    try:
        if before.device != "cpu":
            before._replace(device=str(device)).apply()
        yield
    finally:
        before.apply()
