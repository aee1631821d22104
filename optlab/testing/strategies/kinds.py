"""Strategies of dtypes and devices."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from optlab.lab import available_devices


def dtypes() -> st.SearchStrategy[torch.dtype]:
    """Strategy of float64 and float32, which shrinks to float64."""
    return st.sampled_from([torch.float64, torch.float32])


def devices() -> st.SearchStrategy[str]:
    """Strategy of this machine's devices, which shrinks to the CPU."""
    return st.sampled_from(sorted(available_devices(), key=lambda device: device != "cpu"))
