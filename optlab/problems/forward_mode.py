"""The function transforms of torch, with forward-mode differentiation loaded.

torch loads the rules of forward mode at its first use, by a call that it has deprecated itself: the
warning is none of the caller's, and is kept from him here.
"""

from __future__ import annotations

import importlib
import warnings

from torch.func import grad, hessian, jvp, vmap

__all__ = ["grad", "hessian", "jvp", "vmap"]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("torch._decomp.decompositions_for_jvp")
