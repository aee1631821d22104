"""The devices of this machine, and the reasons why one cannot be used."""

from __future__ import annotations

import difflib

import torch

from optlab.text import pluralize

_KNOWN = ("cpu", "cuda", "mps", "xpu")


def check_device(name: object) -> str:
    """Return a device's name as torch writes it.

    Raises
    ------
    ValueError
        For a name that torch gives to no device; whether this machine has it is not checked.

    Examples
    --------
    >>> check_device("cuda:1")
    'cuda:1'
    """
    text = str(name)
    kind, colon, index = text.partition(":")
    if kind not in _KNOWN or (colon and not (index.isdecimal() and kind != "cpu")):
        near = difflib.get_close_matches(kind.lower(), _KNOWN, n=1)
        near = ["cuda"] if kind.lower() == "gpu" else near
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown device {text!r}: {hint}there are {', '.join(_KNOWN)}, with a number after a "
            "colon where there are several (cuda:1)"
        )
    return text


def unavailable(device: str, dtype: torch.dtype) -> str | None:
    """Return the reason why this machine cannot compute on a device in a dtype, or None."""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return None
    module = getattr(torch, kind, None)
    if module is None or not module.is_available():
        version = torch.__version__
        if kind == "cuda" and not torch.backends.cuda.is_built():
            return f"no CUDA device: torch {version} is built without CUDA"
        return f"no {kind} device: torch {version} finds none on this machine"
    if int(index or 0) >= module.device_count():
        return f"no device {device}: there are {module.device_count()} of {kind}"
    if kind == "mps" and dtype == torch.float64:
        return "mps devices have no float64"
    return None


def available_devices() -> dict[str, str]:
    """Return the devices of this machine, each with a description.

    Examples
    --------
    >>> "cpu" in available_devices()
    True
    """
    found = {"cpu": pluralize(torch.get_num_threads(), "thread")}
    for kind in _KNOWN[1:]:
        module = getattr(torch, kind, None)
        if module is None or not module.is_available():
            continue
        for index in range(module.device_count()):
            describe = getattr(module, "get_device_name", None)
            found[f"{kind}:{index}"] = describe(index) if describe else kind
    return found
