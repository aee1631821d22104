"""Random streams: torch's global generators, borrowed for a while and given back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class RandomStream:
    """A stream of random numbers for code that draws from torch's global generators.

    Dropout takes no generator of its own. Inside of `active` the global generators of the CPU and
    of the device continue this stream; afterwards they stand where they stood before. So such code
    neither sees nor changes anybody else's random numbers.

    Parameters
    ----------
    seed
        Of the stream, on every device.
    device
        The device that is drawn on, besides the CPU.

    Examples
    --------
    >>> import torch
    >>> stream = RandomStream(7, torch.device("cpu"))
    >>> draws = []
    >>> for _ in range(2):
    ...     with stream.active():
    ...         draws.append(torch.rand(1).item())
    >>> _ = torch.manual_seed(7)
    >>> draws == [torch.rand(1).item(), torch.rand(1).item()]
    True
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._devices = [torch.device("cpu"), *([] if device.type == "cpu" else [device])]
        self._states = [torch.Generator(d).manual_seed(seed).get_state() for d in self._devices]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Continue the stream in the global generators, and give them back as they were."""
        outer = [_state(device) for device in self._devices]
        self._set(self._states)
        try:
            yield
        finally:
            self._states = [_state(device) for device in self._devices]
            self._set(outer)

    def _set(self, states: list[Tensor]) -> None:
        for device, state in zip(self._devices, states, strict=True):
            _global(device).set_rng_state(state, *_index(device))


@contextmanager
def as_global(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global CPU generator continue a generator's numbers, and that one it in turn.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(1)
    >>> with as_global(generator):
    ...     first = torch.rand(1)
    >>> second = torch.rand(1, generator=generator)
    >>> expected = torch.rand(2, generator=torch.Generator().manual_seed(1))
    >>> torch.equal(torch.cat([first, second]), expected)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())


def _state(device: torch.device) -> Tensor:
    state: Tensor = _global(device).get_rng_state(*_index(device))
    return state


def _global(device: torch.device) -> Any:
    """Return the module that holds a device's global generator."""
    return torch if device.type == "cpu" else torch.get_device_module(device)


def _index(device: torch.device) -> tuple[torch.device, ...]:
    return () if device.type in {"cpu", "mps"} else (device,)
